//! Functions that templates call.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>

use std::sync::Arc;

use isinglass_lang::promql::parse_duration;

use super::value::{TemplateSeries, Value};
use super::{builtin, compare, escape, humanize, links, printf};

/// What functions see besides their arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Where this instance is reached.
    pub(super) external_url: Arc<str>,
    /// Nanoseconds since the epoch.
    pub(super) now: i64,
    /// What is left for the text: no function makes a longer one.
    pub(super) bytes_max: usize,
}

/// What a function says: a value, or why there is none.
pub(super) type Called = Result<Value, String>;

type Function = fn(&[Value], &Surroundings) -> Called;

/// A name, the numbers of arguments that are taken, and what is done. `query`, `and` and `or` are
/// not called like this: the first waits, the others stop at the first answer.
struct Entry(&'static str, usize, usize, Function);

const ANY: usize = usize::MAX;

const FUNCTIONS: &[Entry] = &[
    Entry("and", 1, ANY, unused),
    Entry("or", 1, ANY, unused),
    Entry("query", 1, 1, unused),
    Entry("not", 1, 1, |args, _| Ok(Value::Bool(!args[0].is_true()))),
    Entry("eq", 1, ANY, |args, _| compare::equal(args)),
    Entry("ne", 2, 2, |args, _| compare::not_equal(args)),
    Entry("lt", 2, 2, |args, _| compare::ordered(args, std::cmp::Ordering::is_lt)),
    Entry("le", 2, 2, |args, _| compare::ordered(args, std::cmp::Ordering::is_le)),
    Entry("gt", 2, 2, |args, _| compare::ordered(args, std::cmp::Ordering::is_gt)),
    Entry("ge", 2, 2, |args, _| compare::ordered(args, std::cmp::Ordering::is_ge)),
    Entry("len", 1, 1, |args, _| builtin::length(&args[0])),
    Entry("index", 1, ANY, |args, _| builtin::index(args)),
    Entry("slice", 1, 4, |args, _| builtin::slice(args)),
    Entry("print", 0, ANY, |args, _| Ok(Value::text(&builtin::print(args)))),
    Entry("println", 0, ANY, |args, _| Ok(Value::text(&builtin::println(args)))),
    Entry("printf", 1, ANY, |args, around| {
        printf::format(text(&args[0])?, &args[1..], around.bytes_max).map(|text| Value::text(&text))
    }),
    Entry("html", 0, ANY, |args, _| Ok(Value::text(&escape::html(&builtin::print(args))))),
    Entry("js", 0, ANY, |args, _| Ok(Value::text(&escape::js(&builtin::print(args))))),
    Entry("urlquery", 0, ANY, |args, _| Ok(Value::text(&escape::query(&builtin::print(args))))),
    Entry("urlQueryEscape", 1, 1, |args, _| Ok(Value::text(&escape::query(text(&args[0])?)))),
    Entry("first", 1, 1, |args, _| {
        let first = list(&args[0])?.first().map(|series| Value::Series(Arc::clone(series)));
        first.ok_or_else(|| "first() called on vector with no elements".into())
    }),
    Entry("label", 2, 2, |args, _| label(series(&args[1])?, text(&args[0])?)),
    Entry("strvalue", 1, 1, |args, _| label(series(&args[0])?, "__value__")),
    Entry("value", 1, 1, |args, _| Ok(series(&args[0])?.value.clone())),
    Entry("sortByLabel", 2, 2, |args, _| {
        let name = text(&args[0])?;
        let mut all = list(&args[1])?.to_vec();
        all.sort_by(|one, other| one.labels.get(name).cmp(&other.labels.get(name)));
        Ok(Value::List(Arc::new(all)))
    }),
    Entry("args", 0, ANY, |args, _| {
        let named = args.iter().enumerate().map(|(at, value)| (format!("arg{at}"), value.clone()));
        Ok(Value::Map(Arc::new(named.collect())))
    }),
    Entry("match", 2, 2, |args, _| {
        Ok(Value::Bool(builtin::regex(text(&args[0])?)?.is_match(text(&args[1])?)))
    }),
    Entry("reReplaceAll", 3, 3, |args, around| {
        builtin::replace_all(text(&args[0])?, text(&args[1])?, text(&args[2])?, around.bytes_max)
    }),
    Entry("title", 1, 1, |args, _| Ok(Value::text(&builtin::title(text(&args[0])?)))),
    Entry("toUpper", 1, 1, |args, _| Ok(Value::text(&text(&args[0])?.to_uppercase()))),
    Entry("toLower", 1, 1, |args, _| Ok(Value::text(&text(&args[0])?.to_lowercase()))),
    Entry("safeHtml", 1, 1, |args, _| Ok(Value::text(text(&args[0])?))),
    Entry("stripPort", 1, 1, |args, _| Ok(Value::text(links::strip_port(text(&args[0])?)))),
    Entry("stripDomain", 1, 1, |args, _| Ok(Value::text(&links::strip_domain(text(&args[0])?)))),
    Entry("graphLink", 1, 1, |args, _| Ok(Value::text(&links::graph(text(&args[0])?)))),
    Entry("tableLink", 1, 1, |args, _| Ok(Value::text(&links::table(text(&args[0])?)))),
    Entry("externalURL", 0, 0, |_, around| Ok(Value::Text(Arc::clone(&around.external_url)))),
    Entry("pathPrefix", 0, 0, |_, around| Ok(Value::text(&links::path(&around.external_url)))),
    Entry("humanize", 1, 1, |args, _| Ok(Value::text(&humanize::metric(float(&args[0])?)))),
    Entry("humanize1024", 1, 1, |args, _| Ok(Value::text(&humanize::binary(float(&args[0])?)))),
    Entry("humanizeDuration", 1, 1, |args, _| Ok(Value::text(&humanize::duration(float(&args[0])?)))),
    Entry("humanizePercentage", 1, 1, |args, _| Ok(Value::text(&humanize::percentage(float(&args[0])?)))),
    Entry("humanizeTimestamp", 1, 1, |args, _| Ok(Value::text(&humanize::timestamp(float(&args[0])?)?))),
    Entry("toTime", 1, 1, |args, _| humanize::time_of(float(&args[0])?).map(Value::Time)),
    Entry("toDuration", 1, 1, |args, _| humanize::duration_of(float(&args[0])?).map(Value::Duration)),
    Entry("parseDuration", 1, 1, |args, _| {
        Ok(Value::Float(parse_duration(text(&args[0])?)? as f64 / 1_000.0))
    }),
    Entry("now", 0, 0, |_, around| Ok(Value::Float(around.now.div_euclid(1_000_000) as f64 / 1_000.0))),
];

fn find(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.0 == name)
}

