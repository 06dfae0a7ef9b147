//! Differences of the reference and 3.14 that are meant.

use regex::Regex;

use super::differ::Difference;
use super::query::Query;

/// The table, with a reason and a source for each entry.
const TABLE: &str = include_str!("known.toml");

/// A difference that is meant.
#[derive(Debug)]
pub struct Known {
    aspect: String,
    /// Of the query and how the answers differ, a line each.
    pattern: Regex,
    /// Why it is there.
    pub reason: String,
    /// Where upstream says so.
    pub source: String,
}

/// The known differences.
///
/// # Errors
///
/// A table that cannot be read, in words.
pub fn table() -> Result<Vec<Known>, String> {
    let table: toml::Table = TABLE.parse().map_err(|fault| format!("known.toml: {fault}"))?;
    let entries = table.get("known").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    entries.iter().map(entry).collect()
}

fn entry(entry: &toml::Value) -> Result<Known, String> {
    let text = |key: &str| {
        let value = entry.get(key).and_then(toml::Value::as_str);
        value.map(str::to_owned).ok_or_else(|| format!("known.toml: an entry without {key}"))
    };
    let pattern = Regex::new(&text("pattern")?).map_err(|fault| format!("known.toml: {fault}"))?;
    Ok(Known { aspect: text("aspect")?, pattern, reason: text("reason")?, source: text("source")? })
}

/// The place of the entry in the table that a difference belongs to.
pub fn find(known: &[Known], query: &Query, difference: &Difference) -> Option<usize> {
    let text = format!("{}\n{}", query.text, difference.text);
    let fits = |known: &Known| known.aspect == difference.aspect.text() && known.pattern.is_match(&text);
    known.iter().position(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        for known in table().unwrap() {
            assert!(["error", "result", "order", "warnings", "infos"].contains(&&*known.aspect), "{known:?}");
        }
    }
}
