//! What is shown where there are no cases.

use isinglass_model::columns::Shape;
use isinglass_model::functions::{FunctionSignature, ValueType};
use serde_json::{Value, json};

use crate::plugin::test::{Cell, Sample};

const ROWS: usize = 200;

/// Rows where there are no cases.
pub(super) fn rows() -> anyhow::Result<Vec<Sample>> {
    let rows = |row: fn(usize) -> Value| {
        let rows = (0..ROWS).map(|at| toml::Table::try_from(row(at)));
        rows.collect::<Result<Vec<_>, _>>()
    };
    Ok(vec![
        Sample::new(
            Shape::Spans,
            rows(|at| {
                json!({
                    "service": format!("service-{}", at % 20),
                    "name": format!("operation-{}", at / 20),
                    "duration": at * 1_000_003,
                    "kind": "server",
                    "attributes": { "http.request.method": "GET", "http.route": "/cart", "user.tier": "gold" },
                })
            })?,
        )?,
        Sample::new(
            Shape::Logs,
            rows(|at| {
                json!({
                    "service": format!("service-{}", at % 20),
                    "severity": (["info", "warn", "error"])[at % 3],
                    "body": format!("order {at} was taken and will be sent to the address that was given"),
                    "attributes": { "user.tier": "gold" },
                })
            })?,
        )?,
        Sample::new(Shape::Samples, rows(|at| json!({ "value": at }))?)?,
        Sample::new(
            Shape::Series,
            rows(
                |at| json!({ "labels": { "__name__": "requests_total", "job": format!("job-{}", at % 20), "instance": at.to_string() } }),
            )?,
        )?,
    ])
}

/// Arguments of a function: all positive.
pub(super) fn arguments(signature: &FunctionSignature) -> Vec<Vec<Cell>> {
    let cell = |ty: ValueType, at: usize| match ty {
        ValueType::Float64 => toml::Value::Float((at + 1) as f64 / 4.0),
        ValueType::Int64 => toml::Value::Integer(at as i64 + 1),
        ValueType::Text => toml::Value::String(format!("text {at}")),
        ValueType::Boolean => toml::Value::Boolean(at % 2 == 0),
    };
    let column = |ty: &ValueType| (0..ROWS).map(|at| Some(cell(*ty, at))).collect();
    signature.arguments.iter().map(column).collect()
}
