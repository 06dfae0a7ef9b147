//! Limits on a query text, checked before any parser sees it.
//!
//! Parsers and planners recurse. A chain of 10,000 `+` overflows their stack,
//! which no code can catch: one text would end the process for every tenant. So
//! the depth of the tree that a text can grow into is bounded here, from its
//! tokens alone, in one linear pass without recursion.

use std::fmt;

use crate::token::{Lexer, TokenKind};

/// How large a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub text_bytes_max: usize,
    /// Tokens, white space and comments not counted.
    pub tokens_max: usize,
    /// Brackets inside brackets.
    pub brackets_max: usize,
    /// Depth of the tree: along any path, brackets plus operators of a chain.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes_max: 64 << 10, tokens_max: 20_000, brackets_max: 48, depth_max: 256 }
    }
}

/// Why a text is not handed to a parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// More bytes than [`Limits::text_bytes_max`].
    TooLong {
        /// Its length.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// More tokens than [`Limits::tokens_max`].
    TooManyTokens {
        /// The limit.
        limit: usize,
        /// Where the first token beyond it starts.
        offset: usize,
    },
    /// More open brackets than [`Limits::brackets_max`].
    TooManyBrackets {
        /// The limit.
        limit: usize,
        /// Where the first bracket beyond it stands.
        offset: usize,
    },
    /// A deeper tree than [`Limits::depth_max`].
    TooDeep {
        /// The limit.
        limit: usize,
        /// Where it is reached.
        offset: usize,
    },
}

