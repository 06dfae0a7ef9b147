//! Rule files: YAML as Prometheus reads it, checked as `promtool check rules` does.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/>

mod check;
mod error;
mod raw;

#[cfg(test)]
mod tests;

use crate::template::Template;

pub use error::{FileError, InRule};

/// Bytes of a rule file, at most.
pub const FILE_BYTES_MAX: usize = 8 << 20;

/// A rule file that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleFile {
    /// Its name, as the API shows it.
    pub name: String,
    /// Its groups, in order.
    pub groups: Vec<GroupSpec>,
}

/// A group of rules that are evaluated together, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// Its name, unique in its file.
    pub name: String,
    /// How often it is evaluated, milliseconds; `None` = as configured.
    pub interval_ms: Option<i64>,
    /// How far back its queries look, milliseconds; `None` = as configured.
    pub query_offset_ms: Option<i64>,
    /// Alerts or series that a rule may have; 0 = any number.
    pub limit: usize,
    /// Its rules, in order.
    pub rules: Vec<RuleSpec>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// Name of the metric or of the alert.
    pub name: String,
    /// The expression, as it is printed.
    pub expr: String,
    /// Labels of the rule over those of its group, by name; those of alerts are templates.
    pub labels: Vec<(String, String)>,
    /// What becomes of its result.
    pub kind: RuleKind,
}

/// What becomes of the result of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// It is written under the rule's name.
    Recording,
    /// Each of its series is an alert.
    Alerting(AlertSpec),
}

/// What only alerting rules have.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSpec {
    /// How long an alert is pending before it fires, milliseconds.
    pub hold_ms: i64,
    /// How long an alert fires on after its series has gone, milliseconds.
    pub keep_firing_ms: i64,
    /// Templates of labels, by name.
    pub labels: Vec<(String, Template)>,
    /// Templates of annotations, by name.
    pub annotations: Vec<(String, Template)>,
}

impl RuleFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// All mistakes, with the file, the line, the group and the rule. Of a text that is not the
    /// YAML of rules only the first.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<FileError>> {
        if text.len() > FILE_BYTES_MAX {
            let message = format!("file has {} bytes, the limit is {FILE_BYTES_MAX}", text.len());
            return Err(vec![FileError::of_file(name, message)]);
        }
        let raw = raw::read(text).map_err(|fault| vec![FileError::of_yaml(name, &fault)])?;
        check::check(name, raw)
    }

    /// Rules that write the same series as another one of the file, each as
    /// `group "a", rule 2, "name"`: they are valid, but one takes the place of the other.
    pub fn duplicates(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let mut found = Vec::new();
        for group in &self.groups {
            for (at, rule) in group.rules.iter().enumerate() {
                let kind = matches!(rule.kind, RuleKind::Recording);
                if !seen.insert((kind, &rule.name, &rule.labels)) {
                    found.push(format!("group {:?}, rule {}, {:?}", group.name, at + 1, rule.name));
                }
            }
        }
        found
    }
}
