//! Tokens of PromQL and how error messages name them.

use super::ast::{AggregateOp, BinaryOp, Span};
use super::quoted;

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`.
    Equal,
    /// `=~`, inside braces only.
    Matches,
    /// `!~`, inside braces only.
    NotMatches,
    At,
    /// A word without `:`.
    Identifier,
    /// A word with `:`.
    MetricIdentifier,
    Text,
    Number,
    Duration,
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    /// The end of the text.
    End,
    /// Here the lexer gave up.
    Failed,
}

/// Words that are neither operators nor aggregations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Anchored,
    Bool,
    By,
    End,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    MaxOf,
    MinOf,
    Offset,
    On,
    Range,
    Smoothed,
    Start,
    Step,
    Without,
}

impl Keyword {
    /// Names of functions that the lexer knows, too.
    pub(super) fn is_function(self) -> bool {
        matches!(self, Self::End | Self::MaxOf | Self::MinOf | Self::Range | Self::Start | Self::Step)
    }

    /// Whether a metric may have this name without quotes.
    pub(super) fn is_metric_name(self) -> bool {
        self.is_function()
            || matches!(self, Self::Anchored | Self::By | Self::Offset | Self::Smoothed | Self::Without)
    }

    /// Whether a label may have this name in `by (…)` and its like.
    pub(super) fn is_label_name(self) -> bool {
        !matches!(self, Self::Fill | Self::FillLeft | Self::FillRight | Self::Without)
    }
}

impl Kind {
    /// What a word is, upper and lower case alike.
    pub(super) fn of_word(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        if let Some((_, kind)) = WORDS.iter().find(|(known, _)| *known == lower) {
            *kind
        } else if word.contains(':') {
            Self::MetricIdentifier
        } else {
            Self::Identifier
        }
    }
}

const WORDS: [(&str, Kind); 39] = {
    use AggregateOp as A;
    use BinaryOp as B;
    use Keyword as K;
    use Kind::{Aggregate, Keyword as Word, Number, Operator};
    [
        ("and", Operator(B::And)),
        ("or", Operator(B::Or)),
        ("unless", Operator(B::Unless)),
        ("atan2", Operator(B::Atan2)),
        ("sum", Aggregate(A::Sum)),
        ("avg", Aggregate(A::Avg)),
        ("count", Aggregate(A::Count)),
        ("min", Aggregate(A::Min)),
        ("max", Aggregate(A::Max)),
        ("group", Aggregate(A::Group)),
        ("stddev", Aggregate(A::Stddev)),
        ("stdvar", Aggregate(A::Stdvar)),
        ("topk", Aggregate(A::Topk)),
        ("bottomk", Aggregate(A::Bottomk)),
        ("count_values", Aggregate(A::CountValues)),
        ("quantile", Aggregate(A::Quantile)),
        ("limitk", Aggregate(A::Limitk)),
        ("limit_ratio", Aggregate(A::LimitRatio)),
        ("anchored", Word(K::Anchored)),
        ("bool", Word(K::Bool)),
        ("by", Word(K::By)),
        ("end", Word(K::End)),
        ("fill", Word(K::Fill)),
        ("fill_left", Word(K::FillLeft)),
        ("fill_right", Word(K::FillRight)),
        ("group_left", Word(K::GroupLeft)),
        ("group_right", Word(K::GroupRight)),
        ("ignoring", Word(K::Ignoring)),
        ("max_of", Word(K::MaxOf)),
        ("min_of", Word(K::MinOf)),
        ("offset", Word(K::Offset)),
        ("on", Word(K::On)),
        ("range", Word(K::Range)),
        ("smoothed", Word(K::Smoothed)),
        ("start", Word(K::Start)),
        ("step", Word(K::Step)),
        ("without", Word(K::Without)),
        ("inf", Number),
        ("nan", Number),
    ]
};

/// Characters of a text shown in an error.
const SHOWN_CHARS_MAX: usize = 10;

impl Token {
    /// The bytes of the token.
    pub(super) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.span.start..self.span.end).unwrap_or_default()
    }

    /// The token as error messages of Prometheus name it: `identifier "foo"`, `<op:+>`, `")"`.
    pub(super) fn described(&self, text: &str) -> String {
        let written = self.text(text);
        match self.kind {
            Kind::End => "end of input".into(),
            Kind::Identifier => format!("identifier {}", quoted(written)),
            Kind::MetricIdentifier => format!("metric identifier {}", quoted(written)),
            Kind::Text => format!("string {}", shown(written)),
            Kind::Number => format!("number {}", shown(written)),
            Kind::Duration => format!("duration {}", shown(written)),
            Kind::Operator(_) | Kind::Matches | Kind::NotMatches | Kind::At => format!("<op:{written}>"),
            Kind::Aggregate(_) => format!("<aggr:{written}>"),
            Kind::Keyword(keyword) if !keyword.is_function() => format!("<{written}>"),
            _ => shown(written),
        }
    }
}

/// In quotes, cut where it is long.
fn shown(written: &str) -> String {
    if written.len() <= SHOWN_CHARS_MAX {
        return quoted(written);
    }
    let start: String = written.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{}...", quoted(&start))
}
