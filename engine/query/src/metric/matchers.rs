//! Filters on label columns as matchers of the series index.
//!
//! SQL and PromQL differ where a label is missing: to SQL it is NULL, of which no comparison
//! is true, to a matcher it is the empty text. No series has an empty value, so a filter
//! that wants the label to be there says so with a second matcher, `label != ""`. What is
//! not translated here is asked of label columns.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use isinglass_store::{MatchOp, Matcher};

/// The matchers that together hold for exactly the series for which the filter is true;
/// `None` if there are none that surely do. `label` is the label of a column.
pub(super) fn matchers<'a>(filter: &Expr, label: &impl Fn(&str) -> Option<&'a str>) -> Option<Vec<Matcher>> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let mut both = matchers(left, label)?;
            both.extend(matchers(right, label)?);
            Some(both)
        }
        Expr::BinaryExpr(binary) => compared(binary, label),
        Expr::InList(InList { expr, list, negated }) => {
            let name = column(expr, label)?;
            let nulls = list.iter().filter(|value| is_null(value)).count();
            let values: Vec<&str> = list.iter().filter_map(text).collect();
            match (nulls, *negated) {
                _ if nulls + values.len() < list.len() => None,
                // Whether a value is NULL is unknown, so none is surely not in the list.
                (1.., true) => Some(one_of(name, &[], false)),
                (_, negated) => Some(one_of(name, &values, negated)),
            }
        }
        Expr::Like(Like { negated, expr, pattern, escape_char: None, case_insensitive: false }) => {
            let pattern = text(pattern).filter(|pattern| !pattern.contains('\\'))?;
            Some(expression(column(expr, label)?, like(pattern), *negated))
        }
        Expr::IsNull(expr) => Some(vec![Matcher::new(column(expr, label)?, MatchOp::Equal, "")]),
        Expr::IsNotNull(expr) => Some(vec![is_there(column(expr, label)?)]),
        _ => None,
    }
}

fn compared<'a>(binary: &BinaryExpr, label: &impl Fn(&str) -> Option<&'a str>) -> Option<Vec<Matcher>> {
    let BinaryExpr { left, op, right } = binary;
    let sides = column(left, label).zip(text(right));
    // An equation may stand the other way round.
    let turned =
        || column(right, label).zip(text(left)).filter(|_| matches!(op, Operator::Eq | Operator::NotEq));
    let (name, value) = sides.or_else(turned)?;
    match op {
        Operator::Eq => Some(one_of(name, &[value], false)),
        Operator::NotEq => Some(one_of(name, &[value], true)),
        Operator::RegexMatch => Some(expression(name, searched(value, "-s")?, false)),
        Operator::RegexNotMatch => Some(expression(name, searched(value, "-s")?, true)),
        Operator::RegexIMatch => Some(expression(name, searched(value, "i-s")?, false)),
        Operator::RegexNotIMatch => Some(expression(name, searched(value, "i-s")?, true)),
        _ => None,
    }
}

/// The label of a column, through casts from text to text.
fn column<'a>(expr: &Expr, label: &impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    match expr {
        Expr::Column(column) => label(&column.name),
        Expr::Cast(cast) if is_text(cast.field.data_type()) => column(&cast.expr, label),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// A literal text that is not NULL.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Cast(cast) if is_text(cast.field.data_type()) => text(&cast.expr),
        _ => None,
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        _ => false,
    }
}

fn is_there(name: &str) -> Matcher {
    Matcher::new(name, MatchOp::NotEqual, "")
}

/// `name IN (values)`, or not.
fn one_of(name: &str, values: &[&str], negated: bool) -> Vec<Matcher> {
    let values: Vec<&str> = values.iter().copied().filter(|value| !value.is_empty()).collect();
    let named = match (values.as_slice(), negated) {
        // Nobody has the empty value: nothing is in it, and everything is not.
        ([], false) => Matcher::new(name, MatchOp::Equal, ""),
        ([], true) => return vec![is_there(name)],
        ([one], false) => return vec![Matcher::new(name, MatchOp::Equal, *one)],
        ([one], true) => Matcher::new(name, MatchOp::NotEqual, *one),
        (many, negated) => {
            let escaped: Vec<String> = many.iter().map(|value| escape(value)).collect();
            Matcher::new(name, regex(negated), escaped.join("|"))
        }
    };
    vec![is_there(name), named]
}

