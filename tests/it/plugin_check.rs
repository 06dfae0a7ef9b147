//! `isinglass plugin check` on the components that ship, and on files that are none.

use std::process::{Command, Output};

use serde_json::Value;

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.args(["plugin", "check"]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

fn says(output: &Output, code: i32, wanted: &str) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(wanted), "{wanted:?} in {text}");
}

#[test]
fn a_person_is_told_what_it_is_and_wants() {
    let found = check(&["plugins/dist/examples/deny-service.wasm"]);
    says(&found, 0, "plugin   deny-service@0.1.0, a validator\n");
    for wanted in ["spans    service as dictionary", "imports  isinglass:plugin/", "digest   sha256:"] {
        says(&found, 0, wanted);
    }
    let geo = check(&["plugins/dist/examples/geo.wasm"]);
    says(&geo, 0, "function haversine(float64, float64, float64, float64) -> float64, scalar\n");
    says(&geo, 0, "function mad(float64) -> float64, aggregate\n");
    says(&check(&["plugins/dist/span-metrics.wasm"]), 0, "writes   traces_spanmetrics_calls_total, ");
}

#[test]
fn a_program_is_told_the_same() {
    let found = check(&["--json", "plugins/dist/rate-limit.wasm"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&found["world"], &found["plugin"]), (&"limiter".into(), &"rate-limit@0.1.0".into()));
    assert!(found["bytes"].as_u64() < found["bytes_max"].as_u64());
    assert!(found["config_schema"].is_object(), "{found}");
    let sums = std::fs::read_to_string("plugins/dist/SHA256SUMS").unwrap();
    let digest = found["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert!(sums.contains(digest), "{digest} in {sums}");
    assert_eq!(found["functions"], Value::Array(Vec::new()));

    let found = check(&["--json", "plugins/dist/examples/geo.wasm"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let hemisphere = serde_json::json!({
        "name": "hemisphere", "kind": "scalar", "arguments": ["float64"], "returns": "text",
        "volatility": "immutable", "help": "North or south, by latitude in degrees.",
    });
    assert_eq!(found["functions"][1], hemisphere);
}

#[test]
fn what_a_server_would_refuse_is_refused() {
    let deny = "plugins/dist/examples/deny-service.wasm";
    says(&check(&["--config", r#"{"surprise": 1}"#, deny]), 1, "configuration refused: ");
    says(&check(&["plugins/dist/SHA256SUMS"]), 1, "not a usable component");
    says(&check(&["plugins/dist/absent.wasm"]), 2, "cannot read plugins/dist/absent.wasm");
    says(&check(&["--config", "{", deny]), 1, "--config is not JSON");
}