/// Whether there is a function of a name.
pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// Whether a function takes so many arguments; otherwise what is said.
pub(super) fn check_count(name: &str, given: usize) -> Result<(), String> {
    let Some(Entry(_, least, most, _)) = find(name) else {
        return Err(format!("{name:?} is not a defined function"));
    };
    if (*least..=*most).contains(&given) {
        return Ok(());
    }
    let wanted = if least == most { least.to_string() } else { format!("at least {least}") };
    Err(format!("wrong number of args for {name}: want {wanted} got {given}"))
}

/// Calls a function with as many arguments as [`check_count`] has let pass.
pub(super) fn call(name: &str, args: &[Value], around: &Surroundings) -> Called {
    let Some(Entry(.., function)) = find(name) else {
        return Err(format!("{name:?} is not a defined function"));
    };
    function(args, around)
}

fn unused(_: &[Value], _: &Surroundings) -> Called {
    Err("cannot be called like this".into())
}

fn wrong(value: &Value, wanted: &str) -> String {
    format!("wrong type for value; expected {wanted}; got {}", value.type_name())
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong(other, "string")),
    }
}

fn series(value: &Value) -> Result<&TemplateSeries, String> {
    match value {
        Value::Series(series) => Ok(series),
        other => Err(wrong(other, "*template.sample")),
    }
}

fn list(value: &Value) -> Result<&[Arc<TemplateSeries>], String> {
    match value {
        Value::List(all) => Ok(all),
        other => Err(wrong(other, "template.queryResult")),
    }
}

fn label(series: &TemplateSeries, name: &str) -> Called {
    Ok(Value::text(series.labels.get(name).map_or("", String::as_str)))
}

/// As Prometheus converts: numbers, durations in seconds, and texts that are numbers.
fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text) => {
            text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}
