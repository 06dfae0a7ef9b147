//! `a[5m]` and `a[1h:5m]`.

use super::super::ast::{Duration, Expr, ExprKind, RangeSelector, Span, Subquery};
use super::super::token::Kind;
use super::modifier::RANGES_ONLY;
use super::{Node, Parsed, Parser};

impl Parser<'_> {
    pub(super) fn range_or_subquery(&mut self, node: Node) -> Parsed<Node> {
        let open = self.next();
        let range = self.positive_duration().map_err(|fault| {
            fault.within("subquery or range selector", "number, duration, step(), or range()")
        })?;
        if self.take(Kind::Colon).is_some() {
            return self.subquery(node, range);
        }
        let Some(close) = self.take(Kind::RightBracket) else {
            return Err(self.unexpected_in("subquery or range", "\":\" or \"]\""));
        };
        if let Some(fault) = range_fault(&node.expr) {
            self.note(Span { start: open.span.start, end: close.span.end }, fault);
        }
        let span = Span { start: node.expr.span.start, end: close.span.end };
        let range = RangeSelector { selector: Box::new(node.expr), range };
        self.node(ExprKind::Range(range), span, node.depth)
    }

    fn subquery(&mut self, node: Node, range: Duration) -> Parsed<Node> {
        let step = if self.kind() == Kind::RightBracket {
            None
        } else {
            let step = self.positive_duration().map_err(|fault| {
                fault.within("subquery selector", "number, duration, step(), range(), or \"]\"")
            })?;
            Some(step)
        };
        let Some(close) = self.take(Kind::RightBracket) else {
            return Err(self.unexpected_in("subquery selector", "\"]\""));
        };
        let span = Span { start: node.expr.span.start, end: close.span.end };
        let subquery = Subquery { expr: Box::new(node.expr), range, step, offset: None, at: None };
        self.node(ExprKind::Subquery(subquery), span, node.depth)
    }
}

/// Why a range cannot follow an expression.
fn range_fault(expr: &Expr) -> Option<&'static str> {
    let ExprKind::Selector(selector) = &expr.kind else { return Some(RANGES_ONLY) };
    if selector.offset.is_some() {
        Some("no offset modifiers allowed before range")
    } else if selector.at.is_some() {
        Some("no @ modifiers allowed before range")
    } else {
        None
    }
}
