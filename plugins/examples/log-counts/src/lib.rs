//! Metrics of log records: how many there are by service, severity and further labels, and
//! sums of numbers in their lines.
//!
//! ```json
//! { "metric": "http_errors_total", "fields": ["method"], "contains": ["request failed"],
//!   "sums": [{ "field": "took_ms", "metric": "http_error_milliseconds_total" }] }
//! ```
//!
//! Labels are columns of the table `logs` and fields of lines that are JSON or logfmt. Other
//! counters are other bindings of the same plugin.

mod config;
mod fields;

use std::collections::HashMap;

use isinglass_plugin::{
    Batch, Config, Deltas, Deriver, Dictionary, Encoding, Groups, Keys, LabelValues, Metric, MetricKind,
    Plugin, Request, Shape, Text, TextData, View as _, columns, export_deriver,
};

use crate::config::Counts;
use crate::fields::field;

columns! {
    /// What is read of every log record.
    struct Logs<'a> of Shape::Logs {
        service: Dictionary<'a> = "service",
        severity: Option<Dictionary<'a>> = "severity",
    }
}

/// Slots of what the configuration asks for.
const BODY: u16 = 1_024;
const LABELS: u16 = 1_025;

/// The plugin.
#[derive(Debug)]
pub struct LogCounts {
    counts: Counts,
}

impl Plugin for LogCounts {
    const NAME: &'static str = "log-counts";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Logs::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        Counts::read(config).map(|counts| Self { counts })
    }

    fn further_requests(&self) -> Vec<Request> {
        let ask = |slot, name: &str, encoding| Request {
            shape: Shape::Logs,
            slot,
            name: name.to_owned().into(),
            encoding,
            optional: true,
        };
        let body = self.counts.reads_lines().then(|| ask(BODY, "body", Encoding::Values));
        let labels = (LABELS..).zip(&self.counts.labels);
        body.into_iter().chain(labels.map(|(slot, name)| ask(slot, name, Encoding::Dictionary))).collect()
    }
}

impl Deriver for LogCounts {
    fn metrics(&self) -> Vec<Metric> {
        let counter = |name: &str, help: &str| Metric {
            name: name.to_owned(),
            kind: MetricKind::Counter,
            help: help.to_owned(),
            unit: String::new(),
            bounds: Vec::new(),
        };
        let sums = self.counts.sums.iter();
        let sums = sums.map(|(field, metric)| counter(metric, &format!("Sum of {field} of log records.")));
        [counter(&self.counts.metric, "Log records.")].into_iter().chain(sums).collect()
    }