impl Fault {
    /// Byte offset of the first thing that is too much.
    pub fn offset(&self) -> usize {
        match *self {
            Self::TooLong { limit, .. } => limit,
            Self::TooManyTokens { offset, .. }
            | Self::TooManyBrackets { offset, .. }
            | Self::TooDeep { offset, .. } => offset,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { got, limit } => write!(f, "the query has {got} bytes, the limit is {limit}"),
            Self::TooManyTokens { limit, .. } => write!(f, "the query has more than {limit} tokens"),
            Self::TooManyBrackets { limit, .. } => {
                write!(f, "the query has more than {limit} brackets nested in each other")
            }
            Self::TooDeep { limit, .. } => write!(
                f,
                "the query is nested deeper than {limit} levels; a chain like `a + b + c` or `x OR y OR z` counts one level an operator, `IN (...)` does not"
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// Checks a text against limits, in time linear in its length.
pub fn check(text: &str, limits: &Limits) -> Result<(), Fault> {
    if text.len() > limits.text_bytes_max {
        return Err(Fault::TooLong { got: text.len(), limit: limits.text_bytes_max });
    }
    let mut meter = Meter::new(*limits);
    for token in Lexer::new(text) {
        let part = match token.kind {
            TokenKind::Space | TokenKind::Comment => continue,
            TokenKind::Word => Part::Word(token.text(text)),
            TokenKind::Open => Part::Open,
            TokenKind::Close => Part::Close,
            TokenKind::Comma => Part::Comma,
            TokenKind::Symbol => Part::Operator,
            TokenKind::QuotedName
            | TokenKind::Text
            | TokenKind::Number
            | TokenKind::Semicolon
            | TokenKind::Dot => Part::Other,
        };
        meter.push(part, token.start)?;
    }
    Ok(())
}

/// What the meter needs to know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// An unquoted word.
    Word(&'a str),
    /// An opening bracket.
    Open,
    /// A closing bracket.
    Close,
    /// A comma.
    Comma,
    /// An operator.
    Operator,
    /// Anything that adds no depth.
    Other,
}

/// Measures the depth of the tree while tokens pass by. Fed by [`check`], and by
/// whoever has tokens of another lexer and wants the same limits on them.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    tokens: usize,
    levels: Vec<Level>,
}

/// What is between two brackets.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// Joins, set operations, named queries: each lies on top of those before.
    chain: usize,
    /// Operators of the expression at hand.
    operators: usize,
    /// The deepest bracket of the expression at hand.
    deepest: usize,
    /// Commas here make joins or named queries.
    listing: bool,
}

impl Level {
    fn depth(&self) -> usize {
        1 + self.chain + self.operators + self.deepest
    }

    /// Moves what the expression at hand weighs out of the way.
    fn next_expression(&mut self) {
        (self.operators, self.deepest) = (0, 0);
    }
}

impl Meter {
    /// Starts with an empty text.
    pub fn new(limits: Limits) -> Self {
        Self { limits, tokens: 0, levels: vec![Level::default()] }
    }

    /// Takes the next token, which stands at `offset`.
    pub fn push(&mut self, part: Part<'_>, offset: usize) -> Result<(), Fault> {
        self.tokens += 1;
        if self.tokens > self.limits.tokens_max {
            return Err(Fault::TooManyTokens { limit: self.limits.tokens_max, offset });
        }
        match part {
            Part::Open => {
                // A subscript or a call on top of a call is a level, too.
                self.top().operators += 1;
                self.levels.push(Level::default());
            }
            Part::Close => self.close(),
            Part::Comma => {
                let top = self.top();
                if top.listing {
                    top.chain += 1;
                }
                top.next_expression();
            }
            Part::Operator => self.top().operators += 1,
            Part::Word(word) => self.word(word),
            Part::Other => {}
        }
        if self.levels.len() > self.limits.brackets_max + 1 {
            return Err(Fault::TooManyBrackets { limit: self.limits.brackets_max, offset });
        }
        if self.depth() > self.limits.depth_max {
            return Err(Fault::TooDeep { limit: self.limits.depth_max, offset });
        }
        Ok(())
    }

    /// Depth of the tree at this point: at most `brackets_max` levels are summed.
    fn depth(&self) -> usize {
        self.levels.iter().map(Level::depth).sum()
    }

    fn top(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn close(&mut self) {
        // A bracket that closes nothing is the parser's to report.
        if self.levels.len() > 1
            && let Some(level) = self.levels.pop()
        {
            let top = self.top();
            top.deepest = top.deepest.max(level.depth());
        }
    }

    fn word(&mut self, word: &str) {
        let top = self.top();
        match class_of(word) {
            Class::Operator => top.operators += 1,
            Class::Chain => {
                top.chain += 1;
                top.next_expression();
            }
            Class::Clause { listing } => {
                top.listing = listing;
                top.next_expression();
            }
            Class::Condition => top.next_expression(),
            Class::Other => {}
        }
    }
}

enum Class {
    Operator,
    Chain,
    Clause { listing: bool },
    Condition,
    Other,
}

const OPERATORS: [&str; 24] = [
    "AND", "AT", "BETWEEN", "CASE", "COLLATE", "DIV", "ESCAPE", "EXISTS", "EXPLAIN", "GLOB", "ILIKE", "IN",
    "IS", "ISNULL", "LIKE", "MATCH", "NOT", "NOTNULL", "OR", "OVERLAPS", "REGEXP", "RLIKE", "SIMILAR", "XOR",
];
const CHAINS: [&str; 11] = [
    "APPLY",
    "ANALYZE",
    "EXCEPT",
    "INTERSECT",
    "JOIN",
    "LATERAL",
    "MINUS",
    "PIVOT",
    "TABLESAMPLE",
    "UNION",
    "UNPIVOT",
];
/// Clauses of a query; after the second kind commas make joins or named queries.
const CLAUSES: [&str; 8] = ["SELECT", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET"];
const LISTS: [&str; 2] = ["FROM", "WITH"];

fn class_of(word: &str) -> Class {
    let among = |list: &[&str]| list.iter().any(|entry| entry.eq_ignore_ascii_case(word));
    // The longest of them; most words are names and leave here.
    if word.len() > 11 {
        Class::Other
    } else if among(&OPERATORS) {
        Class::Operator
    } else if among(&CHAINS) {
        Class::Chain
    } else if among(&LISTS) {
        Class::Clause { listing: true }
    } else if among(&CLAUSES) {
        Class::Clause { listing: false }
    } else if word.eq_ignore_ascii_case("ON") {
        // still inside FROM
        Class::Condition
    } else {
        Class::Other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_text(text: &str, wanted: Option<&str>) {
        let got = check(text, &Limits::default()).err().map(|fault| fault.to_string());
        let shown: String = text.chars().take(60).collect();
        match wanted {
            None => assert_eq!(got, None, "{shown}"),
            Some(wanted) => assert!(got.as_deref().unwrap_or("passed").contains(wanted), "{shown}: {got:?}"),
        }
    }

    fn chain(first: &str, link: &str, links: usize) -> String {
        format!("SELECT {first}{}", link.repeat(links))
    }

    #[test]
    fn chains() {
        for (first, link) in [
            ("1", "+1"),
            ("value = 1", " OR value = 1"),
            ("'a'", "||'a'"),
            ("1", "::int"),
            ("x", "[1]"),
            ("a FROM t", " JOIN t ON true"),
            ("a FROM t", ", t"),
            ("a FROM t JOIN t ON true", ", t"),
            ("1", " UNION ALL SELECT 1"),
            ("1 IS NULL", " IS NULL"),
            ("", "NOT "),
            ("", "- "),
            ("", "CASE WHEN "),
        ] {
            check_text(&chain(first, link, 80), None);
            check_text(&chain(first, link, 300), Some("nested deeper"));
        }
    }

    #[test]
    fn brackets() {
        check_text(&format!("SELECT {}1{}", "(".repeat(40), ")".repeat(40)), None);
        check_text(&format!("SELECT {}", "(".repeat(100)), Some("brackets"));
        check_text(&format!("SELECT {}", "[".repeat(100)), Some("brackets"));
        // a chain inside each bracket
        check_text(&format!("SELECT {}1", "(1+1+1+1+1+1+1+1+1+1+".repeat(40)), Some("nested deeper"));
        // the chain after the bracket lies on top of it
        let inner = format!("({})", "1+".repeat(200) + "1");
        check_text(&format!("SELECT {inner}{}", "+1".repeat(100)), Some("nested deeper"));
    }

    #[test]
    fn wide_is_not_deep() {
        check_text(&format!("SELECT x IN ({}1)", "1,".repeat(5_000)), None);
        check_text(&format!("SELECT {}1", "a+1,".repeat(1_000)), None);
        check_text(&format!("SELECT {}1)", format!("f({}", "a+1,".repeat(1_000))), None);
    }

    #[test]
    fn quotes_hide_nothing_and_nothing_hides_in_them() {
        check_text(&format!("SELECT '{}'", "((((".repeat(1_000)), None);
        check_text(&format!("SELECT 1 /* ' */ {}", "+1".repeat(1_000)), Some("nested deeper"));
        check_text(&format!("SELECT 1 -- '\n {}", "+1".repeat(1_000)), Some("nested deeper"));
    }

    #[test]
    fn sizes() {
        check_text(&" ".repeat(70_000), Some("70000 bytes"));
        check_text(&"1,".repeat(15_000), Some("tokens"));
    }

    #[test]
    fn stays_linear() {
        // Quadratic work on these would take minutes.
        let limits = Limits { text_bytes_max: 32 << 20, tokens_max: usize::MAX, ..Limits::default() };
        for piece in ["a ", "1,", "() ", "'' ", "/**/", "-", "\\"] {
            let text = piece.repeat((1 << 20) / piece.len());
            let _ = check(&text, &limits);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,300}") {
            let _ = check(&text, &Limits::default());
        }

        #[test]
        fn never_panics_on_brackets(text in "[()\\[\\],+ aONR'\"-]{0,300}") {
            let limits = Limits { brackets_max: 3, depth_max: 9, ..Limits::default() };
            let _ = check(&text, &limits);
        }
    }
}
