//! Warnings and infos of a query: things that an answer is given in spite of.
//!
//! Texts are those of Prometheus' `util/annotations`, so that what people search for is found.

use std::collections::BTreeSet;
use std::sync::Mutex;

use isinglass_lang::Position;
use isinglass_lang::promql::ast::Span;

/// Warnings and infos, each once. At most [`KEPT_MAX`] of each are kept.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    warnings: BTreeSet<(Span, String)>,
    infos: BTreeSet<(Span, String)>,
}

/// Beyond this many of a kind, more are not kept: clients are shown ten.
const KEPT_MAX: usize = 1_000;

impl Annotations {
    /// Notes that an answer is probably not what was wanted.
    pub(crate) fn warn(&self, span: Span, text: impl Into<String>) {
        self.with(|noted| note(&mut noted.warnings, span, text.into()));
    }

    /// Notes something that may be worth a look.
    pub(crate) fn info(&self, span: Span, text: impl Into<String>) {
        self.with(|noted| note(&mut noted.infos, span, text.into()));
    }

    fn with(&self, change: impl FnOnce(&mut Noted)) {
        let mut noted = self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut noted);
    }

    /// Warnings and infos with their places in the text.
    pub(crate) fn written(&self, text: &str) -> (Vec<String>, Vec<String>) {
        let noted = self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (written(text, "warning", &noted.warnings), written(text, "info", &noted.infos))
    }
}

fn note(noted: &mut BTreeSet<(Span, String)>, span: Span, text: String) {
    if noted.len() < KEPT_MAX {
        noted.insert((span, text));
    }
}

fn written(text: &str, kind: &str, noted: &BTreeSet<(Span, String)>) -> Vec<String> {
    let write = |(span, message): &(Span, String)| {
        let place = Position::of(text, span.start);
        format!("PromQL {kind}: {message} ({}:{})", place.line, place.column)
    };
    noted.iter().map(write).collect()
}

/// ` for metric name "x"`, nothing where there is no name.
pub(crate) fn for_metric(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    format!(" for metric name {}", isinglass_lang::promql::quoted(name))
}