    fn derive(&self, batch: &Batch) -> Deltas {
        let logs = Logs::of(batch);
        let lines = Lines { text: Text::read(batch, BODY), rows: logs.rows };
        let columns: Vec<(&String, Dictionary<'_>)> = (LABELS..)
            .zip(&self.counts.labels)
            .filter_map(|(slot, name)| Some((name, Dictionary::read(batch, slot)?)))
            .collect();
        let fields: Vec<(String, Values)> = self
            .counts
            .field_labels()
            .zip(&self.counts.fields)
            .map(|(label, name)| (label, Values::of(lines.fields(name))))
            .collect();
        // Whether a record counts is a key as any other, so that groups count whole or not.
        let counted = self.counted(&logs, &lines);
        let mut keys = vec![Keys::new(&counted, 2), Keys::from(logs.service)];
        keys.extend(logs.severity.map(Keys::from));
        keys.extend(columns.iter().map(|(_, column)| Keys::from(*column)));
        keys.extend(fields.iter().map(|(_, values)| Keys::new(&values.keys, values.distinct.len() as u64)));
        let groups = Groups::by(logs.rows, &keys);
        let kept = Kept::of(&groups, &counted);

        let mut deltas = Deltas::of(kept.rows.len());
        kept.label(&mut deltas, "service", logs.service);
        if let Some(severity) = logs.severity {
            kept.label(&mut deltas, "severity", severity);
        }
        for (name, column) in columns {
            kept.label(&mut deltas, name, column);
        }
        for (name, values) in fields {
            let keys = kept.rows.iter().map(|row| values.keys[*row as usize]).collect();
            deltas.push_label(&name, keys, LabelValues::Own(values.distinct));
        }
        deltas.counter(0, kept.sum(&groups, |_| 1.0));
        for (metric, (name, _)) in (1..).zip(&self.counts.sums) {
            let numbers: Vec<f64> = lines.fields(name).map(number).collect();
            deltas.counter(metric, kept.sum(&groups, |row| numbers[row]));
        }
        deltas
    }
}

impl LogCounts {
    /// 1 for each record that counts.
    fn counted(&self, logs: &Logs<'_>, lines: &Lines<'_>) -> Vec<u32> {
        let Counts { services, severities, contains, equals, .. } = &self.counts;
        let mut counted = vec![1; logs.rows];
        let mut only = |wanted: &[String], column: Option<Dictionary<'_>>| {
            if wanted.is_empty() {
                return;
            }
            for (row, counted) in counted.iter_mut().enumerate() {
                let value = column.and_then(|column| column.get(row)).unwrap_or_default();
                *counted &= u32::from(wanted.iter().any(|wanted| wanted == value));
            }
        };
        only(services, Some(logs.service));
        only(severities, logs.severity);
        if !(contains.is_empty() && equals.is_empty()) {
            let fits = |line: &str| {
                contains.iter().all(|text| line.contains(text.as_str()))
                    && equals.iter().all(|(name, value)| field(line, name) == Some(value.as_str()))
            };
            counted
                .iter_mut()
                .zip(lines.iter())
                .for_each(|(counted, line)| *counted &= u32::from(fits(line)));
        }
        counted
    }
}

/// The lines of a batch; empty where it has none.
struct Lines<'a> {
    text: Option<Text<'a>>,
    rows: usize,
}

impl<'a> Lines<'a> {
    fn iter(&self) -> impl Iterator<Item = &'a str> {
        let text = self.text;
        (0..self.rows).map(move |row| text.and_then(|text| text.get(row)).unwrap_or_default())
    }

    /// A field of each line.
    fn fields(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().map(move |line| field(line, name).unwrap_or_default())
    }
}

/// A number that a counter can be raised by; 0 for anything else.
fn number(text: &str) -> f64 {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0).unwrap_or(0.0)
}

/// Texts by key.
struct Values {
    keys: Vec<u32>,
    distinct: TextData,
}

impl Values {
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut distinct = TextData::default();
        let keys = texts.map(|text| {
            let next = known.len() as u32;
            *known.entry(text).or_insert_with(|| {
                distinct.push(text);
                next
            })
        });
        Self { keys: keys.collect(), distinct }
    }
}

/// The groups whose records count.
struct Kept {
    /// Their first rows.
    rows: Vec<u32>,
    /// Per group its place among them.
    place: Vec<Option<usize>>,
}

impl Kept {
    fn of(groups: &Groups, counted: &[u32]) -> Self {
        let mut rows = Vec::new();
        let place = groups.first_rows().iter().map(|row| {
            (counted[*row as usize] == 1).then(|| {
                rows.push(*row);
                rows.len() - 1
            })
        });
        let place = place.collect();
        Self { rows, place }
    }

    fn label(&self, deltas: &mut Deltas, name: &str, column: Dictionary<'_>) {
        if column.validity().is_full() {
            let keys = self.rows.iter().map(|row| column.keys()[*row as usize]).collect();
            deltas.push_label(name, keys, LabelValues::Input(column.slot()));
        } else {
            let values = self.rows.iter().map(|row| column.get(*row as usize).unwrap_or_default()).collect();
            deltas.push_label(name, (0..self.rows.len() as u32).collect(), LabelValues::Own(values));
        }
    }

    fn sum(&self, groups: &Groups, value: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.rows.len()];
        for (row, group) in groups.ids().iter().enumerate() {
            if let Some(place) = self.place[*group as usize] {
                sums[place] += value(row);
            }
        }
        sums
    }
}

export_deriver!(LogCounts);

#[cfg(test)]
mod tests;
