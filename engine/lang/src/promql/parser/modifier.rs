//! What follows a selector: `[5m]`, `offset 1h`, `@ 10`, `smoothed`.

use super::super::ast::{At, Duration, Expr, ExprKind, Extension, Selector, Span};
use super::super::number;
use super::super::token::{Keyword, Kind};
use super::{Node, Parsed, Parser};

pub(super) const RANGES_ONLY: &str = "ranges only allowed for vector selectors";

/// The time at which something is selected.
struct Timing<'a> {
    offset: &'a mut Option<Duration>,
    at: &'a mut Option<At>,
    /// Where the expression ends, with its modifiers.
    end: &'a mut usize,
}

/// What can have an offset and an `@`; else why not.
fn timing<'a>(expr: &'a mut Expr, modifier: &str) -> Result<Timing<'a>, String> {
    let end = &mut expr.span.end;
    match &mut expr.kind {
        ExprKind::Selector(Selector { offset, at, .. }) => Ok(Timing { offset, at, end }),
        ExprKind::Range(range) => match &mut range.selector.kind {
            ExprKind::Selector(Selector { offset, at, .. }) => Ok(Timing { offset, at, end }),
            _ => Err(RANGES_ONLY.into()),
        },
        ExprKind::Subquery(subquery) => {
            Ok(Timing { offset: &mut subquery.offset, at: &mut subquery.at, end })
        }
        _ => Err(format!(
            "{modifier} modifier must be preceded by an instant vector selector or range vector selector or a subquery"
        )),
    }
}

impl Parser<'_> {
    /// A primary expression and all that follows it.
    pub(super) fn modified(&mut self) -> Parsed<Node> {
        let mut node = self.primary()?;
        loop {
            match self.kind() {
                Kind::LeftBracket => node = self.range_or_subquery(node)?,
                Kind::At => self.at(&mut node.expr)?,
                Kind::Keyword(Keyword::Offset) => self.offset(&mut node.expr)?,
                Kind::Keyword(Keyword::Smoothed) => self.extension(&mut node.expr, Extension::Smoothed),
                Kind::Keyword(Keyword::Anchored) => self.extension(&mut node.expr, Extension::Anchored),
                _ => return Ok(node),
            }
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.next();
        let new = self
            .offset_duration()
            .map_err(|fault| fault.within("offset", "number, duration, step(), or range()"))?;
        let (span, behind) = (expr.span, self.behind());
        match timing(expr, "offset") {
            Err(fault) => self.note(span, fault),
            Ok(timing) if timing.offset.is_some() => {
                self.note(span, "offset may not be set multiple times");
            }
            Ok(timing) => {
                // No offset and one of zero are the same.
                *timing.offset = Some(new).filter(|new| *new != Duration::Millis(0));
                *timing.end = behind;
            }
        }
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.next();
        let span = expr.span;
        let new = self.time(span).map_err(|fault| fault.within("@", "timestamp"))?;
        let behind = self.behind();
        match timing(expr, "@") {
            Err(fault) => self.note(span, fault),
            Ok(timing) if timing.at.is_some() => {
                self.note(span, "@ <timestamp> may not be set multiple times");
            }
            Ok(timing) => {
                *timing.at = Some(new);
                *timing.end = behind;
            }
        }
        Ok(())
    }

    fn time(&mut self, span: Span) -> Parsed<At> {
        let bound = match self.kind() {
            Kind::Keyword(Keyword::Start) => At::Start,
            Kind::Keyword(Keyword::End) => At::End,
            _ => {
                let seconds = self.signed_number()?;
                return Ok(At::Time(self.millis_of_time(seconds, span)));
            }
        };
        self.next();
        self.expect(Kind::LeftParen)?;
        self.expect(Kind::RightParen)?;
        Ok(bound)
    }

    fn millis_of_time(&mut self, seconds: f64, span: Span) -> i64 {
        let millis = (seconds * 1_000.0).round();
        // Compared as floats, the greatest integer is beyond the range.
        if millis > i64::MIN as f64 && millis < i64::MAX as f64 {
            return millis as i64;
        }
        let shown = if seconds.is_finite() { format!("{seconds:.6}") } else { number::plain(seconds) };
        self.note(span, format!("timestamp out of bounds for @ modifier: {shown}"));
        0
    }

    fn extension(&mut self, expr: &mut Expr, new: Extension) {
        self.next();
        let span = expr.span;
        let selector = match &mut expr.kind {
            ExprKind::Range(range) => &mut range.selector.kind,
            kind => kind,
        };
        let name = match new {
            Extension::Smoothed => "smoothed",
            Extension::Anchored => "anchored",
        };
        let fault = match selector {
            ExprKind::Selector(selector) => {
                let other = selector.extension.replace(new);
                other
                    .filter(|other| *other != new)
                    .map(|_| "anchored and smoothed modifiers cannot be used together".to_owned())
            }
            ExprKind::Subquery(_) => Some(format!("{name} modifier is not supported for subqueries")),
            _ => Some(format!("{name} modifier not implemented")),
        };
        if let Some(fault) = fault {
            self.note(span, fault);
        }
    }
}
