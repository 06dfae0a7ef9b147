//! Errors of planning with a place in the text and a name that was perhaps meant.

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use isinglass_lang::Position;
use isinglass_lang::token::{Lexer, TokenKind};
use isinglass_model::Kind;
use isinglass_store::View;

use crate::error::QueryError;
use crate::library;
use crate::session::{CATALOG, METRICS, PUBLIC, SYSTEM};
use crate::system::System;

/// Names less alike than this are not offered.
const ALIKE_MIN: f64 = 0.5;

/// Completes an error about a table that is not there.
pub(crate) fn explain(error: QueryError, text: &str, view: &View, system: &System) -> QueryError {
    let Some(name) = missing_table(error.message()) else { return error };
    let (schema, table) = match name.split('.').collect::<Vec<_>>().as_slice() {
        [CATALOG, schema, rest @ ..] | [schema, rest @ ..] => ((*schema).to_owned(), rest.join(".")),
        [] => return error,
    };
    let place = place_of(text, &table);
    let help = match schema.as_str() {
        METRICS => {
            nearest(&table, view.series().metrics().iter().map(|metric| metric.name.to_string()), "metrics.")
        }
        PUBLIC => in_public(&table, view),
        SYSTEM => nearest(&table, system.names().into_iter(), "system."),
        _ => Some(format!("tables are in the schemas {PUBLIC}, {METRICS} and {SYSTEM}")),
    };
    error.at(place).with_help(help)
}

fn in_public(table: &str, view: &View) -> Option<String> {
    if view.series().metric(table).is_some() {
        return Some(format!("did you mean metrics.{table}?"));
    }
    let names = Kind::ALL.iter().map(|kind| kind.as_str()).chain(library::views().map(|view| view.name));
    nearest(table, names.map(str::to_owned), "")
}

/// The name in DataFusion's message, `table 'isinglass.public.x' not found`.
fn missing_table(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("table '")?;
    rest.split_once("' not found").map(|(name, _)| name)
}

fn nearest(wanted: &str, names: impl Iterator<Item = String>, prefix: &str) -> Option<String> {
    let scored = names.map(|name| (normalized_levenshtein(wanted, &name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)))?;
    (best.0 >= ALIKE_MIN).then(|| format!("did you mean {prefix}{}?", best.1))
}

/// Where a name stands in the text.
fn place_of(text: &str, name: &str) -> Option<Position> {
    let is_name = |token: &isinglass_lang::token::Token| match token.kind {
        TokenKind::Word => token.text(text) == name,
        TokenKind::QuotedName => token.text(text).trim_matches(['"', '`']) == name,
        _ => false,
    };
    Lexer::new(text).find(is_name).map(|token| Position::of(text, token.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right() {
        let names = ["logs", "spans", "samples"].map(str::to_owned);
        assert_eq!(nearest("span", names.clone().into_iter(), ""), Some("did you mean spans?".into()));
        assert_eq!(nearest("metrics_of_all", names.into_iter(), ""), None);
    }

    #[test]
    fn places() {
        assert_eq!(missing_table("table 'isinglass.public.lgs' not found"), Some("isinglass.public.lgs"));
        assert_eq!(place_of("SELECT 'lgs' FROM lgs", "lgs").map(|place| place.column), Some(19));
        assert_eq!(place_of("SELECT * FROM \"Lgs x\"", "Lgs x").map(|place| place.column), Some(15));
    }
}
