//! Which identifiers a row must have to fulfil a filter.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, InListExpr, LikeExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use isinglass_model::tokens::id_hashes_of_part;

use crate::functions::HAS_TOKEN;

/// Identifiers of one text that are looked for; with eight of them hardly anything is taken
/// for another.
const OF_TEXT_MAX: usize = 8;

/// Identifiers of a whole query; one with more of them is answered without an index.
const TOKENS_MAX: usize = 256;

/// What a row must have, as far as a filter tells. Tokens are hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Token(u64),
    All(Vec<Wanted>),
    Either(Vec<Wanted>),
}

impl Wanted {
    /// What all these filters want together of a column; `None` if any row may fulfil them.
    pub(super) fn of(filters: &[Arc<dyn PhysicalExpr>], column: usize) -> Option<Self> {
        let wanted = all(filters.iter().filter_map(|filter| of_filter(filter, column)).collect())?;
        (wanted.hashes().len() <= TOKENS_MAX).then_some(wanted)
    }

    /// All tokens in it.
    pub(super) fn hashes(&self) -> Vec<u64> {
        match self {
            Self::Token(hash) => vec![*hash],
            Self::All(parts) | Self::Either(parts) => parts.iter().flat_map(Self::hashes).collect(),
        }
    }

    /// Whether it is there, where `has` says which tokens may be.
    pub(super) fn is_in(&self, has: &impl Fn(u64) -> bool) -> bool {
        match self {
            Self::Token(hash) => has(*hash),
            Self::All(parts) => parts.iter().all(|part| part.is_in(has)),
            Self::Either(parts) => parts.iter().any(|part| part.is_in(has)),
        }
    }
}

fn all(mut parts: Vec<Wanted>) -> Option<Wanted> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Wanted::All(parts)),
    }
}

/// One of them, if each is known.
fn either(parts: impl Iterator<Item = Option<Wanted>>) -> Option<Wanted> {
    parts.collect::<Option<Vec<_>>>().map(Wanted::Either)
}

/// What a text has in which this stands.
fn of_part(part: &str, from_start: bool, to_end: bool) -> Option<Wanted> {
    let hashes = id_hashes_of_part(part, from_start, to_end);
    all(hashes.into_iter().take(OF_TEXT_MAX).map(Wanted::Token).collect())
}

fn of_filter(filter: &Arc<dyn PhysicalExpr>, column: usize) -> Option<Wanted> {
    let is_column = |expr: &Arc<dyn PhysicalExpr>| {
        same_text(expr).downcast_ref::<Column>().is_some_and(|found| found.index() == column)
    };
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
        let (left, right) = (binary.left(), binary.right());
        return match binary.op() {
            Operator::And => all([left, right].iter().filter_map(|side| of_filter(side, column)).collect()),
            Operator::Or => either([left, right].iter().map(|side| of_filter(side, column))),
            Operator::Eq if is_column(left) => of_part(&text(right)?, true, true),
            Operator::Eq if is_column(right) => of_part(&text(left)?, true, true),
            Operator::Gt => of_strpos(left, right, &is_column),
            Operator::Lt => of_strpos(right, left, &is_column),
            _ => None,
        };
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        let is_in = is_column(list.expr()) && !list.negated();
        return is_in.then(|| either(list.list().iter().map(|one| of_part(&text(one)?, true, true))))?;
    }
    if let Some(like) = filter.downcast_ref::<LikeExpr>() {
        let is_like = is_column(like.expr()) && !like.negated() && !like.case_insensitive();
        return is_like.then(|| of_pattern(&text(like.pattern())?))?;
    }
    let call = filter.downcast_ref::<ScalarFunctionExpr>()?;
    let [of, part] = call.args() else { return None };
    match call.name() {
        _ if !is_column(of) => None,
        HAS_TOKEN => of_part(&text(part)?, true, true),
        "contains" => of_part(&text(part)?, false, false),
        "starts_with" => of_part(&text(part)?, true, false),
        "ends_with" => of_part(&text(part)?, false, true),
        _ => None,
    }
}

/// `strpos(column, 'part') > 0` or more.
fn of_strpos(
    call: &Arc<dyn PhysicalExpr>,
    above: &Arc<dyn PhysicalExpr>,
    is_column: &impl Fn(&Arc<dyn PhysicalExpr>) -> bool,
) -> Option<Wanted> {
    let above = match above.downcast_ref::<Literal>()?.value() {
        ScalarValue::Int32(Some(above)) => i64::from(*above),
        ScalarValue::Int64(Some(above)) => *above,
        _ => return None,
    };
    // The position may be cast to the type of what it is compared with.
    let call = call.downcast_ref::<CastExpr>().map_or(call, |cast| cast.expr());
    let call = call.downcast_ref::<ScalarFunctionExpr>()?;
    let [of, part] = call.args() else { return None };
    let is_strpos = call.name() == "strpos" && is_column(of) && above >= 0;
    is_strpos.then(|| of_part(&text(part)?, false, false))?
}

/// What is cast from one type of text to another.
fn same_text(expr: &Arc<dyn PhysicalExpr>) -> &Arc<dyn PhysicalExpr> {
    match expr.downcast_ref::<CastExpr>() {
        Some(cast) if cast.cast_type().is_string() => same_text(cast.expr()),
        _ => expr,
    }
}

fn text(expr: &Arc<dyn PhysicalExpr>) -> Option<String> {
    match same_text(expr).downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8View(text) | ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) => text.clone(),
        _ => None,
    }
}

