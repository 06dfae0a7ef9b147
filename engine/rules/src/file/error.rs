//! What is wrong with a rule file, and where.

use std::fmt;

use super::raw::{Place, YamlFault};

/// A mistake in a rule file. Printed as `promtool` does:
/// `rules.yml: 5:11: group "g", rule 1, "name": …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// Name of the file.
    pub file: String,
    /// Line and column, from 1, where they are known.
    pub place: Option<(u64, u64)>,
    /// The rule that it is in; of mistakes of a group or of the whole file there is none.
    pub rule: Option<InRule>,
    /// What is wrong.
    pub message: String,
}

/// A rule of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InRule {
    /// Name of its group.
    pub group: String,
    /// Its number in the group, from 1.
    pub number: usize,
    /// Its name.
    pub name: String,
}

impl FileError {
    pub(super) fn of_file(file: &str, message: String) -> Self {
        Self { file: file.to_owned(), place: None, rule: None, message }
    }

    pub(super) fn of_yaml(file: &str, fault: &YamlFault) -> Self {
        Self { place: fault.place.map(pair), ..Self::of_file(file, fault.message.clone()) }
    }

    pub(super) fn at(self, place: Place) -> Self {
        Self { place: Some(pair(place)), ..self }
    }

    pub(super) fn in_rule(self, rule: &InRule) -> Self {
        Self { rule: Some(rule.clone()), ..self }
    }
}

fn pair(place: Place) -> (u64, u64) {
    (place.line, place.column)
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, "group {:?}, rule {}, {:?}: ", rule.group, rule.number, rule.name)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for FileError {}
