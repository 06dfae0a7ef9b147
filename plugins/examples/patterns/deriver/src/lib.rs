//! Counts log records by service, severity and pattern: `log_patterns_total`.
//!
//! The host bounds the number of series per tenant (`ingest.derived_series_max`); with
//! `only_known` the configuration does.

use std::collections::HashMap;

use isinglass_plugin::{
    Batch, Config, Deltas, Deriver, Dictionary, Groups, Keys, LabelValues, Metric, MetricKind, Plugin,
    Request, Shape, Text, TextData, columns, export_deriver,
};
use pattern_mining::{CONFIG_SCHEMA, Patterns};

columns! {
    /// What is read of every log record.
    struct Logs<'a> of Shape::Logs {
        service: Dictionary<'a> = "service",
        severity: Option<Dictionary<'a>> = "severity",
        body: Text<'a> = "body",
    }
}

/// The plugin.
#[derive(Debug)]
pub struct LogPatterns {
    patterns: Patterns,
}

impl Plugin for LogPatterns {
    const NAME: &'static str = "log-patterns";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = CONFIG_SCHEMA;
    const REQUESTS: &'static [&'static [Request]] = &[Logs::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        Patterns::read(config).map(|patterns| Self { patterns })
    }
}

impl Deriver for LogPatterns {
    fn metrics(&self) -> Vec<Metric> {
        vec![Metric {
            name: "log_patterns_total".to_owned(),
            kind: MetricKind::Counter,
            help: "Log records by pattern.".to_owned(),
            unit: String::new(),
            bounds: Vec::new(),
        }]
    }

    fn derive(&self, batch: &Batch) -> Deltas {
        let logs = Logs::of(batch);
        let (keys, patterns) = self.patterns_of(&logs);
        let mut columns = vec![Keys::from(logs.service), Keys::new(&keys, patterns.len() as u64)];
        columns.extend(logs.severity.map(Keys::from));
        let groups = Groups::by(logs.rows, &columns);

        let mut counts = vec![0.0; groups.len()];
        for group in groups.ids() {
            counts[*group as usize] += 1.0;
        }

        let mut deltas = Deltas::of(groups.len());
        deltas.label("service", logs.service, &groups);
        if let Some(severity) = logs.severity {
            deltas.label("severity", severity, &groups);
        }
        let of_groups = groups.first_rows().iter().map(|row| keys[*row as usize]).collect();
        deltas.push_label("pattern", of_groups, LabelValues::Own(patterns));
        deltas.counter(0, counts);
        deltas
    }
}

impl LogPatterns {
    /// The pattern of each record, as keys into distinct ones.
    fn patterns_of(&self, logs: &Logs<'_>) -> (Vec<u32>, TextData) {
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut distinct = TextData::default();
        let mut pattern = String::new();
        let keys = (0..logs.rows).map(|row| {
            self.patterns.of(logs.body.get(row).unwrap_or_default(), &mut pattern);
            if let Some(key) = known.get(pattern.as_str()) {
                return *key;
            }
            let key = known.len() as u32;
            known.insert(pattern.clone(), key);
            distinct.push(&pattern);
            key
        });
        (keys.collect(), distinct)
    }
}

export_deriver!(LogPatterns);

#[cfg(test)]
mod tests {
    use isinglass_plugin::testing::Table;

    use super::*;

    /// `pattern count` of each series.
    fn counted(config: &str) -> Vec<String> {
        let plugin = LogPatterns::configure(Config::parse(config).unwrap()).unwrap();
        let batch = Table::new(Logs::REQUESTS, Shape::Logs, 4)
            .text("service", &["shop", "shop", "cart", "shop"])
            .nullable_text("severity", &[Some("info"), Some("info"), None, Some("info")])
            .text("body", &["took 5ms", "took 17ms", "took 5ms", "user bob left"])
            .batch();
        let deltas = plugin.derive(&batch);
        let label = &deltas.labels()[2];
        assert_eq!(label.name, "pattern");
        let LabelValues::Own(values) = &label.values else { panic!("own values") };
        let text = |key: u32| {
            let range = values.offsets[key as usize] as usize..values.offsets[key as usize + 1] as usize;
            std::str::from_utf8(&values.data[range]).unwrap()
        };
        let series = label.keys.iter().zip(&deltas.increments()[0].values);
        series.map(|(key, count)| format!("{} {count}", text(*key))).collect()
    }

    #[test]
    fn counts_by_pattern() {
        assert_eq!(counted(""), ["took <_> 2", "took <_> 1", "user bob left 1"]);
        let known = r#"{"patterns": ["user <_> left"]}"#;
        assert_eq!(counted(known), ["took <_> 2", "took <_> 1", "user <_> left 1"]);
        let only = r#"{"patterns": ["user <_> left"], "only_known": true}"#;
        assert_eq!(counted(only), ["<other> 2", "<other> 1", "user <_> left 1"]);
    }
}
