//! `stream_label(stream, 'name')`: the value of one label of a log stream.
//!
//! A stream is the canonical text of its labels, `{app="web", env="prod"}`.
//! Rows of one stream lie together, so a text is read once, not once a row.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, StringViewArray};
use arrow_schema::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use hashbrown::HashMap;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamLabel {
    signature: Signature,
}

impl StreamLabel {
    pub(super) fn new() -> Self {
        Self { signature: Signature::string(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for StreamLabel {
    fn name(&self) -> &str {
        "stream_label"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [stream, name] = args.args.as_slice() else { return exec_err!("stream_label has two arguments") };
        let views = |argument: &ColumnarValue| {
            let array = argument.to_array(args.number_rows)?;
            Ok::<_, datafusion::common::DataFusionError>(arrow_cast::cast(&array, &DataType::Utf8View)?)
        };
        let (streams, names) = (views(stream)?, views(name)?);
        let labels = labels(streams.as_string_view(), names.as_string_view());
        Ok(ColumnarValue::Array(Arc::new(labels)))
    }
}

fn labels(streams: &StringViewArray, names: &StringViewArray) -> StringViewArray {
    let mut found = StringViewBuilder::with_capacity(streams.len());
    // Equal views are equal texts; texts that are equal in two places are read twice.
    let mut known = HashMap::<(u128, u128), Option<String>, ahash::RandomState>::default();
    for row in 0..streams.len() {
        if streams.is_null(row) || names.is_null(row) {
            found.append_null();
            continue;
        }
        let key = (streams.views()[row], names.views()[row]);
        let value = known.entry(key).or_insert_with(|| label(streams.value(row), names.value(row)));
        found.append_option(value.as_deref());
    }
    found.finish()
}

/// The value of one label in canonical text; `None` if it has none.
fn label(stream: &str, wanted: &str) -> Option<String> {
    let mut rest = stream.strip_prefix('{')?;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = quoted(after)?;
        if name.trim() == wanted {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(',')?;
    }
}

/// A quoted text and what follows it. Escapes as Go writes them, which is what
/// Loki's clients send.
fn quoted(text: &str) -> Option<(String, &str)> {
    let body = text.trim_start().strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &body[at + 1..])),
            '\\' => value.push(escaped(&mut chars)?),
            c => value.push(c),
        }
    }
    None
}

fn escaped(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let digits = |chars: &mut std::str::CharIndices<'_>, count: usize| {
        let code = (0..count).try_fold(0, |code, _| Some(code * 16 + chars.next()?.1.to_digit(16)?))?;
        char::from_u32(code)
    };
    Some(match chars.next()?.1 {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        'x' => digits(chars, 2)?,
        'u' => match chars.as_str().starts_with('{') {
            true => braced(chars)?,
            false => digits(chars, 4)?,
        },
        'U' => digits(chars, 8)?,
        other => other,
    })
}

/// `{1f600}`, as Rust writes it.
fn braced(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let mut code = 0_u32;
    chars.next()?;
    for (_, c) in chars.by_ref() {
        if c == '}' {
            return char::from_u32(code);
        }
        code = code.checked_mul(16)?.checked_add(c.to_digit(16)?)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values() {
        let stream = r#"{app="web", env="a \"b\" = \\c\n", x.y="1"}"#;
        for (name, wanted) in
            [("app", Some("web")), ("env", Some("a \"b\" = \\c\n")), ("x.y", Some("1")), ("no", None)]
        {
            assert_eq!(label(stream, name).as_deref(), wanted, "{name}");
        }
        for broken in ["", "{", "{}", "{a}", "{a=b}", "{a=\"b", "{a=\"b\"", "{a=\"\\u00"] {
            assert_eq!(label(broken, "z"), None, "{broken}");
        }
    }

    #[test]
    fn a_stream_is_read_once() {
        let streams: StringViewArray =
            vec![Some("{a=\"1\"}"), Some("{a=\"1\"}"), None, Some("{a=\"2\"}")].into();
        let names: StringViewArray = vec![Some("a"); 4].into();
        let found = labels(&streams, &names);
        assert_eq!(found.iter().collect::<Vec<_>>(), [Some("1"), Some("1"), None, Some("2")]);
    }

    proptest! {
        #[test]
        fn whatever_rust_quotes_comes_back(value in "\\PC{0,20}", other: String) {
            let stream = format!("{{other={other:?}, a={value:?}}}");
            prop_assert_eq!(label(&stream, "a"), Some(value));
        }

        #[test]
        fn never_panics(stream in "[{}a=\",\\\\ux0 ]{0,40}") {
            let _ = label(&stream, "a");
        }
    }
}
