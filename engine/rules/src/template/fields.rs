//! `.name` of a value: entries of maps, parts of data, and what times and durations can say.

use std::sync::Arc;

use super::functions::{Called, text};
use super::time::{Civil, SECOND, layout};
use super::value::Value;

/// The part of a value that has a name.
pub(super) fn field(value: &Value, name: &str, args: &[Value]) -> Called {
    match value {
        Value::Time(nanos) => return time(*nanos, name, args),
        Value::Duration(nanos) => return duration(*nanos, name, args),
        _ if !args.is_empty() => return Err(format!("{name} is not a method but has arguments")),
        _ => {}
    }
    let found = match (value, name) {
        (Value::Labels(map), _) => Some(Value::text(map.get(name).map_or("", String::as_str))),
        (Value::Map(map), _) => Some(map.get(name).cloned().unwrap_or(Value::Nil)),
        (Value::Series(series), "Labels") => Some(Value::Labels(Arc::clone(&series.labels))),
        (Value::Series(series), "Value") => Some(series.value.clone()),
        (Value::Data(data), "Labels") => Some(Value::Labels(Arc::clone(&data.labels))),
        (Value::Data(data), "ExternalLabels") => Some(Value::Labels(Arc::clone(&data.external_labels))),
        (Value::Data(data), "ExternalURL") => Some(Value::Text(Arc::clone(&data.external_url))),
        (Value::Data(data), "Value") => Some(data.value.clone()),
        (Value::Histogram(histogram), "Count") => Some(Value::Float(histogram.count)),
        (Value::Histogram(histogram), "Sum") => Some(Value::Float(histogram.sum)),
        (Value::Nil, _) => return Err(format!("nil data; no entry for key {name:?}")),
        _ => None,
    };
    found.ok_or_else(|| format!("can't evaluate field {name} in type {}", value.type_name()))
}

fn time(nanos: i64, name: &str, args: &[Value]) -> Called {
    let civil = Civil::of(nanos);
    if let ("Format", [wanted]) = (name, args) {
        return Ok(Value::text(&layout(nanos, text(wanted)?)));
    }
    if !args.is_empty() || name == "Format" {
        return Err(format!("wrong number of args for {name}: got {}", args.len()));
    }
    Ok(match name {
        "Year" => Value::Int(civil.year),
        "Month" => Value::text(civil.month_name()),
        "Day" => Value::Int(civil.day),
        "Hour" => Value::Int(civil.hour),
        "Minute" => Value::Int(civil.minute),
        "Second" => Value::Int(civil.second),
        "Nanosecond" => Value::Int(civil.nanos),
        "Weekday" => Value::text(civil.day_name()),
        "YearDay" => Value::Int(civil.year_day),
        "Unix" => Value::Int(nanos.div_euclid(SECOND)),
        "UnixMilli" => Value::Int(nanos.div_euclid(1_000_000)),
        "UnixNano" => Value::Int(nanos),
        "UTC" => Value::Time(nanos),
        "String" => Value::text(&Value::Time(nanos).to_string()),
        _ => return Err(format!("can't evaluate field {name} in type *time.Time")),
    })
}

fn duration(nanos: i64, name: &str, args: &[Value]) -> Called {
    if !args.is_empty() {
        return Err(format!("wrong number of args for {name}: want 0 got {}", args.len()));
    }
    Ok(match name {
        "Hours" => Value::Float(nanos as f64 / 3.6e12),
        "Minutes" => Value::Float(nanos as f64 / 6e10),
        "Seconds" => Value::Float(nanos as f64 / 1e9),
        "Milliseconds" => Value::Int(nanos / 1_000_000),
        "Microseconds" => Value::Int(nanos / 1_000),
        "Nanoseconds" => Value::Int(nanos),
        "String" => Value::text(&Value::Duration(nanos).to_string()),
        _ => return Err(format!("can't evaluate field {name} in type time.Duration")),
    })
}
