//! A tree as text, on one line, as Prometheus writes it.
//!
//! What is read back is the same tree, with the matchers of each selector by name.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{
    Aggregate, At, Binary, Cardinality, Duration, DurationExpr, DurationKind, Expr, ExprKind, Extension,
    MatchOp, Matcher, Matching, Number, Selector, Subquery,
};
use super::duration::format_duration;
use super::{is_plain_label_name, number, quoted};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::Text(text) => f.write_str(&quoted(text)),
            ExprKind::Selector(selector) => selector.fmt(f),
            ExprKind::Range(range) => write_range(f, &range.selector, &range.range),
            ExprKind::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubquerySuffix(subquery)),
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                write_list(f, &call.args)?;
                f.write_char(')')
            }
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", AggregateHead(aggregate))?;
                write_list(f, aggregate.param.iter().chain([&aggregate.expr]))?;
                f.write_char(')')
            }
            ExprKind::Binary(binary) => {
                write!(f, "{} {} {}", binary.lhs, Operator(binary), binary.rhs)
            }
            ExprKind::Unary(unary) => {
                f.write_char(if unary.negative { '-' } else { '+' })?;
                unary.expr.fmt(f)
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn write_list(f: &mut Formatter<'_>, items: impl IntoIterator<Item = impl Display>) -> fmt::Result {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_char('(')?;
    write_list(f, labels.iter().map(|label| label_name(label)))?;
    f.write_char(')')
}

fn label_name(label: &str) -> String {
    if is_plain_label_name(label) { label.into() } else { quoted(label) }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            return f.write_str(&format_duration((self.value * 1_000.0).round() as i64));
        }
        f.write_str(&number::plain(self.value))
    }
}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", label_name(&self.label), self.op.text(), quoted(&self.value))
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(f, self)?;
        write_at(f, self.at)?;
        write_extension(f, self.extension)?;
        write_offset(f, self.offset.as_ref())
    }
}

/// The name and the matchers, by their text; the name is not said twice.
fn write_series(f: &mut Formatter<'_>, selector: &Selector) -> fmt::Result {
    let name = selector.name.as_deref().unwrap_or_default();
    let is_name = |matcher: &&Matcher| {
        matcher.label == "__name__"
            && matcher.op == MatchOp::Equal
            && matcher.value == name
            && !name.is_empty()
    };
    let mut matchers: Vec<String> =
        selector.matchers.iter().filter(|matcher| !is_name(matcher)).map(ToString::to_string).collect();
    matchers.sort_unstable();
    f.write_str(name)?;
    if matchers.is_empty() && !name.is_empty() {
        return Ok(());
    }
    write!(f, "{{{}}}", matchers.join(","))
}

fn write_at(f: &mut Formatter<'_>, at: Option<At>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Time(millis)) => write!(f, " @ {:.3}", millis as f64 / 1_000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn write_extension(f: &mut Formatter<'_>, extension: Option<Extension>) -> fmt::Result {
    match extension {
        None => Ok(()),
        Some(Extension::Smoothed) => f.write_str(" smoothed"),
        Some(Extension::Anchored) => f.write_str(" anchored"),
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: Option<&Duration>) -> fmt::Result {
    match offset {
        None | Some(Duration::Millis(0)) => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

/// A range stands before the modifiers that the tree keeps in its selector.
fn write_range(f: &mut Formatter<'_>, selector: &Expr, range: &Duration) -> fmt::Result {
    let ExprKind::Selector(selector) = &selector.kind else { return write!(f, "{selector}[{range}]") };
    write_series(f, selector)?;
    write!(f, "[{range}]")?;
    write_extension(f, selector.extension)?;
    write_at(f, selector.at)?;
    write_offset(f, selector.offset.as_ref())
}

/// `[1h:5m] @ 10.000 offset 1m`.
pub(super) struct SubquerySuffix<'a>(pub(super) &'a Subquery);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let subquery = self.0;
        write!(f, "[{}:", subquery.range)?;
        if let Some(step) = &subquery.step {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        write_at(f, subquery.at)?;
        write_offset(f, subquery.offset.as_ref())
    }
}

/// `sum by (a) `.
pub(super) struct AggregateHead<'a>(pub(super) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.text())?;
        if self.0.without {
            f.write_str(" without ")?;
        } else if self.0.grouping.is_empty() {
            return Ok(());
        } else {
            f.write_str(" by ")?;
        }
        write_labels(f, &self.0.grouping)?;
        f.write_char(' ')
    }
}

/// `+ on (a) group_left (b)`.
pub(super) struct Operator<'a>(pub(super) &'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.text())?;
        if self.0.bool_modifier {
            f.write_str(" bool")?;
        }
        self.0.matching.as_ref().map_or(Ok(()), |matching| write_matching(f, matching))
    }
}

fn write_matching(f: &mut Formatter<'_>, matching: &Matching) -> fmt::Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some(" group_left "),
        Cardinality::OneToMany => Some(" group_right "),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if matching.on || !matching.labels.is_empty() || group.is_some() {
        f.write_str(if matching.on { " on " } else { " ignoring " })?;
        write_labels(f, &matching.labels)?;
    }
    if let Some(group) = group {
        f.write_str(group)?;
        write_labels(f, &matching.include)?;
    }
    write_fill(f, matching.fill_left, matching.fill_right)
}

fn write_fill(f: &mut Formatter<'_>, left: Option<f64>, right: Option<f64>) -> fmt::Result {
    if let (Some(one), Some(other)) = (left, right)
        && one.to_bits() == other.to_bits()
    {
        return write!(f, " fill ({})", number::general(one));
    }
    if let Some(left) = left {
        write!(f, " fill_left ({})", number::general(left))?;
    }
    right.map_or(Ok(()), |right| write!(f, " fill_right ({})", number::general(right)))
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(millis) => f.write_str(&format_duration(*millis)),
            Self::Computed(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::MinOf(one, other) => write!(f, "min_of({one}, {other})"),
            DurationKind::MaxOf(one, other) => write!(f, "max_of({one}, {other})"),
            DurationKind::Binary(op, one, other) => write!(f, "{one} {} {other}", op.text()),
            DurationKind::Negated(inner) => write!(f, "-{inner}"),
            DurationKind::Plus(inner) => inner.fmt(f),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}
