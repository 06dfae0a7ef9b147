//! What a variable can be set to, from what its query found.

use regex::Regex;

use crate::backend::{Found, Row};

/// The options of a variable whose `regex` is this, without repetitions, in the order in which
/// they were found. A pattern stands between slashes; an option is what it matches, or the group
/// named `value`, or else its first group. Without a pattern all of what was found is one.
///
/// # Errors
///
/// A pattern that cannot be read, in words.
pub fn options(regex: &str, found: impl IntoIterator<Item = String>) -> Result<Vec<String>, String> {
    let mut options = Vec::new();
    let mut add = |option: String| {
        if !options.contains(&option) {
            options.push(option);
        }
    };
    if regex.is_empty() {
        found.into_iter().for_each(add);
        return Ok(options);
    }
    let bare = regex.strip_prefix('/').and_then(|inside| inside.strip_suffix('/')).unwrap_or(regex);
    let pattern = Regex::new(bare).map_err(|fault| fault.to_string())?;
    for text in found {
        let Some(groups) = pattern.captures(&text) else { continue };
        let option = groups.name("value").or_else(|| groups.get(1)).or_else(|| groups.get(0));
        add(option.map_or("", |option| option.as_str()).to_owned());
    }
    Ok(options)
}

/// A series as a variable with `query_result(…)` sees it: `name{label="value"} 1 1700000000000`.
pub fn series_text(row: &Row) -> Option<String> {
    let (time_ms, Found::Float(value)) = row.points.last()? else { return None };
    let labels = row.labels.iter().filter(|(name, _)| *name != "__name__");
    let labels: Vec<_> = labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    Some(format!("{}{{{}}} {value} {time_ms}", row.labels.metric_name(), labels.join(",")))
}

#[cfg(test)]
mod tests {
    use isinglass_promql::Labels;

    use super::*;

    fn check(regex: &str, found: &[&str], wanted: &[&str]) {
        let found = found.iter().map(|&text| text.to_owned());
        assert_eq!(options(regex, found).unwrap(), wanted, "{regex}");
    }

    #[test]
    fn patterns() {
        check("", &["b", "a", "b"], &["b", "a"]);
        check("/a./", &["xab", "b"], &["ab"]);
        check("/device=\"([^\"]+)\"/", &["{device=\"sda\"} 1 2", "{} 1 2"], &["sda"]);
        check("/(?<text>a)(?<value>b)/", &["ab"], &["b"]);
        assert!(options("/(/", []).is_err());
    }

    #[test]
    fn series() {
        let labels = Labels::new([("__name__", "up"), ("job", "a")]);
        let row = |value| Row { labels: labels.clone(), points: vec![(1_000, value)] };
        assert_eq!(series_text(&row(Found::Float(1.5))).as_deref(), Some("up{job=\"a\"} 1.5 1000"));
        assert_eq!(series_text(&Row { labels: labels.clone(), points: Vec::new() }), None);
    }
}
