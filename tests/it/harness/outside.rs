//! Programs that are not ours: Prometheus, and Python with the OpenTelemetry
//! SDK, the Delta reader and DuckDB. `tests/run` provides them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::root;

/// The Prometheus binary. Missing is a failure, not a reason to skip.
pub(crate) fn prometheus() -> PathBuf {
    named("ISINGLASS_TEST_PROMETHEUS", "prometheus")
}

/// Runs `tests/outside/<script>`, which prints one JSON value.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Value {
    let path = root().join("tests/outside").join(script);
    let output = Command::new(named("ISINGLASS_TEST_PYTHON", "")).arg(path).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?} ended with {}:\n{errors}", output.status);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{script}: {error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn named(variable: &str, command: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(path.exists(), "{variable} names {}, which does not exist", path.display());
        return path;
    }
    let found = std::env::var_os("PATH").and_then(|folders| {
        std::env::split_paths(&folders).map(|folder| folder.join(command)).find(|path| path.is_file())
    });
    match found {
        Some(path) => path,
        None => panic!("{variable} is not set: run the tests by tests/run, which provides what they need"),
    }
}
