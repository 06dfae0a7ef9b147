//! `has_token(text, token)`: whether a text has a token as a whole.
//!
//! `has_token(body, 'u123')` holds for `user=u123;` and not for `user=u1234;`. What a token
//! is says [`isinglass_model::tokens`]; a scan of `logs` leaves out the rows that cannot have
//! one ([`crate::table`]).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayAccessor, ArrayRef, BooleanArray, StringViewArray};
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use isinglass_model::ErrorKind;
use isinglass_model::tokens::TokenFinder;

use crate::error::QueryError;

mod views;

/// The name of the function.
pub(crate) const HAS_TOKEN: &str = "has_token";

/// Bytes of the token that is looked for. Where it is nearly everywhere and nowhere whole,
/// each place costs as much as it is long.
const TOKEN_BYTES_MAX: usize = 1_024;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HasToken {
    signature: Signature,
}

impl HasToken {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for HasToken {
    fn name(&self) -> &str {
        HAS_TOKEN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// Columns stay as they are; a token is always a view.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, token] = types else {
            return plan_err!("has_token has two arguments, a text and a token, not {}", types.len());
        };
        for ty in [text, token] {
            if !is_text(ty) {
                return plan_err!("has_token wants text, not {ty}");
            }
        }
        let text = if *text == DataType::Null { &DataType::Utf8View } else { text };
        Ok(vec![text.clone(), DataType::Utf8View])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, token] = args.args.as_slice() else { return exec_err!("has_token has two arguments") };
        let token = match token {
            ColumnarValue::Scalar(ScalarValue::Utf8View(token)) => token.as_deref(),
            other => return rows(&text.to_array(args.number_rows)?, &other.to_array(args.number_rows)?),
        };
        let Some(token) = token else { return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None))) };
        let finder = finder(token)?;
        match text {
            ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(with(texts, &finder)?)),
            ColumnarValue::Scalar(text) => {
                let found = with(&text.to_array()?, &finder)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?))
            }
        }
    }
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn finder(token: &str) -> Result<TokenFinder<'_>> {
    if token.len() > TOKEN_BYTES_MAX {
        let message = format!("has_token: a token of {} bytes; it may have {TOKEN_BYTES_MAX}", token.len());
        return Err(QueryError::new(ErrorKind::Rejected, message).into());
    }
    Ok(TokenFinder::new(token))
}

/// One token in all texts. Of a dictionary every value is looked at once.
fn with(texts: &ArrayRef, finder: &TokenFinder<'_>) -> Result<ArrayRef> {
    if let Some(dictionary) = texts.as_any_dictionary_opt() {
        let of_values = with(dictionary.values(), finder)?;
        return Ok(arrow_select::take::take(&of_values, dictionary.keys(), None)?);
    }
    Ok(Arc::new(match texts.data_type() {
        DataType::Utf8 => found(texts.as_string::<i32>(), finder),
        DataType::LargeUtf8 => found(texts.as_string::<i64>(), finder),
        _ => match texts.as_string_view_opt() {
            Some(texts) => views::found(texts, finder).unwrap_or_else(|| found(texts, finder)),
            None => return exec_err!("has_token wants text, not {}", texts.data_type()),
        },
    }))
}

fn found<'a>(texts: impl ArrayAccessor<Item = &'a str>, finder: &TokenFinder<'_>) -> BooleanArray {
    BooleanArray::from_unary(texts, |text| finder.is_in(text))
}

/// Another token for each text.
fn rows(texts: &ArrayRef, tokens: &ArrayRef) -> Result<ColumnarValue> {
    let texts = arrow_cast::cast(texts, &DataType::Utf8View)?;
    let (texts, tokens): (&StringViewArray, _) = (texts.as_string_view(), tokens.as_string_view());
    let found = texts.iter().zip(tokens).map(|(text, token)| match text.zip(token) {
        Some((text, token)) => Ok(Some(finder(token)?.is_in(text))),
        None => Ok(None),
    });
    Ok(ColumnarValue::Array(Arc::new(found.collect::<Result<BooleanArray>>()?)))
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, LargeStringArray, StringArray};

    use super::*;

    #[test]
    fn texts_of_all_types() {
        let texts = [Some("id=abc1;"), None, Some("id=abc12;"), Some("")];
        let arrays: [ArrayRef; 4] = [
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(LargeStringArray::from(texts.to_vec())),
            Arc::new(StringViewArray::from(texts.to_vec())),
            Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ];
        for array in arrays {
            let found = with(&array, &TokenFinder::new("abc1")).unwrap();
            assert_eq!(
                found.as_boolean(),
                &BooleanArray::from(vec![Some(true), None, Some(false), Some(false)])
            );
            let found = with(&array.slice(2, 2), &TokenFinder::new("abc12")).unwrap();
            assert_eq!(found.as_boolean(), &BooleanArray::from(vec![true, false]));
        }
    }

    #[test]
    fn a_token_for_each_row() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a b"), Some("a b"), None, Some("a")]));
        let tokens: ArrayRef = Arc::new(StringViewArray::from(vec![Some("b"), Some("c"), Some("a"), None]));
        let ColumnarValue::Array(found) = rows(&texts, &tokens).unwrap() else { panic!("no array") };
        assert_eq!(found.as_boolean(), &BooleanArray::from(vec![Some(true), Some(false), None, None]));
    }
}