fn expression(name: &str, value: String, negated: bool) -> Vec<Matcher> {
    vec![is_there(name), Matcher::new(name, regex(negated), value)]
}

fn regex(negated: bool) -> MatchOp {
    if negated { MatchOp::NotRegex } else { MatchOp::Regex }
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        if letter.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(letter);
        out
    })
}

/// A pattern of LIKE without escapes.
fn like(pattern: &str) -> String {
    let part = |letter: char| match letter {
        '%' => ".*".to_owned(),
        '_' => ".".to_owned(),
        other => escape(other.encode_utf8(&mut [0; 4])),
    };
    pattern.chars().map(part).collect()
}

/// An expression that is searched for in a value, where `.` does not match a line feed. Only
/// of those parts of the syntax that RE2 and DataFusion's `regex` read alike.
fn searched(expression: &str, flags: &str) -> Option<String> {
    let mut depth = 0_usize;
    let mut last = ' ';
    for letter in expression.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '?' if last == '(' => return None,
            '\\' | '[' | ']' | '{' | '}' => return None,
            _ => {}
        }
        last = letter;
    }
    (depth == 0).then(|| format!(".*(?{flags}:{expression}).*"))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{Between, cast, col, lit};

    use super::*;

    fn check(filter: Expr, wanted: &str) {
        let label = |name: &str| (name == "l").then_some("label");
        let got = matchers(&filter, &label).map(|all| {
            let all: Vec<String> = all.iter().map(Matcher::to_string).collect();
            all.join(" ")
        });
        assert_eq!(got.as_deref().unwrap_or("none"), wanted, "{filter}");
    }

    fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
    }

    #[test]
    fn comparisons() {
        check(col("l").eq(lit("a")), r#"label="a""#);
        check(lit("a").eq(cast(col("l"), DataType::Utf8)), r#"label="a""#);
        check(col("l").eq(lit("")), r#"label!="" label="""#);
        check(col("l").not_eq(lit("a")), r#"label!="" label!="a""#);
        check(col("l").not_eq(lit("")), r#"label!="""#);
        check(col("l").is_null(), r#"label="""#);
        check(col("l").is_not_null(), r#"label!="""#);
        check(col("l").eq(lit("a")).and(col("l").is_null()), r#"label="a" label="""#);
        check(col("l").in_list(vec![lit("a.b"), lit(""), lit("c")], false), r#"label!="" label=~"a\\.b|c""#);
        check(col("l").in_list(vec![lit("a"), lit("b")], true), r#"label!="" label!~"a|b""#);
        check(col("l").in_list(vec![lit("")], true), r#"label!="""#);
        let null = || lit(datafusion::common::ScalarValue::Utf8(None));
        check(col("l").in_list(vec![lit("a"), null()], false), r#"label="a""#);
        check(col("l").in_list(vec![lit("a"), null()], true), r#"label!="" label="""#);
    }

    #[test]
    fn patterns() {
        check(col("l").like(lit("a.%_")), r#"label!="" label=~"a\\..*.""#);
        check(col("l").not_like(lit("%")), r#"label!="" label!~".*""#);
        let search = |op, text: &str| binary(col("l"), op, lit(text));
        check(search(Operator::RegexMatch, "^a|b$"), r#"label!="" label=~".*(?-s:^a|b$).*""#);
        check(search(Operator::RegexNotIMatch, "(a)"), r#"label!="" label!~".*(?i-s:(a)).*""#);
    }

    #[test]
    fn what_might_mean_another_thing_is_left() {
        check(col("x").eq(lit("a")), "none");
        check(col("l").gt(lit("a")), "none");
        check(col("l").eq(lit(datafusion::common::ScalarValue::Utf8(None))), "none");
        check(col("l").eq(lit("a")).or(col("l").eq(lit("b"))), "none");
        check(cast(col("l"), DataType::Int64).eq(lit(1)), "none");
        check(col("l").like(lit("a\\%")), "none");
        check(col("l").ilike(lit("a")), "none");
        for expression in ["\\d", "[a]", "a{2}", "(?i)a", "a)(b", "(a"] {
            check(binary(col("l"), Operator::RegexMatch, lit(expression)), "none");
        }
        let between = Between::new(Box::new(col("l")), false, Box::new(lit("a")), Box::new(lit("b")));
        check(Expr::Between(between), "none");
    }
}
