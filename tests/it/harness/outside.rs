//! Programs that are not ours: Prometheus, Alertmanager, a container registry, Python with the OpenTelemetry SDK, the
//! Delta reader and DuckDB, and Node with Grafana's client library. `tests/run` provides them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::root;

/// The Prometheus binary. Missing is a failure, not a reason to skip.
pub(crate) fn prometheus() -> PathBuf {
    named("ISINGLASS_TEST_PROMETHEUS", "prometheus")
}

/// The Alertmanager binary. Missing is a failure, not a reason to skip.
pub(crate) fn alertmanager() -> PathBuf {
    named("ISINGLASS_TEST_ALERTMANAGER", "prometheus-alertmanager")
}

/// The container registry of the distribution project. Missing is a failure, not a reason to skip.
pub(crate) fn registry() -> PathBuf {
    named("ISINGLASS_TEST_REGISTRY", "docker-registry")
}

/// Runs `tests/outside/<script>`, which prints one JSON value.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Value {
    let path = root().join("tests/outside").join(script);
    said(Command::new(named("ISINGLASS_TEST_PYTHON", "")).arg(path).args(arguments))
}

/// Runs `tests/outside/grafana/client.cjs`, which prints one JSON value.
pub(crate) fn grafana_client(arguments: &[&str]) -> Value {
    let path = root().join("tests/outside/grafana/client.cjs");
    let packages = named("ISINGLASS_TEST_GRAFANA_CLIENT", "").join("node_modules");
    let mut node = Command::new(named("ISINGLASS_TEST_NODE", "node"));
    said(node.env("NODE_PATH", packages).arg(path).args(arguments))
}

/// What `isinglass plugin build` is told of compilers, and a cache of its own. Missing is a failure,
/// not a reason to skip.
pub(crate) fn of_authors(command: &mut Command, cache: &Path) {
    let python = named("ISINGLASS_TEST_PYTHON", "");
    let scripts = python.parent().unwrap();
    let below = |folder: &Path| std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let packages = below(&scripts.parent().unwrap().join("lib")).join("site-packages");
    command.env("XDG_CACHE_HOME", cache);
    command.env("ISINGLASS_ZIG", packages.join("ziglang/zig"));
    command.env("ISINGLASS_COMPONENTIZE_PY", scripts.join("componentize-py"));
    let tool = "node_modules/.bin/componentize-qjs";
    command.env("ISINGLASS_COMPONENTIZE_QJS", named("ISINGLASS_TEST_JAVASCRIPT", "").join(tool));
    // Zig keeps what it compiled of its C library, which is the same for all.
    command.env("ZIG_GLOBAL_CACHE_DIR", std::env::temp_dir().join("isinglass-zig"));
}

fn said(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{errors}", output.status);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{command:?}: {error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// An S3 of its own with the bucket `telemetry`; ends when it is dropped.
pub(crate) struct Bucket {
    process: Child,
    endpoint: String,
    requests: NamedTempFile,
}

impl Bucket {
    /// Variables that open it.
    pub(crate) const CREDENTIALS: [(&str, &str); 2] =
        [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

    pub(crate) fn start() -> Self {
        let mut command = Command::new(named("ISINGLASS_TEST_PYTHON", ""));
        let requests = NamedTempFile::new().unwrap();
        command.arg(root().join("tests/outside/s3.py")).arg(requests.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("s3.py: {error}: {line}"));
        Self { process, endpoint: said["endpoint"].as_str().unwrap().to_owned(), requests }
    }

    /// What the service says it was asked so far: method and path of each request.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        let log = std::fs::read_to_string(self.requests.path()).unwrap();
        let request = |line: &str| {
            let mut words = line.split('"').nth(1)?.split(' ');
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        log.lines().filter_map(request).collect()
    }

    /// The four lines of configuration that put the tables into it.
    pub(crate) fn config(&self, prefix: &str) -> String {
        let endpoint = &self.endpoint;
        format!(
            "[store]\nurl = \"s3://telemetry/{prefix}\"\n[store.objects]\nendpoint = \"{endpoint}\"\nallow_http = true\n"
        )
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
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
