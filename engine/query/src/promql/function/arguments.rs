//! What a call says: an expression, and one time or a range.

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Expr;
use isinglass_lang::promql::parse_duration;
use isinglass_model::ErrorKind;

use super::Asked;
use crate::error::QueryError;
use crate::promql::request::PromqlTime;

const USAGE: &str = "promql takes an expression and a time, promql('up', now()), or an expression, a start, an \
                     end and a step, promql('rate(x_total[5m])', now() - INTERVAL '1 hour', now(), '15s')";

const NANOS_OF_MILLI: i64 = 1_000_000;
const DAY_MS: i64 = 86_400_000;

/// Reads the arguments, all of which are constants. `now_ms` is when the statement began.
pub(super) fn read(args: &[Expr], now_ms: Option<i64>) -> Result<Asked, QueryError> {
    let values = args.iter().map(constant).collect::<Result<Vec<_>, _>>()?;
    let time = match values.as_slice() {
        [_] => PromqlTime::Instant { time_ms: now_ms.unwrap_or_default() },
        [_, time] => PromqlTime::Instant { time_ms: time_ms(time, "time")? },
        [_, start, end, step] => PromqlTime::Range {
            start_ms: time_ms(start, "start")?,
            end_ms: time_ms(end, "end")?,
            step_ms: step_ms(step)?,
        },
        _ => return Err(malformed(USAGE)),
    };
    match values.first().and_then(|text| text.try_as_str()) {
        Some(Some(text)) => Ok(Asked { text: text.into(), time }),
        _ => Err(malformed(format!("the first argument of promql is an expression as text; {USAGE}"))),
    }
}

fn malformed(message: impl Into<String>) -> QueryError {
    QueryError::new(ErrorKind::Malformed, message)
}

fn constant(arg: &Expr) -> Result<ScalarValue, QueryError> {
    match arg {
        Expr::Literal(value, _) => Ok(value.clone()),
        Expr::Alias(alias) => constant(&alias.expr),
        other => Err(malformed(format!("the arguments of promql are constants, {other} is none"))),
    }
}

/// Milliseconds since the epoch, cut off.
fn time_ms(value: &ScalarValue, name: &str) -> Result<i64, QueryError> {
    use ScalarValue as V;
    let fault =
        || malformed(format!("{name} of promql is a timestamp, an RFC 3339 text or seconds, not {value}"));
    let time_ms = match value {
        V::TimestampSecond(Some(time), _) => time.checked_mul(1_000),
        V::TimestampMillisecond(Some(time), _) => Some(*time),
        V::TimestampMicrosecond(Some(time), _) => Some(time.div_euclid(1_000)),
        V::TimestampNanosecond(Some(time), _) => Some(time.div_euclid(NANOS_OF_MILLI)),
        V::Date32(Some(days)) => Some(i64::from(*days) * DAY_MS),
        V::Date64(Some(millis)) => Some(*millis),
        _ => match value.try_as_str() {
            Some(Some(text)) => time_of_text(text),
            _ => seconds(value).and_then(millis),
        },
    };
    let time_ms = time_ms.ok_or_else(fault)?;
    // Columns of times are nanoseconds.
    match time_ms.checked_mul(NANOS_OF_MILLI) {
        Some(_) => Ok(time_ms),
        None => {
            Err(malformed(format!("{name} of promql lies between the years 1677 and 2262, not at {value}")))
        }
    }
}

fn time_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return millis(seconds);
    }
    let nanos = arrow_cast::parse::string_to_timestamp_nanos(text).ok()?;
    Some(nanos.div_euclid(NANOS_OF_MILLI))
}

/// The length of a step in milliseconds, more than nothing.
fn step_ms(value: &ScalarValue) -> Result<i64, QueryError> {
    use ScalarValue as V;
    let fault = || {
        malformed(format!(
            "step of promql is an interval without months, seconds or a text such as '1m30s', not {value}"
        ))
    };
    let of_days = |days: i32, rest_ms: i64| (i64::from(days) * DAY_MS).checked_add(rest_ms);
    let step_ms = match value {
        V::IntervalDayTime(Some(interval)) => of_days(interval.days, i64::from(interval.milliseconds)),
        V::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            of_days(interval.days, interval.nanoseconds.div_euclid(NANOS_OF_MILLI))
        }
        V::DurationSecond(Some(seconds)) => seconds.checked_mul(1_000),
        V::DurationMillisecond(Some(millis)) => Some(*millis),
        V::DurationMicrosecond(Some(micros)) => Some(micros.div_euclid(1_000)),
        V::DurationNanosecond(Some(nanos)) => Some(nanos.div_euclid(NANOS_OF_MILLI)),
        _ => match value.try_as_str() {
            Some(Some(text)) => step_of_text(text.trim()),
            _ => seconds(value).and_then(millis),
        },
    };
    step_ms.ok_or_else(fault)
}

