//! The cases of the plugins that ship, run in the sandbox as an author runs those of hers.

use std::process::Command;

use isinglass_testkit::loki::{self, Stream};

use crate::harness::{Server, now_nanos, outside, root};

/// Name, world, folder of its cases, component.
const PLUGINS: [(&str, &str, &str, &str); 7] = [
    ("validate", "validator", "validate", "validate"),
    ("rate-limit", "limiter", "rate-limit", "rate-limit"),
    ("span-metrics", "pairing-deriver", "span-metrics", "span-metrics"),
    ("redact", "transformer", "examples/redact", "examples/redact"),
    ("log-counts", "deriver", "examples/log-counts", "examples/log-counts"),
    ("log-patterns", "deriver", "examples/patterns/deriver", "examples/log-patterns"),
    ("log-pattern", "function", "examples/patterns/function", "examples/log-pattern"),
];

#[test]
fn cases_of_the_plugins_that_ship() {
    let plugins = root().join("plugins");
    for (name, world, folder, component) in PLUGINS {
        let project = tempfile::TempDir::new().unwrap();
        let manifest = format!(
            "format = 1\nname = \"{name}\"\nversion = \"0.1.0\"\nworld = \"{world}\"\nlang = \"rust\"\n\
             sources = [\"src/lib.rs\"]\n"
        );
        std::fs::write(project.path().join("plugin.toml"), manifest).unwrap();
        let component = plugins.join(format!("dist/{component}.wasm"));
        std::fs::copy(component, project.path().join(format!("{name}.wasm"))).unwrap();
        std::os::unix::fs::symlink(plugins.join(folder).join("cases"), project.path().join("cases")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
        command.args(["plugin", "test", "."]).current_dir(project.path());
        outside::of_authors(&mut command, project.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
        assert!(output.status.success() && said.contains(" passed, 0 failed\n"), "{name}\n{said}");
    }
}

/// Every limit that `validate` has is in a case.
#[test]
fn every_limit_has_a_case() {
    let folder = root().join("plugins/validate/cases");
    let cases: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let page = std::fs::read_to_string(root().join("docs/formats/limits.md")).unwrap();
    let limits = serde_json::to_value(isinglass_model::limits::Limits::default()).unwrap();
    for key in limits.as_object().unwrap().keys() {
        assert!(cases.contains(&format!("{key} = ")), "{key} is in no case");
        assert!(page.contains(&format!("`{key}`")), "{key} is not described");
    }
    let of_intake = serde_json::to_value(isinglass_ingest::TenantLimits::default()).unwrap();
    for key in of_intake.as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{key}`")), "{key} is not described");
    }
}

/// The configuration of the page that gives what the peers have is one.
#[tokio::test]
async fn the_limits_of_the_peers_can_be_had() {
    let page = std::fs::read_to_string(root().join("docs/formats/limits.md")).unwrap();
    let config = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let server = Server::start_with(config);
    let client = server.client();
    let streams: Vec<_> =
        (0..5_001).map(|at| Stream::new(&format!("{{app=\"{at}\"}}")).line(now_nanos(), "x")).collect();
    let answer = client.loki(&loki::request(&streams)).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().starts_with("stored 5000 of 5001 items, rejected 1: stream_limit"),
        "{}",
        answer.text()
    );
}
