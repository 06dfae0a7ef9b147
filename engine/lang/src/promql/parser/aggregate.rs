//! `sum by (a) (b)`, `topk(3, b) without (a)`.

use super::super::ast::{Aggregate, AggregateOp, Expr, ExprKind, Number, Span};
use super::super::token::{Keyword, Kind};
use super::{Node, Parsed, Parser};

impl Parser<'_> {
    /// Whether the name of an aggregation is one here, or that of a metric.
    pub(super) fn aggregation_follows(&self) -> bool {
        matches!(
            self.ahead(1).kind,
            Kind::LeftParen | Kind::Keyword(Keyword::By) | Kind::Keyword(Keyword::Without)
        )
    }

    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Parsed<Node> {
        let start = self.next().span.start;
        self.aggregate_body(op, start).map_err(|fault| fault.within("aggregation", ""))
    }

    fn aggregate_body(&mut self, op: AggregateOp, start: usize) -> Parsed<Node> {
        let before = self.grouping()?;
        let (args, depth) = self.arguments()?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let span = Span { start, end: self.behind() };
        let (without, grouping) = grouping.unwrap_or_default();
        let Some((param, expr)) = self.parameter_and_operand(op, args, span) else {
            return self.node(ExprKind::Number(Number { value: 0.0, duration: false }), span, depth);
        };
        let aggregate = Aggregate { op, expr: Box::new(expr), param: param.map(Box::new), grouping, without };
        self.node(ExprKind::Aggregate(aggregate), span, depth)
    }

    /// `by (…)` or `without (…)`, if it is next: whether without, and the labels.
    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = match self.kind() {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.next();
        Ok(Some((without, self.label_names()?)))
    }

    fn parameter_and_operand(
        &mut self,
        op: AggregateOp,
        args: Vec<Expr>,
        span: Span,
    ) -> Option<(Option<Expr>, Expr)> {
        let wanted = if op.has_param() { 2 } else { 1 };
        let got = args.len();
        let mut args = args.into_iter();
        match (got == wanted, args.next(), args.next()) {
            (true, Some(expr), None) => Some((None, expr)),
            (true, Some(param), Some(expr)) => Some((Some(param), expr)),
            (_, None, _) => {
                self.note(span, "no arguments for aggregate expression provided");
                None
            }
            _ => {
                self.note(
                    span,
                    format!(
                        "wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"
                    ),
                );
                None
            }
        }
    }
}