/// The texts between the wildcards of a LIKE pattern. Only at the ends of the pattern is it
/// known that no token goes on.
fn of_pattern(pattern: &str) -> Option<Wanted> {
    let mut wanted = Vec::new();
    let (mut start, mut from_start) = (0, true);
    let mut places = pattern.char_indices();
    while let Some((at, char)) = places.next() {
        let escaped = match char {
            '%' | '_' => None,
            // What it stands before is left out: it may be anything.
            '\\' => places.next(),
            _ => continue,
        };
        wanted.extend(of_part(&pattern[start..at], from_start, false));
        start = at + char.len_utf8() + escaped.map_or(0, |(_, char)| char.len_utf8());
        from_start = false;
    }
    wanted.extend(of_part(&pattern[start..], from_start, true));
    all(wanted)
}

#[cfg(test)]
mod tests {
    use datafusion::common::DFSchema;
    use datafusion::execution::SessionStateBuilder;
    use isinglass_model::Kind;

    use super::*;
    use crate::functions;
    use crate::table::{Layout, pruning};

    /// What a condition on `logs` wants, tokens in brackets.
    fn wanted(condition: &str) -> String {
        fn print(wanted: &Wanted, names: &[&str]) -> String {
            let join = |parts: &[Wanted], with: &str| {
                let parts: Vec<_> = parts.iter().map(|part| print(part, names)).collect();
                format!("({})", parts.join(with))
            };
            match wanted {
                Wanted::Token(hash) => {
                    let is = |name: &&&str| id_hashes_of_part(name, true, true) == [*hash];
                    names.iter().find(is).unwrap().to_string()
                }
                Wanted::All(parts) => join(parts, " and "),
                Wanted::Either(parts) => join(parts, " or "),
            }
        }
        let layout = Layout::of(Kind::Logs);
        let schema = DFSchema::try_from(Arc::clone(&layout.shown)).unwrap();
        let session = SessionStateBuilder::new()
            .with_scalar_functions(functions::scalar(
                functions::FunctionLimits::default(),
                &functions::Room::default(),
            ))
            .build();
        let condition = session.create_logical_expr(condition, &schema).unwrap();
        let known = pruning(layout, &[condition], &session).unwrap();
        let names = ["abc123", "abc124", "abc125"];
        let found = Wanted::of(&known, layout.read_position("body").unwrap());
        found.map_or_else(String::new, |wanted| print(&wanted, &names))
    }

    #[test]
    fn what_conditions_want() {
        for (condition, want) in [
            ("has_token(body, 'abc123')", "abc123"),
            ("has_token(body, 'abc123 abc124')", "(abc123 and abc124)"),
            ("has_token(body, 'word')", ""),
            ("has_token(service, 'abc123')", ""),
            ("NOT has_token(body, 'abc123')", ""),
            ("has_token(body, service)", ""),
            ("body = 'abc123 x'", "abc123"),
            ("'abc123' = body", "abc123"),
            ("body <> 'abc123'", ""),
            ("body IN ('abc123', 'abc124 x')", "(abc123 or abc124)"),
            ("body IN ('abc123', 'x')", ""),
            ("body NOT IN ('abc123', 'abc124')", ""),
            ("contains(body, 'abc123')", ""),
            ("contains(body, '=abc123;')", "abc123"),
            ("starts_with(body, 'abc123 ')", "abc123"),
            ("starts_with(body, 'abc123')", ""),
            ("ends_with(body, ' abc123')", "abc123"),
            ("strpos(body, ' abc123 ') > 0", "abc123"),
            ("0 < strpos(body, ' abc123 ')", "abc123"),
            ("strpos(body, ' abc123 ') > -1", ""),
            ("body LIKE '%abc123%'", ""),
            ("body LIKE '%=abc123 %'", "abc123"),
            ("body LIKE 'abc123 %abc124%=abc125'", "(abc123 and abc125)"),
            ("body LIKE '%abc123_abc124 %'", ""),
            ("body LIKE '% abc123\\_ abc124 %'", "abc124"),
            ("body NOT LIKE '% abc123 %'", ""),
            ("body ILIKE '% abc123 %'", ""),
            (
                "has_token(body, 'abc123') AND service = 'x' AND has_token(body, 'abc124')",
                "(abc123 and abc124)",
            ),
            ("has_token(body, 'abc123') OR service = 'x'", ""),
            ("has_token(body, 'abc123') OR has_token(body, 'abc124')", "(abc123 or abc124)"),
            ("service = 'x' AND (has_token(body, 'abc123') OR body LIKE '% abc124 %')", "(abc123 or abc124)"),
        ] {
            assert_eq!(wanted(condition), want, "{condition}");
        }
    }

    #[test]
    fn a_query_may_not_want_too_much() {
        let list = |n: usize| {
            let names: Vec<String> = (0..n).map(|n| format!("'abc{n:04}'")).collect();
            format!("body IN ({})", names.join(", "))
        };
        let layout = Layout::of(Kind::Logs);
        let schema = DFSchema::try_from(Arc::clone(&layout.shown)).unwrap();
        let session = SessionStateBuilder::new()
            .with_scalar_functions(functions::scalar(
                functions::FunctionLimits::default(),
                &functions::Room::default(),
            ))
            .build();
        for (n, is_some) in [(256, true), (257, false)] {
            let condition = session.create_logical_expr(&list(n), &schema).unwrap();
            let known = pruning(layout, &[condition], &session).unwrap();
            let found = Wanted::of(&known, layout.read_position("body").unwrap());
            assert_eq!(found.is_some(), is_some, "{n}");
        }
    }
}
