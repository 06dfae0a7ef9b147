//! Refuses the spans and log records of services that are not wanted.

use isinglass_plugin::{
    Batch, Config, Dictionary, Plugin, Request, Shape, Validator, Verdicts, columns, export_validator,
};

columns! {
    /// What is read of every span.
    struct Spans<'a> of Shape::Spans {
        service: Dictionary<'a> = "service",
    }
}

columns! {
    /// What is read of every log record.
    struct Logs<'a> of Shape::Logs {
        service: Dictionary<'a> = "service",
    }
}

/// The plugin, as its configuration makes it.
#[derive(Debug)]
pub struct DenyService {
    services: Vec<String>,
}

impl Plugin for DenyService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("../config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS, Logs::REQUESTS];

    fn configure(mut config: Config) -> Result<Self, String> {
        let services = config.texts("services")?;
        config.finish()?;
        Ok(Self { services })
    }
}

impl Validator for DenyService {
    fn validate(&self, batch: &Batch, verdicts: &mut Verdicts) {
        let service = match batch.shape {
            Shape::Spans => Spans::of(batch).service,
            _ => Logs::of(batch).service,
        };
        service.rows_where(
            |service| self.services.iter().any(|denied| denied == service),
            |row, service| {
                verdicts.refuse(row, "service_denied", || format!("service {service} is not wanted"));
            },
        );
    }
}

export_validator!(DenyService);
