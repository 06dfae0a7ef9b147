//! Raw files to checked ones: all mistakes are found, not only the first.

use std::collections::{BTreeMap, HashSet};

use isinglass_lang::promql;
use isinglass_promql::labels::METRIC_NAME;
use serde_saphyr::Spanned;

use super::error::{FileError, InRule};
use super::raw::{Place, RawFile, RawGroup, RawRule};
use super::{AlertSpec, GroupSpec, RuleFile, RuleKind, RuleSpec};
use crate::template::Template;

type Labels = BTreeMap<String, String>;

/// Checks a file.
pub(super) fn check(file: &str, raw: RawFile) -> Result<RuleFile, Vec<FileError>> {
    let mut checker = Checker { file, errors: Vec::new(), names: HashSet::new() };
    let groups = raw.groups.unwrap_or_default().into_iter().map(|group| checker.group(group)).collect();
    if checker.errors.is_empty() {
        Ok(RuleFile { name: file.to_owned(), groups })
    } else {
        Err(checker.errors)
    }
}

struct Checker<'a> {
    file: &'a str,
    errors: Vec<FileError>,
    names: HashSet<String>,
}

impl Checker<'_> {
    fn error(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push(FileError::of_file(self.file, message.into()).at(place));
    }

    fn group(&mut self, raw: Spanned<RawGroup>) -> GroupSpec {
        let place = Place::from(raw.referenced);
        let raw = raw.value;
        let name = raw.name.unwrap_or_default();
        if name.is_empty() {
            self.error(place, "Groupname must not be empty");
        }
        if !self.names.insert(name.clone()) {
            self.error(place, format!("groupname: \"{name}\" is repeated in the same file"));
        }
        let labels = raw.labels.unwrap_or_default();
        for message in labels.keys().filter_map(|name| label_fault(name)) {
            self.error(place, message);
        }
        let interval_ms = self.duration(raw.interval, "interval").filter(|interval| *interval > 0);
        let query_offset_ms = self.duration(raw.query_offset, "query_offset");
        let rules = raw.rules.unwrap_or_default().into_iter().enumerate();
        let rules = rules.map(|(at, rule)| self.rule(&name, &labels, at + 1, rule)).collect();
        let limit = usize::try_from(raw.limit.unwrap_or(0)).unwrap_or(0);
        GroupSpec { name, interval_ms, query_offset_ms, limit, rules }
    }

    fn duration(&mut self, raw: Option<Spanned<String>>, field: &str) -> Option<i64> {
        let raw = raw?;
        match promql::parse_duration(&raw.value) {
            Ok(millis) => Some(millis),
            Err(message) => {
                self.error(raw.referenced.into(), format!("invalid {field}: {message}"));
                None
            }
        }
    }

    fn rule(&mut self, group: &str, outer: &Labels, number: usize, raw: Spanned<RawRule>) -> RuleSpec {
        let place = Place::from(raw.referenced);
        let mut rule = RuleCheck { place, errors: Vec::new() };
        let spec = rule.spec(outer, raw.value);
        let at = InRule { group: group.to_owned(), number, name: spec.name.clone() };
        for (place, message) in rule.errors {
            self.errors.push(FileError::of_file(self.file, message).at(place).in_rule(&at));
        }
        spec
    }
}

/// One rule, and what is wrong with it.
struct RuleCheck {
    place: Place,
    errors: Vec<(Place, String)>,
}

impl RuleCheck {
    fn error(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push((place, message.into()));
    }

