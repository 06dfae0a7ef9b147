//! Binary operations and how their sides are paired.

use super::super::ast::{Binary, BinaryOp, Cardinality, ExprKind, Matching, Span};
use super::super::token::{Keyword, Kind};
use super::expr::power;
use super::{Node, Parsed, Parser};

impl Parser<'_> {
    /// The operator that is next and its right side.
    pub(super) fn binary(&mut self, left: Node, op: BinaryOp) -> Parsed<Node> {
        self.next();
        let bool_modifier = self.take_keyword(Keyword::Bool).is_some();
        let matching = self.matching()?;
        // `^` groups to the right, all others to the left.
        let least = if op == BinaryOp::Pow { power(op) } else { power(op) + 1 };
        let right = self.expression(least)?;
        let span = Span { start: left.expr.span.start, end: right.expr.span.end };
        let depth = left.depth.max(right.depth);
        let binary = Binary {
            op,
            lhs: Box::new(left.expr),
            rhs: Box::new(right.expr),
            matching: Some(matching),
            bool_modifier,
        };
        self.node(ExprKind::Binary(binary), span, depth)
    }

    fn matching(&mut self) -> Parsed<Matching> {
        let mut matching = Matching {
            cardinality: Cardinality::OneToOne,
            on: self.kind() == Kind::Keyword(Keyword::On),
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        if matching.on || self.kind() == Kind::Keyword(Keyword::Ignoring) {
            self.next();
            matching.labels = self.label_names()?;
            self.group_modifier(&mut matching)?;
        }
        self.fill_modifiers(&mut matching)?;
        Ok(matching)
    }

    fn group_modifier(&mut self, matching: &mut Matching) -> Parsed<()> {
        matching.cardinality = match self.kind() {
            Kind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            Kind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(()),
        };
        self.next();
        if self.kind() == Kind::LeftParen {
            matching.include = self.label_names()?;
        }
        Ok(())
    }

    /// `fill(x)`, or one or both of `fill_left(x)` and `fill_right(x)`.
    fn fill_modifiers(&mut self, matching: &mut Matching) -> Parsed<()> {
        if self.take_keyword(Keyword::Fill).is_some() {
            matching.fill_left = Some(self.fill_value()?);
            matching.fill_right = matching.fill_left;
            return Ok(());
        }
        for _ in 0..2 {
            match self.kind() {
                Kind::Keyword(Keyword::FillLeft) if matching.fill_left.is_none() => {
                    self.next();
                    matching.fill_left = Some(self.fill_value()?);
                }
                Kind::Keyword(Keyword::FillRight) if matching.fill_right.is_none() => {
                    self.next();
                    matching.fill_right = Some(self.fill_value()?);
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(Kind::LeftParen)?;
        let value = self.signed_number()?;
        self.expect(Kind::RightParen)?;
        Ok(value)
    }

    /// A number or duration with or without a sign.
    pub(super) fn signed_number(&mut self) -> Parsed<f64> {
        let sign = match self.kind() {
            Kind::Operator(BinaryOp::Add) => 1.0,
            Kind::Operator(BinaryOp::Sub) => -1.0,
            _ => 0.0,
        };
        if sign != 0.0 {
            self.next();
        }
        if !matches!(self.kind(), Kind::Number | Kind::Duration) {
            return Err(self.unexpected());
        }
        let value = self.number().0.value;
        Ok(if sign < 0.0 { -value } else { value })
    }
}
