//! Label sets before samples: `metric{label="value"}`.

use isinglass_promql::Labels;
use isinglass_promql::labels::METRIC_NAME;

use super::quoted;

/// The label set with which a line begins, and what follows.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(crate) fn prefix(line: &str) -> Result<(Labels, &str), String> {
    let (name, rest) = name(line, true);
    let mut labels = Labels::empty().builder();
    labels.set(METRIC_NAME, name);
    let Some(mut rest) = rest.strip_prefix('{') else {
        if name.is_empty() {
            return Err(format!("no metric name and no labels in {line:?}"));
        }
        return Ok((labels.build(), rest));
    };
    loop {
        rest = rest.trim_start();
        if let Some(end) = rest.strip_prefix('}') {
            return Ok((labels.build(), end));
        }
        let (label, value, tail) = pair(rest)?;
        labels.set(&label, &value);
        let tail = tail.trim_start();
        rest = match tail.strip_prefix(',') {
            Some(next) => next,
            None if tail.starts_with('}') => tail,
            None => return Err(format!("no comma or closing brace at {tail:?}")),
        };
    }
}

/// `name="value"`, or a metric name in quotes.
fn pair(text: &str) -> Result<(String, String, &str), String> {
    let (label, rest, in_quotes) = if text.starts_with(['"', '\'', '`']) {
        let (label, rest) = quoted::prefix(text)?;
        (label, rest, true)
    } else {
        let (label, rest) = name(text, false);
        (label.to_owned(), rest, false)
    };
    if label.is_empty() {
        return Err(format!("no label name at {text:?}"));
    }
    match rest.trim_start().strip_prefix('=') {
        Some(value) => {
            let (value, rest) = quoted::prefix(value.trim_start())?;
            Ok((label, value, rest))
        }
        None if in_quotes => Ok((METRIC_NAME.to_owned(), label, rest)),
        None => Err(format!("no value of label {label:?}")),
    }
}

fn name(text: &str, with_colons: bool) -> (&str, &str) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (with_colons && byte == b':');
    match text.bytes().next() {
        Some(first) if !first.is_ascii_digit() => {
            text.split_at(text.bytes().take_while(|byte| fits(*byte)).count())
        }
        _ => ("", text),
    }
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
        check(r#"{"a.metric", "a.b"="c"} 1"#, Some((r#"{__name__="a.metric", "a.b"="c"}"#, " 1")));
        check(r#"m{a=""} 1"#, Some((r#"{__name__="m"}"#, " 1")));
        for wrong in ["", "1", "m{", "m{a}", "m{a=b}", r#"m{a="b" c="d"}"#, "m{a=\"", "é"] {
            check(wrong, None);
        }
    }
}
