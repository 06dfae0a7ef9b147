//! Counts log records by service and severity.

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

/// The plugin, as its configuration makes it.
#[derive(Debug)]
pub struct LogCounts {
    metric: String,
}

impl Plugin for LogCounts {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("../config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Logs::REQUESTS];

    fn configure(mut config: Config) -> Result<Self, String> {
        let metric = config.text("metric")?.unwrap_or_else(|| "log_records_total".to_owned());
        config.finish()?;
        Ok(Self { metric })
    }
}

impl Deriver for LogCounts {
    fn metrics(&self) -> Vec<Metric> {
        vec![Metric {
            name: self.metric.clone(),
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
