//! `docs/plugins.md`, word for word: what it says to type is typed, and the server that it says to
//! configure refuses what it says.

use std::path::Path;
use std::process::Command;

use isinglass_testkit::otlp;

use crate::harness::{Server, now_nanos, outside, root};

/// The fenced blocks of a language (`sh`, `toml`) in a section.
fn blocks(section: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/plugins.md")).unwrap();
    let heading = format!("\n## {section}\n");
    let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("no section {section:?}"));
    let section = rest.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    section.split(&fence).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn typed(commands: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_isinglass")).parent().unwrap();
    let path = std::env::join_paths(
        [program.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = Command::new("sh");
    shell.args(["-euc", commands]).current_dir(folder).env("PATH", path.unwrap());
    outside::of_authors(&mut shell, folder);
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert!(output.status.success(), "{commands}\n{text}");
    text
}

/// `budget`: which of the lines about budgets the binding needs, from 1.
async fn check(section: &str, budget: usize) {
    let folder = tempfile::Builder::new().prefix("isinglass-guide-").tempdir().unwrap();
    let said = typed(&blocks(section, "sh").concat(), folder.path());
    assert!(said.contains("0 failed") && said.contains("plugin   deny@0.1.0, a validator"), "{said}");

    let config = blocks("Running it", "toml");
    // The only thing that is not as it stands there: the folder that the server is started in.
    let here = format!("file:{}/deny/", folder.path().display());
    let budget = if budget > 0 { config[budget].as_str() } else { "" };
    let binding = config[0].replace("file:deny/", &here) + budget;
    let server = Server::start_with_on(&binding, &folder.path().join("isinglass"));
    let client = server.client();
    let start = now_nanos() - 1_000_000;
    let spans = [otlp::Span::server("GET /", start, start + 1_000)];
    for service in ["shop", "load-generator"] {
        client.otlp("traces", otlp::traces(&[otlp::text("service.name", service)], &spans)).await.ok();
    }
    let refused = client.sql(&blocks("Running it", "sql").concat()).await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["message"], "service load-generator is not wanted");
    assert_eq!(client.count("spans").await, 1);
}

#[tokio::test]
async fn of_rust_holds() {
    check("Rust", 0).await;
}

#[test]
fn of_rows_that_belong_together_holds() {
    let folder = tempfile::Builder::new().prefix("isinglass-guide-").tempdir().unwrap();
    let said = typed(&blocks("Rows that belong together", "sh").concat(), folder.path());
    assert!(said.contains("3 passed, 0 failed") && said.contains("calls@0.1.0, a deriver"), "{said}");
}

#[tokio::test]
async fn of_c_holds() {
    check("C", 0).await;
}

#[tokio::test]
async fn of_javascript_holds() {
    check("JavaScript", 1).await;
}

#[tokio::test]
async fn of_python_holds() {
    check("Python", 2).await;
}
