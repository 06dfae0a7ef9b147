//! Operators: what binds to what.

use super::super::ast::{BinaryOp, ExprKind, Number, Span, Unary};
use super::super::token::Kind;
use super::{Node, Parsed, Parser};

/// How strongly a binary operator binds.
pub(super) fn power(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => POWER_OF_POW,
        // Trims stand with the comparisons whose signs they are made of.
        _ => 3,
    }
}

/// `^` alone binds stronger than a sign.
pub(super) const POWER_OF_POW: u8 = 6;

impl Parser<'_> {
    /// An expression of operators that bind at least as strongly as `least`.
    pub(super) fn expression(&mut self, least: u8) -> Parsed<Node> {
        self.nested(|parser| {
            let mut left = parser.signed()?;
            while let Kind::Operator(op) = parser.kind()
                && power(op) >= least
            {
                left = parser.binary(left, op)?;
            }
            Ok(left)
        })
    }

    fn signed(&mut self) -> Parsed<Node> {
        let negative = match self.kind() {
            Kind::Operator(BinaryOp::Add) => false,
            Kind::Operator(BinaryOp::Sub) => true,
            _ => return self.modified(),
        };
        let sign = self.next();
        let Node { mut expr, depth } = self.expression(POWER_OF_POW)?;
        let span = Span { start: sign.span.start, end: expr.span.end };
        if let ExprKind::Number(Number { value, .. }) = &mut expr.kind {
            if negative {
                *value = -*value;
            }
            expr.span = span;
            return Ok(Node { expr, depth });
        }
        self.node(ExprKind::Unary(Unary { negative, expr: Box::new(expr) }), span, depth)
    }
}