    fn spec(&mut self, outer: &Labels, raw: RawRule) -> RuleSpec {
        let record = raw.record.as_ref().filter(|name| !name.value.is_empty());
        let alert = raw.alert.as_ref().filter(|name| !name.value.is_empty());
        let own = raw.labels.clone().unwrap_or_default();
        for message in own.keys().filter_map(|name| label_fault(name)) {
            self.error(self.place, message);
        }
        // Labels of the rule stand over those of its group.
        let mut labels = outer.clone();
        labels.extend(own);
        let labels: Vec<_> = labels.into_iter().collect();
        let expr = self.expr(raw.expr.as_ref());
        let (name, kind) = match (record, alert) {
            (Some(record), None) => {
                self.recording(record, &raw);
                (record.value.clone(), RuleKind::Recording)
            }
            (None, Some(alert)) => {
                (alert.value.clone(), RuleKind::Alerting(self.alerting(&alert.value, &labels, &raw)))
            }
            (Some(record), Some(_)) => {
                self.error(record.referenced.into(), "only one of 'record' and 'alert' must be set");
                (record.value.clone(), RuleKind::Recording)
            }
            (None, None) => {
                self.error(self.place, "one of 'record' or 'alert' must be set");
                (String::new(), RuleKind::Recording)
            }
        };
        RuleSpec { name, expr, labels, kind }
    }

    fn expr(&mut self, raw: Option<&Spanned<String>>) -> String {
        let Some(raw) = raw.filter(|raw| !raw.value.is_empty()) else {
            self.error(self.place, "field 'expr' must be set in rule");
            return String::new();
        };
        match promql::parse(&raw.value) {
            Ok(expr) => expr.to_string(),
            Err(fault) => {
                self.error(raw.referenced.into(), format!("could not parse expression: {fault}"));
                String::new()
            }
        }
    }

    fn recording(&mut self, record: &Spanned<String>, raw: &RawRule) {
        let place = Place::from(record.referenced);
        let alert_only = [
            ("annotations", raw.annotations.as_ref().is_some_and(|all| !all.is_empty())),
            ("for", self.duration(raw.hold.as_ref(), "for") != 0),
            ("keep_firing_for", self.duration(raw.keep_firing_for.as_ref(), "keep_firing_for") != 0),
        ];
        for (field, _) in alert_only.iter().filter(|(_, is_set)| *is_set) {
            self.error(place, format!("invalid field '{field}' in recording rule"));
        }
        if record.value.contains(['{', '}']) {
            let name = &record.value;
            self.error(
                place,
                format!("braces present in the recording rule name; should it be in expr?: {name}"),
            );
        }
    }

    fn alerting(&mut self, alert: &str, labels: &[(String, String)], raw: &RawRule) -> AlertSpec {
        let hold_ms = self.duration(raw.hold.as_ref(), "for");
        let keep_firing_ms = self.duration(raw.keep_firing_for.as_ref(), "keep_firing_for");
        let annotations: Vec<_> = raw.annotations.clone().unwrap_or_default().into_iter().collect();
        if annotations.iter().any(|(name, _)| name.is_empty()) {
            self.error(self.place, "invalid annotation name: ");
        }
        AlertSpec {
            hold_ms,
            keep_firing_ms,
            labels: self.templates(alert, "label", labels),
            annotations: self.templates(alert, "annotation", &annotations),
        }
    }

    fn duration(&mut self, raw: Option<&Spanned<String>>, field: &str) -> i64 {
        let Some(raw) = raw else { return 0 };
        promql::parse_duration(&raw.value).unwrap_or_else(|message| {
            self.error(raw.referenced.into(), format!("invalid {field}: {message}"));
            0
        })
    }

    fn templates(&mut self, alert: &str, what: &str, all: &[(String, String)]) -> Vec<(String, Template)> {
        let mut read = Vec::with_capacity(all.len());
        for (name, text) in all {
            match Template::of_alert(alert, text) {
                Ok(template) => read.push((name.clone(), template)),
                Err(fault) => {
                    let message = fault.named(&format!("__alert_{alert}"));
                    self.error(self.place, format!("{what} {name:?}: {message}"));
                }
            }
        }
        read
    }
}

/// Any text that is not empty is a name; that of the metric is set by the rule.
fn label_fault(name: &str) -> Option<String> {
    (name.is_empty() || name == METRIC_NAME).then(|| format!("invalid label name: {name}"))
}
