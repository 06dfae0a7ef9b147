//! `json_text(value)`: plain text out of the JSON text of an attribute.
//!
//! Attributes without a column of their own stand in maps as JSON text, so that
//! the number 200 is not the string "200". `json_text` takes the quotes off
//! strings and leaves everything else as it is.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JsonText {
    signature: Signature,
}

impl JsonText {
    pub(super) fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonText {
    fn name(&self) -> &str {
        "json_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else { return exec_err!("json_text has one argument") };
        let array = argument.to_array(args.number_rows)?;
        let texts = arrow_cast::cast(&array, &DataType::Utf8View)?;
        let mut plain = StringViewBuilder::with_capacity(array.len());
        for text in texts.as_string_view() {
            match text.map(unquoted) {
                Some(Unquoted::Same(text)) => plain.append_value(text),
                Some(Unquoted::Changed(text)) => plain.append_value(text),
                None => plain.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(plain.finish())))
    }
}

enum Unquoted<'a> {
    Same(&'a str),
    Changed(String),
}

fn unquoted(text: &str) -> Unquoted<'_> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Unquoted::Same(text);
    };
    if !inner.contains('\\') && !inner.contains('"') {
        return Unquoted::Same(inner);
    }
    match serde_json::from_str(text) {
        Ok(plain) => Unquoted::Changed(plain),
        Err(_) => Unquoted::Same(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strings_lose_their_quotes() {
        for (text, wanted) in [
            (r#""a b""#, "a b"),
            (r#""a\"b""#, "a\"b"),
            (r#""\u00e9""#, "é"),
            ("200", "200"),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            ("\"", "\""),
            ("", ""),
        ] {
            let got = match unquoted(text) {
                Unquoted::Same(text) => text.to_owned(),
                Unquoted::Changed(text) => text,
            };
            assert_eq!(got, wanted, "{text}");
        }
    }
}
