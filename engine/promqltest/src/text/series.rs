//! Label sets before samples: `metric{label="value"}`.

use isinglass_lang::promql;
use isinglass_promql::Labels;

/// The label set with which a line begins, and what follows.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(crate) fn prefix(line: &str) -> Result<(Labels, &str), String> {
    let (metric, rest) = line.split_at(end(line));
    if metric.is_empty() {
        return Err(format!("no metric name and no labels in {line:?}"));
    }
    let labels = promql::parse_metric(metric).map_err(|fault| fault.to_string())?;
    Ok((Labels::new(labels), rest))
}

/// Where a label set ends: at its closing brace, or at white space before it has an opening one.
/// What is in quotes ends nothing.
fn end(line: &str) -> usize {
    let (mut in_braces, mut quote, mut escaped) = (false, None, false);
    for (at, char) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"' | '\'') if char == '\\' => escaped = true,
            Some(open) if char == open => quote = None,
            Some(_) => {}
            None if in_braces && matches!(char, '"' | '\'' | '`') => quote = Some(char),
            None if in_braces && char == '}' => return at + 1,
            None if !in_braces && char.is_whitespace() => return at,
            None => in_braces |= char == '{',
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_sets() {
        let check = |line: &str, expected: Option<(&str, &str)>| {
            let got = prefix(line).ok().map(|(labels, rest)| (labels.to_string(), rest));
            assert_eq!(got.as_ref().map(|(labels, rest)| (labels.as_str(), *rest)), expected, "{line:?}");
        };
        check("up 1", Some((r#"{__name__="up"}"#, " 1")));
        check("a:b{} 1", Some((r#"{__name__="a:b"}"#, " 1")));
        check("{} 1", Some(("{}", " 1")));
        check(r#"m{ b = 'x' , a="}", } 1 2"#, Some((r#"{__name__="m", a="}", b="x"}"#, " 1 2")));
        check(r#"m{a="\"}",b=`\`} {{}}"#, Some((r#"{__name__="m", a="\"}", b="\\"}"#, " {{}}")));
        check(r#"{"a.metric", "a.b"="c"} 1"#, Some((r#"{__name__="a.metric", "a.b"="c"}"#, " 1")));
        check(r#"m{a=""} 1"#, Some((r#"{__name__="m"}"#, " 1")));
        check("m", Some((r#"{__name__="m"}"#, "")));
        for wrong in ["", " ", "1", "m{", "m{a}", "m{a=b}", r#"m{a="b" c="d"}"#, "m{a=\"", "é", "{{}}"] {
            check(wrong, None);
        }
    }
}