fn step_of_text(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) => millis(seconds),
        Err(_) => parse_duration(text).ok(),
    }
}

/// A number of any type.
fn seconds(value: &ScalarValue) -> Option<f64> {
    if value.is_null() || !value.data_type().is_numeric() {
        return None;
    }
    match value.cast_to(&arrow_schema::DataType::Float64) {
        Ok(ScalarValue::Float64(seconds)) => seconds,
        _ => None,
    }
}

fn millis(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1e3).round();
    // Beyond, times are none of this world, and the cast would saturate.
    (millis.is_finite() && millis.abs() < 9e15).then_some(millis as i64)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn asked(args: &[Expr]) -> Result<PromqlTime, String> {
        read(args, Some(7)).map(|asked| asked.time).map_err(|error| error.to_string())
    }

    fn at(time: ScalarValue) -> Result<i64, String> {
        match asked(&[lit("up"), lit(time)])? {
            PromqlTime::Instant { time_ms } => Ok(time_ms),
            range => Err(format!("{range:?}")),
        }
    }

    fn step(step: ScalarValue) -> Result<i64, String> {
        match asked(&[lit("up"), lit(0), lit("10.5"), lit(step)])? {
            PromqlTime::Range { step_ms, start_ms: 0, end_ms: 10_500 } => Ok(step_ms),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn times() {
        let text = |text: &str| ScalarValue::from(text);
        assert_eq!(asked(&[lit("up")]), Ok(PromqlTime::Instant { time_ms: 7 }));
        assert_eq!(at(ScalarValue::TimestampNanosecond(Some(-1), None)), Ok(-1));
        assert_eq!(at(ScalarValue::TimestampSecond(Some(3), Some("UTC".into()))), Ok(3_000));
        assert_eq!(at(text("1970-01-01T00:00:01.5Z")), Ok(1_500));
        assert_eq!(at(text("1970-01-02")), Ok(DAY_MS));
        assert_eq!(at(text("12.25")), Ok(12_250));
        assert_eq!(at(ScalarValue::from(5_i64)), Ok(5_000));
        assert_eq!(at(ScalarValue::Decimal128(Some(1_234), 6, 2)), Ok(12_340));
        for wrong in [text("yesterday"), ScalarValue::from(f64::NAN), ScalarValue::Int64(None), text("1e30")]
        {
            assert!(at(wrong.clone()).unwrap_err().starts_with("time of promql is a timestamp"), "{wrong}");
        }
        assert!(at(text("1e12")).unwrap_err().contains("between the years 1677 and 2262"));
    }

    #[test]
    fn steps() {
        let text = |text: &str| ScalarValue::from(text);
        assert_eq!(step(ScalarValue::new_interval_mdn(0, 1, 1_500_000_000)), Ok(DAY_MS + 1_500));
        assert_eq!(step(ScalarValue::new_interval_dt(0, 250)), Ok(250));
        assert_eq!(step(text("1m30s")), Ok(90_000));
        assert_eq!(step(text("15")), Ok(15_000));
        assert_eq!(step(ScalarValue::from(0.5)), Ok(500));
        for wrong in [ScalarValue::new_interval_mdn(1, 0, 0), text("often"), ScalarValue::Boolean(Some(true))]
        {
            assert!(step(wrong.clone()).unwrap_err().starts_with("step of promql is"), "{wrong}");
        }
    }

    #[test]
    fn calls_that_are_none() {
        let no = |args: &[Expr], part: &str| {
            let error = asked(args).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        no(&[], "promql takes an expression and a time");
        no(&[lit("up"), lit(0), lit(1)], "promql takes");
        no(&[lit(1), lit(0)], "an expression as text");
        no(&[lit("up"), col("time")], "the arguments of promql are constants, time is none");
    }
}
