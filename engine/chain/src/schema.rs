//! A configuration and the schema that a plugin declares for it (JSON Schema).

use boon::{Compiler, Schemas, ValidationError};
use serde_json::Value;

/// Faults that are named.
const FAULTS_MAX: usize = 5;
const NAME: &str = "configuration.json";

/// What is wrong with a configuration, by the schema of its plugin; `Ok` without one.
pub(crate) fn check(schema: &str, config: &Value) -> Result<(), String> {
    if schema.trim().is_empty() {
        return Ok(());
    }
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| format!("its config-schema is no JSON: {error}"))?;
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let of_schema = |error: &dyn std::fmt::Display| format!("its config-schema is no JSON Schema: {error}");
    compiler.add_resource(NAME, schema).map_err(|error| of_schema(&error))?;
    // Others are not fetched: there is no loader for them.
    let compiled = compiler.compile(NAME, &mut schemas).map_err(|error| of_schema(&error))?;
    schemas.validate(config, compiled).map_err(|error| {
        let mut faults = Vec::new();
        collect(&error, &mut faults);
        faults.dedup();
        faults.truncate(FAULTS_MAX);
        faults.join("; ")
    })
}

/// The innermost faults, each with its place.
fn collect(error: &ValidationError<'_, '_>, faults: &mut Vec<String>) {
    if error.causes.is_empty() {
        let place = error.instance_location.to_string();
        let place = place.trim_start_matches('/').replace('/', ".");
        faults.push(if place.is_empty() {
            error.kind.to_string()
        } else {
            format!("{place}: {}", error.kind)
        });
    }
    error.causes.iter().for_each(|cause| collect(cause, faults));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object", "additionalProperties": false, "required": ["services"],
        "properties": {
            "services": { "type": "array", "items": { "type": "string" } },
            "part": { "type": "number", "minimum": 0, "maximum": 1 }
        }
    }"#;

    #[test]
    fn faults_name_the_field() {
        let check = |config: Value, want: &str| {
            let got = check(SCHEMA, &config).err().unwrap_or_default();
            assert!(if want.is_empty() { got.is_empty() } else { got.contains(want) }, "{config}: {got}");
        };
        check(json!({ "services": ["a"], "part": 0.5 }), "");
        check(json!({}), "services");
        check(json!({ "services": "a" }), "services: ");
        check(json!({ "services": ["a", 7] }), "services.1: ");
        check(json!({ "services": [], "part": 2 }), "part: ");
        check(json!({ "services": [], "prat": 1 }), "prat");
    }

    #[test]
    fn a_schema_that_is_none_is_the_plugins_fault() {
        assert!(check("", &json!({ "a": 1 })).is_ok());
        assert!(check("{", &json!({})).unwrap_err().contains("no JSON"));
        assert!(check(r#"{ "type": 7 }"#, &json!({})).unwrap_err().contains("no JSON Schema"));
        let elsewhere = r#"{ "$ref": "https://example.org/other.json" }"#;
        assert!(check(elsewhere, &json!({})).unwrap_err().contains("no JSON Schema"));
    }
}
