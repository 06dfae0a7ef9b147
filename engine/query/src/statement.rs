//! From a text to one statement that only reads.
//!
//! Three checks, from cheap to exact: tokens of our own lexer, tokens of the
//! parser that is going to read them, and the statement itself. What may be run is
//! a short list; everything else is refused by name. The plan is checked once
//! more by DataFusion's own `SQLOptions`.

use std::ops::ControlFlow;

use datafusion::common::DataFusionError;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    ObjectName, Query, SetExpr, Statement as SqlStatement, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use hashbrown::HashMap;
use isinglass_lang::gate::{self, Limits, Meter, Part};
use isinglass_lang::position::Position;
use isinglass_model::ErrorKind;

use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::{grouping, types};

/// Nothing but reading.
pub(crate) fn options() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Parses and checks one statement.
pub(crate) fn parse(text: &str, config: &QueryConfig) -> Result<Statement, QueryError> {
    let limits = &config.gate();
    gate::check(text, limits).map_err(|fault| refused(fault, text, fault.offset()))?;
    check_tokens(text, limits, config.literal_bytes_max)?;
    let of = |error: DataFusionError| QueryError::of(&error, text);
    let mut parser = DFParserBuilder::new(text)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(RECURSION_MAX)
        .build()
        .map_err(of)?;
    let mut statements = parser.parse_statements().map_err(of)?;
    let Some(statement) = statements.pop_front() else {
        return Err(QueryError::new(ErrorKind::Malformed, "the query is empty"));
    };
    if !statements.is_empty() {
        return Err(QueryError::new(
            ErrorKind::Malformed,
            "one statement at a time, without another after the semicolon",
        ));
    }
    check_statement(&statement, 0)?;
    check_relations(&statement, config.relations_max)?;
    if let Some(sql) = read(&statement) {
        grouping::check(sql)?;
        types::check(sql)?;
    }
    Ok(statement)
}

/// The parser's own limit, beyond what the gate lets through.
const RECURSION_MAX: usize = 64;

fn refused(fault: gate::Fault, text: &str, offset: usize) -> QueryError {
    QueryError::from(fault).at(Some(Position::of(text, offset)))
}

/// The same limits on the tokens as the parser sees them: where the two lexers
/// read a quote differently, nothing hides in it.
fn check_tokens(text: &str, limits: &Limits, literal_bytes_max: usize) -> Result<(), QueryError> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| {
        let place = Position::at(text, error.location.line, error.location.column);
        QueryError::new(ErrorKind::Malformed, format!("syntax error: {}", error.message)).at(Some(place))
    })?;
    let mut meter = Meter::new(*limits);
    for token in &tokens {
        let part = match &token.token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::Word(word) if word.quote_style.is_none() => Part::Word(&word.value),
            Token::LParen | Token::LBracket | Token::LBrace => Part::Open,
            Token::RParen | Token::RBracket | Token::RBrace => Part::Close,
            Token::Comma => Part::Comma,
            Token::Word(_)
            | Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::SemiColon => Part::Other,
            _ => Part::Operator,
        };
        let start = token.span.start;
        let place = Position::at(text, start.line, start.column);
        check_literal(&token.token, literal_bytes_max).map_err(|error| error.at(Some(place)))?;
        meter.push(part, 0).map_err(|fault| QueryError::from(fault).at(Some(place)))?;
    }
    Ok(())
}

/// A literal is written out in every row of a batch that it is a part of.
fn check_literal(token: &Token, bytes_max: usize) -> Result<(), QueryError> {
    let bytes = match token {
        Token::SingleQuotedString(text)
        | Token::DoubleQuotedString(text)
        | Token::EscapedStringLiteral(text)
        | Token::NationalStringLiteral(text)
        | Token::UnicodeStringLiteral(text)
        | Token::HexStringLiteral(text)
        | Token::TripleSingleQuotedString(text)
        | Token::TripleDoubleQuotedString(text)
        | Token::SingleQuotedRawStringLiteral(text)
        | Token::DoubleQuotedRawStringLiteral(text)
        | Token::Number(text, _) => text.len(),
        Token::DollarQuotedString(text) => text.value.len(),
        _ => return Ok(()),
    };
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("a literal has {bytes} bytes, the limit is {bytes_max}");
    Err(QueryError::new(ErrorKind::Rejected, message))
}

/// The statement that is run or explained.
fn read(statement: &Statement) -> Option<&SqlStatement> {
    match statement {
        Statement::Statement(sql) => Some(sql),
        Statement::Explain(explain) => read(&explain.statement),
        _ => None,
    }
}

