//! Names of metrics and labels, as Prometheus makes them from OTLP's: the
//! strategy `UnderscoreEscapingWithSuffixes` of its OTLP receiver.

/// What decides a metric's suffix beside its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `_ratio` where the unit is 1.
    Gauge,
    /// `_total`.
    Counter,
    Other,
}

/// The name of a metric; `None` if nothing would be left of it.
pub(super) fn metric(name: &str, unit: &str, naming: Naming) -> Option<String> {
    let mut tokens: Vec<&str> = name.split(|c| !is_name_char(c)).filter(|token| !token.is_empty()).collect();
    let (main, per) = unit_suffixes(unit);
    let main = if tokens.contains(&main.as_str()) { "" } else { &main };
    let per = per.trim_end_matches('_');
    let per = if per == "per" || tokens.contains(&per) { "" } else { per };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    tokens.extend([main, per].into_iter().filter(|token| !token.is_empty()));
    let suffix = match naming {
        Naming::Counter => Some("total"),
        Naming::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(suffix) = suffix {
        tokens.retain(|token| *token != suffix);
        tokens.push(suffix);
    }
    let mut joined = tokens.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) {
        joined.insert(0, '_');
    }
    joined.contains(|c| c != '_').then_some(joined)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// The unit before the slash, and the one behind it with `per_` in front.
fn unit_suffixes(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let usable = |unit: &str| !unit.is_empty() && !unit.contains(['{', '}']);
    let main = main.trim();
    let main = if usable(main) { clean(main_unit(main)) } else { String::new() };
    let per = per.trim();
    let per = if usable(per) { clean(&format!("per_{}", per_unit(per))) } else { String::new() };
    (main, per)
}

/// Letters, digits and single underscores, none in front.
fn clean(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        let c = if is_name_char(c) { c } else { '_' };
        if c != '_' || !(out.is_empty() || out.ends_with('_')) {
            out.push(c);
        }
    }
    out
}

fn main_unit(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_unit(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// The name of a label; `None` if nothing would be left of it.
pub(super) fn label(key: &str) -> Option<String> {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let mut name: String = key.chars().map(letter).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "key_");
    } else if name.starts_with('_') && !name.starts_with("__") {
        name.insert_str(0, "key");
    }
    let something = name.contains(|c| c != '_') || (!name.is_empty() && name == key);
    something.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics() {
        use Naming::{Counter, Gauge, Other};
        for (name, unit, naming, wanted) in [
            ("http.server.duration", "s", Other, Some("http_server_duration_seconds")),
            ("http.server.duration.seconds", "s", Other, Some("http_server_duration_seconds")),
            ("http.server.request.count", "1", Counter, Some("http_server_request_count_total")),
            ("system.io", "By", Counter, Some("system_io_bytes_total")),
            ("system.total.io", "By", Counter, Some("system_io_bytes_total")),
            ("memory.usage", "By/s", Gauge, Some("memory_usage_bytes_per_second")),
            ("queue.size", "{items}", Gauge, Some("queue_size")),
            ("queue.rate", "{items}/s", Gauge, Some("queue_rate_per_second")),
            ("cpu.utilization", "1", Gauge, Some("cpu_utilization_ratio")),
            ("cpu.ratio.x", "1", Gauge, Some("cpu_x_ratio")),
            ("cpu.utilization", "1", Other, Some("cpu_utilization")),
            ("cpu", "%", Gauge, Some("cpu_percent")),
            ("a__b..c", "", Other, Some("a_b_c")),
            ("a:b", "", Other, Some("a:b")),
            ("2xx", "", Other, Some("_2xx")),
            ("temp", "°F", Other, Some("temp_F")),
            ("speed", "km/h", Gauge, Some("speed_km_per_hour")),
            ("speed", "m/", Gauge, Some("speed_meters")),
            ("flow", "/s", Gauge, Some("flow_per_second")),
            ("é", "", Other, None),
            ("", "", Other, None),
        ] {
            assert_eq!(metric(name, unit, naming).as_deref(), wanted, "{name} {unit} {naming:?}");
        }
    }

    #[test]
    fn labels() {
        for (key, wanted) in [
            ("http.method", Some("http_method")),
            ("1abc", Some("key_1abc")),
            ("_private", Some("key_private")),
            ("__name__", Some("__name__")),
            ("é", Some("key_")),
            ("a-b c", Some("a_b_c")),
            ("", None),
            ("..", None),
        ] {
            assert_eq!(label(key).as_deref(), wanted, "{key}");
        }
    }
}
