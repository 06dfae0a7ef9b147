//! Masks attributes of spans and log records, and drops log records of severities that nobody reads.

use isinglass_plugin::{
    Batch, Config, Dictionary, Edits, Pairs, Plugin, Request, Shape, Transformer, columns,
    export_transformer, json_text,
};

columns! {
    /// What is read of every span.
    struct Spans<'a> of Shape::Spans {
        attributes: Dictionary<'a> = "attr.key",
    }
}

columns! {
    /// What is read of every log record.
    struct Logs<'a> of Shape::Logs {
        attributes: Dictionary<'a> = "attr.key",
        severity: Option<Dictionary<'a>> = "severity",
    }
}

/// The plugin, as its configuration makes it.
#[derive(Debug)]
pub struct Mask {
    keys: Vec<String>,
    drop_severities: Vec<String>,
}

impl Plugin for Mask {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("../config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS, Logs::REQUESTS];

    fn configure(mut config: Config) -> Result<Self, String> {
        let (keys, drop_severities) = (config.texts("keys")?, config.texts("drop_severities")?);
        config.finish()?;
        Ok(Self { keys, drop_severities })
    }
}

impl Transformer for Mask {
    fn transform(&self, batch: &Batch, edits: &mut Edits) {
        let (attributes, severity) = match batch.shape {
            Shape::Spans => (Spans::of(batch).attributes, None),
            _ => (Logs::of(batch).attributes, Logs::of(batch).severity),
        };
        // Keys belong to entries of rows, and so does what is changed. Values are JSON text.
        let mask = json_text("***");
        attributes.rows_where(
            |key| self.keys.iter().any(|masked| masked == key),
            |entry, _| edits.pairs(Pairs::Attributes).change(entry, &mask),
        );
        if let Some(severity) = severity {
            severity.rows_where(
                |severity| self.drop_severities.iter().any(|dropped| dropped == severity),
                |row, severity| edits.drop_row(row, "severity", || format!("nobody reads {severity}")),
            );
        }
    }
}

export_transformer!(Mask);
