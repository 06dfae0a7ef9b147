//! `format_query` and `parse_query`.

use isinglass_lang::promql;
use isinglass_lang::promql::ast::{
    Aggregate, At, Binary, Call as Function, Cardinality, Duration, Expr, ExprKind, Extension, Matcher,
    Matching, RangeSelector, Selector, Subquery, ValueType,
};
use isinglass_lang::promql::functions::Variadic;
use isinglass_promql::text::decimal;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::envelope::{Notes, success};
use super::failure::Failure;
use super::number::write_value;
use super::text::write_html;

/// `format_query`: the expression as people read it.
pub(super) async fn format(call: Call) -> Answer {
    let expr = parse(&call)?;
    let mut data = Vec::new();
    write_html(&promql::pretty(&expr), &mut data);
    Ok(success(&data, &Notes::default()))
}

/// `parse_query`: the expression as a tree, in the shape of Prometheus' own user interface.
pub(super) async fn tree(call: Call) -> Answer {
    let mut data = Vec::new();
    write(&of(&parse(&call)?), &mut data);
    Ok(success(&data, &Notes::default()))
}

fn parse(call: &Call) -> Result<Expr, Failure> {
    promql::parse(call.parameters.get("query")).map_err(|error| Failure::parameter("query", error))
}

/// Objects with their keys in order, texts escaped as everywhere else.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => write_html(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_html(name, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Number(number) if number.is_f64() => write_value(number.as_f64().unwrap_or_default(), out),
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn of(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => json!({ "type": "numberLiteral", "val": decimal(number.value) }),
        ExprKind::Text(text) => json!({ "type": "stringLiteral", "val": text }),
        ExprKind::Selector(selector) => of_selector("vectorSelector", selector),
        ExprKind::Range(range) => of_range(range),
        ExprKind::Subquery(subquery) => of_subquery(subquery),
        ExprKind::Call(call) => of_call(call),
        ExprKind::Aggregate(aggregate) => of_aggregate(aggregate),
        ExprKind::Binary(binary) => of_binary(binary),
        ExprKind::Unary(unary) => json!({
            "type": "unaryExpr", "op": if unary.negative { "-" } else { "+" }, "expr": of(&unary.expr),
        }),
        ExprKind::Paren(inner) => json!({ "type": "parenExpr", "expr": of(inner) }),
    }
}

fn of_selector(kind: &str, selector: &Selector) -> Value {
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": millis(selector.offset.as_ref()),
        "matchers": selector.matchers.iter().map(of_matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(selector.at),
        "startOrEnd": start_or_end(selector.at),
        "anchored": selector.extension == Some(Extension::Anchored),
        "smoothed": selector.extension == Some(Extension::Smoothed),
    })
}

fn of_range(range: &RangeSelector) -> Value {
    let ExprKind::Selector(selector) = &range.selector.bare().kind else { return of(&range.selector) };
    let mut tree = of_selector("matrixSelector", selector);
    tree["range"] = json!(millis(Some(&range.range)));
    tree
}

fn of_subquery(subquery: &Subquery) -> Value {
    json!({
        "type": "subquery",
        "expr": of(&subquery.expr),
        "range": millis(Some(&subquery.range)),
        "offset": millis(subquery.offset.as_ref()),
        "step": millis(subquery.step.as_ref()),
        "timestamp": timestamp(subquery.at),
        "startOrEnd": start_or_end(subquery.at),
    })
}

fn of_call(call: &Function) -> Value {
    let function = call.function;
    let types: Vec<_> = function.args.iter().map(|arg| type_name(*arg)).collect();
    let variadic = match function.variadic {
        Variadic::No => 0,
        Variadic::Optional(last) => i64::try_from(last).unwrap_or(i64::MAX),
        Variadic::Any => -1,
    };
    json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": types,
            "variadic": variadic,
            "returnType": type_name(function.returns),
        },
        "args": call.args.iter().map(of).collect::<Vec<_>>(),
    })
}

fn of_aggregate(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.text(),
        "expr": of(&aggregate.expr),
        "param": aggregate.param.as_deref().map(of),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    })
}

fn of_binary(binary: &Binary) -> Value {
    json!({
        "type": "binaryExpr",
        "op": binary.op.text(),
        "lhs": of(&binary.lhs),
        "rhs": of(&binary.rhs),
        "matching": binary.matching.as_ref().map(of_matching),
        "bool": binary.bool_modifier,
    })
}

fn of_matching(matching: &Matching) -> Value {
    let cardinality = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": cardinality,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

fn of_matcher(matcher: &Matcher) -> Value {
    json!({ "name": matcher.label, "value": matcher.value, "type": matcher.op.text() })
}

/// Milliseconds; 0 of what is absent or has to be computed first, as upstream.
fn millis(duration: Option<&Duration>) -> i64 {
    match duration {
        Some(Duration::Millis(millis)) => *millis,
        Some(Duration::Computed(_)) | None => 0,
    }
}

fn timestamp(at: Option<At>) -> Option<i64> {
    match at {
        Some(At::Time(time_ms)) => Some(time_ms),
        _ => None,
    }
}

fn start_or_end(at: Option<At>) -> Option<&'static str> {
    match at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        _ => None,
    }
}

fn type_name(value: ValueType) -> &'static str {
    match value {
        ValueType::Scalar => "scalar",
        ValueType::Text => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let mut out = Vec::new();
        write(&of(&promql::parse(text).unwrap()), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want, "{text}");
    }

    #[test]
    fn trees() {
        check("1e30", r#"{"type":"numberLiteral","val":"1000000000000000000000000000000"}"#);
        check("\"<\"", r#"{"type":"stringLiteral","val":"\u003c"}"#);
        let up = r#"{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":0,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}"#;
        check("up", up);
        check(
            "-(up)",
            &format!(r#"{{"expr":{{"expr":{up},"type":"parenExpr"}},"op":"-","type":"unaryExpr"}}"#),
        );
        check(
            r#"rate({a=~"b"}[5m] @ end() offset 1m)"#,
            r#"{"args":[{"anchored":false,"matchers":[{"name":"a","type":"=~","value":"b"}],"name":"","offset":60000,"range":300000,"smoothed":false,"startOrEnd":"end","timestamp":null,"type":"matrixSelector"}],"func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0},"type":"call"}"#,
        );
        check(
            "sum by (a) (up)",
            &format!(
                r#"{{"expr":{up},"grouping":["a"],"op":"sum","param":null,"type":"aggregation","without":false}}"#
            ),
        );
        check(
            "up * on (a) group_left (b) fill_right (0) up",
            &format!(
                r#"{{"bool":false,"lhs":{up},"matching":{{"card":"many-to-one","fillValues":{{"lhs":null,"rhs":0}},"include":["b"],"labels":["a"],"on":true}},"op":"*","rhs":{up},"type":"binaryExpr"}}"#
            ),
        );
        check(
            "up[1h:5m] @ 10",
            &format!(
                r#"{{"expr":{up},"offset":0,"range":3600000,"startOrEnd":null,"step":300000,"timestamp":10000,"type":"subquery"}}"#
            ),
        );
    }
}