/// Only what reads.
fn check_statement(statement: &Statement, depth: usize) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(sql) => check_sql(sql),
        Statement::Explain(_) if depth > 0 => Err(QueryError::forbidden("EXPLAIN of EXPLAIN is not allowed")),
        Statement::Explain(explain) => check_statement(&explain.statement, depth + 1),
        Statement::CreateExternalTable(_) => Err(not_allowed("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(not_allowed("COPY")),
        Statement::Reset(_) => Err(not_allowed("RESET")),
    }
}

fn check_sql(statement: &SqlStatement) -> Result<(), QueryError> {
    match statement {
        SqlStatement::Query(query) => check_body(&query.body),
        SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowFunctions { .. }
        | SqlStatement::ExplainTable { .. } => Ok(()),
        other => Err(not_allowed(&first_words(&other.to_string()))),
    }
}

fn check_body(body: &SetExpr) -> Result<(), QueryError> {
    match body {
        SetExpr::Insert(_) => Err(not_allowed("INSERT")),
        SetExpr::Update(_) => Err(not_allowed("UPDATE")),
        SetExpr::Delete(_) => Err(not_allowed("DELETE")),
        SetExpr::Merge(_) => Err(not_allowed("MERGE")),
        SetExpr::Select(select) if select.into.is_some() => Err(not_allowed("SELECT INTO")),
        _ => Ok(()),
    }
}

fn not_allowed(what: &str) -> QueryError {
    QueryError::forbidden(format!(
        "{what} is not allowed: queries only read (SELECT, WITH, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE)"
    ))
}

/// The keywords at the start of a statement, to name it.
fn first_words(statement: &str) -> String {
    let words = statement.split_whitespace().take(2);
    let keywords: Vec<&str> = words
        .enumerate()
        .take_while(|(at, w)| *at == 0 || w.bytes().all(|b| b.is_ascii_uppercase()))
        .map(|(_, w)| w)
        .collect();
    keywords.join(" ")
}

/// Named queries are written out wherever they are used, so ten of them, each
/// used twice by the next, are a thousand. Counts what comes out of it.
fn check_relations(statement: &Statement, limit: u64) -> Result<(), QueryError> {
    let Some(sql) = read(statement) else { return Ok(()) };
    let mut weights = Weights { limit, frames: vec![Frame::default()] };
    match sql.visit(&mut weights) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(QueryError::new(
            ErrorKind::Rejected,
            format!("the query reads more than {limit} tables once its named queries are written out"),
        )),
    }
}

struct Weights {
    limit: u64,
    frames: Vec<Frame>,
}

/// A query that is being visited.
#[derive(Default)]
struct Frame {
    /// Tables read so far.
    sum: u64,
    /// Named queries of its `WITH`, by the address of their text.
    pending: Vec<(*const Query, String)>,
    /// What each of them reads.
    named: HashMap<String, u64>,
}

