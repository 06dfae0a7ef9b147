//! The SQL that ships: views, example questions, and questions about the engine itself.
//!
//! They stand in `sql/` at the root of the repository, are embedded here, and are
//! run by tests. A comment at the top of each file says what it is for.

/// A view: `SELECT * FROM <name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its name in the schema `public`.
    pub name: &'static str,
    /// The query behind it.
    pub sql: &'static str,
}

/// An example question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Its file name without `.sql`.
    pub name: &'static str,
    /// The query.
    pub sql: &'static str,
}

impl Question {
    /// The first line of its comment: the question in words.
    pub fn title(&self) -> &'static str {
        title(self.sql)
    }
}

impl View {
    /// The first line of its comment: what a row of it is.
    pub fn title(&self) -> &'static str {
        title(self.sql)
    }
}

/// Everything that ships.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    /// The views.
    pub views: &'static [View],
    /// The questions.
    pub questions: &'static [Question],
    /// Questions to the schema `system`.
    pub diagnostics: &'static [Question],
}

macro_rules! files {
    ($kind:ident, $folder:literal: $($name:literal)*) => {
        &[$($kind {
            name: $name,
            sql: include_str!(concat!("../../../sql/", $folder, "/", $name, ".sql")),
        },)*]
    };
}

const VIEWS: &[View] = files!(View, "views":
    "service_red" "error_rate" "slow_operations" "log_volume");

const QUESTIONS: &[Question] = files!(Question, "questions":
    "slowest_operations_with_logs"
    "error_rate_spans_and_counter"
    "latest_trace_as_tree"
    "p99_by_operation"
    "logs_of_a_trace"
    "top_rejected_reasons"
    "log_lines_by_service"
    "series_per_metric");

const DIAGNOSTICS: &[Question] = files!(Question, "diagnostics":
    "largest_tables"
    "unflushed_rows"
    "files_by_level"
    "log_segments"
    "highest_cardinality_labels"
    "slowest_queries"
    "plugin_cost");

/// Views and questions, in the order in which they are shown.
pub fn library() -> Library {
    Library { views: VIEWS, questions: QUESTIONS, diagnostics: DIAGNOSTICS }
}

pub(crate) fn views() -> impl Iterator<Item = &'static View> {
    VIEWS.iter()
}

fn title(sql: &'static str) -> &'static str {
    sql.lines().next().and_then(|line| line.strip_prefix("--")).map_or("", str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of `sql/` is embedded and says what it is for.
    #[test]
    fn nothing_is_left_out() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql");
        let files = |folder: &str| {
            let mut names: Vec<String> = std::fs::read_dir(root.join(folder))
                .unwrap()
                .filter_map(|entry| {
                    entry.unwrap().file_name().into_string().unwrap().strip_suffix(".sql").map(str::to_owned)
                })
                .collect();
            names.sort();
            names
        };
        let sorted = |mut names: Vec<&str>| {
            names.sort_unstable();
            names.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(files("views"), sorted(VIEWS.iter().map(|view| view.name).collect()));
        assert_eq!(files("questions"), sorted(QUESTIONS.iter().map(|question| question.name).collect()));
        assert_eq!(files("diagnostics"), sorted(DIAGNOSTICS.iter().map(|question| question.name).collect()));
        assert!(DIAGNOSTICS.iter().all(|question| !question.title().is_empty()));
        assert!(VIEWS.iter().all(|view| !view.title().is_empty()));
        assert!(QUESTIONS.iter().all(|question| !question.title().is_empty()));
    }
}
