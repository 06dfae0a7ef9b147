//! Refuses the spans of services that are not wanted.
//!
//! ```json
//! { "services": ["load-generator"] }
//! ```

use isinglass_plugin::{
    Batch, Config, Dictionary, Plugin, Request, Shape, Validator, Verdicts, columns, export_validator,
};

columns! {
    /// What is read of every span.
    struct Spans<'a> of Shape::Spans {
        service: Dictionary<'a> = "service",
    }
}

/// The plugin.
#[derive(Debug)]
pub struct DenyService {
    services: Vec<String>,
}

impl Plugin for DenyService {
    const NAME: &'static str = "deny-service";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str =
        r#"{"type": "object", "properties": {"services": {"type": "array", "items": {"type": "string"}}}}"#;
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS];

    fn configure(mut config: Config) -> Result<Self, String> {
        let services = config.texts("services")?;
        config.finish()?;
        Ok(Self { services })
    }
}

impl Validator for DenyService {
    fn validate(&self, batch: &Batch, verdicts: &mut Verdicts) {
        let spans = Spans::of(batch);
        spans.service.rows_where(
            |service| self.services.iter().any(|denied| denied == service),
            |row, service| {
                verdicts
                    .refuse(row, "service_denied", || format!("spans of service {service} are not wanted"));
            },
        );
    }
}

export_validator!(DenyService);

#[cfg(test)]
mod tests {
    use isinglass_plugin::testing::Table;

    use super::*;

    #[test]
    fn refuses_only_what_is_denied() {
        let plugin = DenyService::configure(Config::parse(r#"{"services": ["noise"]}"#).unwrap()).unwrap();
        let batch =
            Table::new(Spans::REQUESTS, Shape::Spans, 3).text("service", &["shop", "noise", "shop"]).batch();
        let mut verdicts = Verdicts::of(batch.rows);
        plugin.validate(&batch, &mut verdicts);
        assert_eq!(verdicts.rows(), [0, 1, 0]);
        assert_eq!(verdicts.reasons()[0].message, "spans of service noise are not wanted");
    }
}
