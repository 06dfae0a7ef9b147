//! Counts log records by service and severity: `log_records_total`.

use isinglass_plugin::{
    Batch, Config, Deltas, Deriver, Dictionary, Groups, Keys, Metric, MetricKind, Plugin, Request, Shape,
    columns, export_deriver,
};

columns! {
    /// What is read of every log record.
    struct Logs<'a> of Shape::Logs {
        service: Dictionary<'a> = "service",
        severity: Option<Dictionary<'a>> = "severity",
    }
}

/// The plugin.
#[derive(Debug)]
pub struct LogCounts;

impl Plugin for LogCounts {
    const NAME: &'static str = "log-counts";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": false}"#;
    const REQUESTS: &'static [&'static [Request]] = &[Logs::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        config.finish()?;
        Ok(Self)
    }
}

impl Deriver for LogCounts {
    fn metrics(&self) -> Vec<Metric> {
        vec![Metric {
            name: "log_records_total".to_owned(),
            kind: MetricKind::Counter,
            help: "Log records.".to_owned(),
            unit: String::new(),
            bounds: Vec::new(),
        }]
    }

    fn derive(&self, batch: &Batch) -> Deltas {
        let logs = Logs::of(batch);
        let mut keys = vec![Keys::from(logs.service)];
        keys.extend(logs.severity.map(Keys::from));
        let groups = Groups::by(logs.rows, &keys);

        let mut counts = vec![0.0; groups.len()];
        for group in groups.ids() {
            counts[*group as usize] += 1.0;
        }

        let mut deltas = Deltas::of(groups.len());
        deltas.label("service", logs.service, &groups);
        if let Some(severity) = logs.severity {
            deltas.label("severity", severity, &groups);
        }
        deltas.counter(0, counts);
        deltas
    }
}

export_deriver!(LogCounts);

#[cfg(test)]
mod tests {
    use isinglass_plugin::testing::Table;

    use super::*;

    #[test]
    fn counts_by_service_and_severity() {
        let batch = Table::new(Logs::REQUESTS, Shape::Logs, 4)
            .text("service", &["shop", "shop", "cart", "shop"])
            .nullable_text("severity", &[Some("info"), Some("error"), None, Some("info")])
            .batch();
        let deltas = LogCounts.derive(&batch);
        assert_eq!(deltas.series(), 3);
        assert_eq!(deltas.increments()[0].values, [2.0, 1.0, 1.0]);
    }
}
