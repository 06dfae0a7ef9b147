//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`. As in Go, an integer and a float cannot be compared.

use std::cmp::Ordering;

use super::functions::Called;
use super::value::Value;

const WRONG_TYPE: &str = "invalid type for comparison";
const DIFFERENT_TYPES: &str = "incompatible types for comparison";

/// Whether the first is one of the others.
pub(super) fn equal(args: &[Value]) -> Called {
    let [first, others @ ..] = args else { return Err("missing argument for comparison".into()) };
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if same(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Whether two differ.
pub(super) fn not_equal(args: &[Value]) -> Called {
    let equal = equal(args)?;
    Ok(Value::Bool(!equal.is_true()))
}

/// Whether two stand in an order. Nothing stands in any order to NaN.
pub(super) fn ordered(args: &[Value], wanted: fn(Ordering) -> bool) -> Called {
    let [one, other] = args else { return Err("missing argument for comparison".into()) };
    let order = match (one, other) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other) | Value::Int(other)) => Some(one.cmp(other)),
        (Value::Int(one), Value::Duration(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        _ if kind(one).is_none() || kind(other).is_none() => return Err(WRONG_TYPE.into()),
        (Value::Bool(_), Value::Bool(_)) => return Err(WRONG_TYPE.into()),
        _ => return Err(DIFFERENT_TYPES.into()),
    };
    Ok(Value::Bool(order.is_some_and(wanted)))
}

fn same(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        (Value::Text(one), Value::Text(other)) => Ok(one == other),
        (Value::Int(one) | Value::Duration(one), Value::Int(other) | Value::Duration(other)) => {
            Ok(one == other)
        }
        _ if kind(one).is_none() || kind(other).is_none() => {
            Err(format!("non-comparable type {}: {}", one, one.type_name()))
        }
        _ => Err(DIFFERENT_TYPES.into()),
    }
}

/// Basic kinds, which can be compared.
fn kind(value: &Value) -> Option<()> {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Duration(_))
        .then_some(())
}
