//! Types that a query names, before anybody makes them.
//!
//! `arrow_cast(x, 'List(List(…')` has a parser of its own, which recurses over a text that no gate
//! has measured, and a null of the type `INT[2000000000]` takes memory for all its elements.

use std::ops::ControlFlow;

use arrow_schema::DataType;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Value, Visit, Visitor,
};
use isinglass_model::ErrorKind;

use crate::error::QueryError;

/// Bytes of a type in a text: nobody nests lists deeper than this can.
const TEXT_BYTES_MAX: usize = 256;

/// Elements or bytes of a type of fixed size, the product of those inside each other.
const FIXED_MAX: u64 = 1_024;

/// Refuses types that are too large.
pub(crate) fn check(query: &impl Visit) -> Result<(), QueryError> {
    match query.visit(&mut Types) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Types;

impl Visitor for Types {
    type Break = QueryError;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        let checked = match expr {
            Expr::Cast { data_type, .. } => fixed(fixed_of_sql(data_type)),
            Expr::Function(function) if has_type_in_text(function) => texts(function),
            _ => Ok(()),
        };
        checked.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

/// `arrow_cast` and its like.
fn has_type_in_text(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    name.is_some_and(|name| {
        let name = name.value.as_bytes();
        name.len() >= 5 && name[..5].eq_ignore_ascii_case(b"arrow")
    })
}

/// Checks all arguments that are texts; the first one may be a text that is no type.
fn texts(function: &Function) -> Result<(), QueryError> {
    let FunctionArguments::List(list) = &function.args else { return Ok(()) };
    let expressions = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => Some(expr),
        _ => None,
    });
    for expr in expressions.skip(1) {
        if let Expr::Value(value) = expr
            && let Some(text) = text_of(&value.value)
        {
            check_text(text)?;
        }
    }
    Ok(())
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::Number(..) | Value::Boolean(_) | Value::Null | Value::Placeholder(_) => None,
        Value::DollarQuotedString(text) => Some(&text.value),
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text)
        | Value::NationalStringLiteral(text)
        | Value::DoubleQuotedString(text)
        | Value::HexStringLiteral(text)
        | Value::TripleSingleQuotedString(text)
        | Value::TripleDoubleQuotedString(text)
        | Value::SingleQuotedRawStringLiteral(text)
        | Value::DoubleQuotedRawStringLiteral(text) => Some(text),
        _ => None,
    }
}

fn check_text(text: &str) -> Result<(), QueryError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("a type has {} bytes, the limit is {TEXT_BYTES_MAX}", text.len());
        return Err(QueryError::new(ErrorKind::Rejected, message));
    }
    // What is no type is the planner's to report.
    text.parse::<DataType>().map_or(Ok(()), |data_type| fixed(fixed_of(&data_type)))
}

fn fixed(elements: u64) -> Result<(), QueryError> {
    if elements <= FIXED_MAX {
        return Ok(());
    }
    let message = format!("a type of fixed size has {elements} elements, the limit is {FIXED_MAX}");
    Err(QueryError::new(ErrorKind::Rejected, message))
}

/// Elements of a value, nulls as well.
fn fixed_of(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeBinary(bytes) => u64::try_from(*bytes).unwrap_or(u64::MAX),
        DataType::FixedSizeList(inner, size) => {
            u64::try_from(*size).unwrap_or(u64::MAX).saturating_mul(fixed_of(inner.data_type()))
        }
        DataType::List(inner) | DataType::LargeList(inner) | DataType::Map(inner, _) => {
            fixed_of(inner.data_type())
        }
        DataType::Struct(fields) => fields.iter().map(|field| fixed_of(field.data_type())).sum(),
        DataType::Dictionary(_, values) => fixed_of(values),
        _ => 1,
    }
}

fn fixed_of_sql(data_type: &SqlType) -> u64 {
    match data_type {
        SqlType::Array(ArrayElemTypeDef::SquareBracket(inner, size)) => {
            size.unwrap_or(1).max(1).saturating_mul(fixed_of_sql(inner))
        }
        SqlType::Array(ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::Parenthesis(inner)) => {
            fixed_of_sql(inner)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};

    use super::*;

    fn check_sql(sql: &str, wanted: Option<&str>) {
        let statement = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
        let got = check(&statement).err().map(|error| error.to_string());
        match wanted {
            None => assert_eq!(got, None, "{sql:.60}"),
            Some(part) => assert!(got.as_deref().unwrap_or("passed").contains(part), "{sql:.60}: {got:?}"),
        }
    }

    #[test]
    fn types() {
        check_sql("SELECT arrow_cast(1, 'Timestamp(Nanosecond, None)'), arrow_typeof(2)", None);
        check_sql("SELECT CAST('x' AS INT[3]), arrow_cast(NULL, 'FixedSizeList(16, Float32)')", None);
        let deep = format!("'{}Int8{}'", "List(".repeat(100), ")".repeat(100));
        for function in ["arrow_cast", "ARROW_CAST", "arrow_try_cast", "\"arrow_cast\""] {
            check_sql(&format!("SELECT {function}(1, {deep})"), Some("the limit is 256"));
        }
        check_sql(&format!("SELECT abs((SELECT arrow_cast(1, $${}$$)))", "x".repeat(257)), Some("257 bytes"));
        for sql in [
            "SELECT CAST(NULL AS INT[2000000000])",
            "SELECT NULL::INT[100][100]",
            "SELECT * FROM t WHERE TRY_CAST(NULL AS INT[2000000000]) IS NULL",
            "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
            "SELECT arrow_cast(NULL, 'FixedSizeList(100, FixedSizeList(100, Int8))')",
        ] {
            check_sql(sql, Some("the limit is 1024"));
        }
    }
}