impl Weights {
    fn add(&mut self, weight: u64) -> ControlFlow<()> {
        let Some(frame) = self.frames.last_mut() else { return ControlFlow::Break(()) };
        frame.sum = frame.sum.saturating_add(weight);
        if frame.sum > self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Weights {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        let pending = named.map(|cte| (std::ptr::from_ref(&*cte.query), cte.alias.name.value.clone()));
        self.frames.push(Frame { pending: pending.collect(), ..Frame::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (Some(done), Some(outer)) = (self.frames.pop(), self.frames.last_mut()) else {
            return ControlFlow::Break(());
        };
        let address = std::ptr::from_ref(query);
        match outer.pending.iter().position(|(of, _)| *of == address) {
            Some(at) => {
                let (_, name) = outer.pending.swap_remove(at);
                outer.named.insert(name, done.sum.max(1));
                ControlFlow::Continue(())
            }
            None => self.add(done.sum),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = match relation.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.as_str()),
            _ => None,
        };
        let known =
            name.and_then(|name| self.frames.iter().rev().find_map(|frame| frame.named.get(name)).copied());
        self.add(known.unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, wanted: Option<(ErrorKind, &str)>) {
        let got = parse(text, &QueryConfig::default()).err();
        let shown: String = text.chars().take(70).collect();
        match (got, wanted) {
            (None, None) => {}
            (Some(error), Some((kind, message))) => {
                assert!(error.kind() == kind && error.to_string().contains(message), "{shown}: {error:?}");
            }
            (got, wanted) => panic!("{shown}: {got:?}, wanted {wanted:?}"),
        }
    }

    #[test]
    fn what_reads_is_allowed() {
        for text in [
            "SELECT 1",
            "select * from logs;",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "SHOW COLUMNS FROM logs",
            "DESCRIBE logs",
            "VALUES (1), (2)",
            "(SELECT 1) UNION ALL SELECT 2",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn one_statement() {
        check("", Some((ErrorKind::Malformed, "empty")));
        check(" -- nothing\n", Some((ErrorKind::Malformed, "empty")));
        check("SELECT 1; SELECT 2", Some((ErrorKind::Malformed, "one statement")));
        check("SELECT 1; DROP TABLE logs", Some((ErrorKind::Malformed, "one statement")));
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let error = parse("SELECT 1\nFORM logs WHERE", &QueryConfig::default()).unwrap_err();
        let place = error.position().unwrap();
        assert_eq!((place.line, error.kind()), (2, ErrorKind::Malformed), "{error}");
        let error = parse("SELECT 'abc", &QueryConfig::default()).unwrap_err();
        assert_eq!(error.position().map(|place| (place.line, place.column)), Some((1, 8)), "{error}");
    }

    proptest! {
        /// Whatever comes: an answer, and no panic.
        #[test]
        fn never_panics(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40)) {
            let _ = parse(&words.join(" "), &QueryConfig::default());
        }

        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,120}") {
            let _ = parse(&text, &QueryConfig::default());
        }
    }

    const WORDS: &[&str] = &[
        "SELECT",
        "FROM",
        "WHERE",
        "(",
        ")",
        ",",
        "*",
        "a",
        "logs",
        "metrics.up",
        "'x'",
        "\"y\"",
        "1",
        "1.5e9",
        "=",
        "<",
        "||",
        "::",
        "[",
        "]",
        "{",
        "}",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "LIKE",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "AS",
        "JOIN",
        "ON",
        "LEFT",
        "UNION",
        "ALL",
        "WITH",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "INTERVAL '1 day'",
        "EXPLAIN",
        "ANALYZE",
        "SHOW",
        "TABLES",
        "SET",
        "COPY",
        "TO",
        "CREATE",
        "EXTERNAL",
        "TABLE",
        "INSERT",
        "INTO",
        "VALUES",
        ";",
        "--",
        "/*",
        "*/",
        "$$",
        "E'\\'",
        "trace_tree",
        ".",
        "@",
        "$1",
        "LATERAL",
        "OVER",
        "FILTER",
        "EXISTS",
        "ARRAY",
    ];

    #[test]
    fn grouping_sets_are_counted() {
        let columns = |n: usize| (0..n).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
        let group = |by: &str| format!("SELECT count(*) FROM logs GROUP BY {by}");
        let refused = Some((ErrorKind::Rejected, "1024 grouping sets"));
        check(&group(&format!("CUBE ({})", columns(10))), None);
        check(&group(&format!("CUBE ({})", columns(11))), refused);
        check(&group(&format!("CUBE ({})", columns(70))), refused);
        check(&group(&format!("CUBE ({}), ROLLUP (a)", columns(9))), None);
        check(&group(&format!("CUBE ({}), ROLLUP (a, b)", columns(9))), refused);
        check(&group(&format!("GROUPING SETS ({})", ["(a)"; 1_025].join(", "))), refused);
        check(&format!("SELECT * FROM ({}) t", group(&format!("CUBE ({})", columns(30)))), refused);
        check(&format!("EXPLAIN {}", group(&format!("CUBE ({})", columns(30)))), refused);
    }

    #[test]
    fn named_queries_do_not_multiply() {
        let mut text = "WITH a0 AS (SELECT * FROM logs)".to_owned();
        for level in 1..30 {
            text += &format!(", a{level} AS (SELECT * FROM a{} x JOIN a{} y ON true)", level - 1, level - 1);
        }
        check(&format!("{text} SELECT * FROM a3"), Some((ErrorKind::Rejected, "64 tables")));
        check("WITH a AS (SELECT * FROM logs), b AS (SELECT * FROM a, a y) SELECT * FROM b, b y, b z", None);
        let inner = "SELECT * FROM (WITH a AS (SELECT * FROM logs, logs b) SELECT * FROM a, a y, a z) t";
        check(inner, None);
        let nested = format!("WITH b AS ({inner}) SELECT * FROM {}", ["b x"; 12].join(", "));
        check(&nested, Some((ErrorKind::Rejected, "64 tables")));
    }
}
