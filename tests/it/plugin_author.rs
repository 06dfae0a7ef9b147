//! The way of a plugin's author, in every language and for every world: `new`, `build`, `test`,
//! `check`, then a server that runs it, and what it does to data that is sent.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use isinglass_testkit::otlp::{self, LogRecord};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Server, now_nanos, outside};

const NAME: &str = "my-plugin";

/// A folder in which plugins are made, with caches of its own.
struct Author {
    folder: TempDir,
    name: String,
}

impl Author {
    fn new(lang: &str, world: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("isinglass-author-").tempdir().unwrap();
        let author = Self { folder, name: NAME.to_owned() };
        author.says(&["new", NAME, "--world", world, "--lang", lang], 0, world);
        author
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(&self.name).join(inside)
    }

    fn component(&self) -> PathBuf {
        self.path(&format!("{}.wasm", self.name))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
        command.arg("plugin").args(arguments).current_dir(self.folder.path());
        outside::of_authors(&mut command, self.folder.path());
        command.output().unwrap()
    }

    /// Runs a command, which must end with `code` and say `wanted`.
    fn says(&self, arguments: &[&str], code: i32, wanted: &str) -> String {
        let output = self.run(arguments);
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
        assert!(text.contains(wanted), "{arguments:?}: {wanted:?} in {text}");
        text
    }

    /// Builds it and runs its cases.
    fn built(self) -> Self {
        self.says(&["build", NAME], 0, "my-plugin.wasm: ");
        let said = self.says(&["test", NAME], 0, " passed, 0 failed\n");
        assert!(said.contains("ok    cases/logs.toml"), "{said}");
        self
    }

    /// What `check` says of it, whose machine code goes where the server looks for it.
    fn checked(&self, config: &str, more: &[&str]) -> Value {
        let component = self.component();
        let mut arguments = vec!["check", "--json", "--config", config, component.to_str().unwrap()];
        arguments.extend(more);
        let output = self.run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A server with nothing but this plugin.
    fn server(&self, world: &str, more: &str) -> Server {
        let component = self.component().display().to_string();
        Server::start_with(&format!(
            "[[plugins.bindings]]\nname = \"mine\"\nsource = \"file:{component}\"\nworld = \"{world}\"\n{more}\n"
        ))
    }
}

fn spans(service: &str, count: u64) -> Vec<u8> {
    let start = now_nanos() - 1_000_000_000;
    let span = |at: u64| otlp::Span {
        span_id: (at + 1).to_be_bytes().to_vec(),
        ..otlp::Span::server("GET /", start, start + 1_000)
    };
    otlp::traces(&[otlp::text("service.name", service)], &(0..count).map(span).collect::<Vec<_>>())
}

fn logs(service: &str, severities: &[u64]) -> Vec<u8> {
    let record = |severity_number: &u64| LogRecord {
        severity_number: *severity_number,
        ..LogRecord::new(now_nanos(), "a line")
    };
    otlp::logs(&[otlp::text("service.name", service)], &severities.iter().map(record).collect::<Vec<_>>())
}

/// Refuses what its configuration names, of spans and of log records.
async fn validates(server: &Server) {
    let client = server.client();
    client.otlp("traces", spans("shop", 5)).await.ok();
    let answer = client.otlp("traces", spans("load-generator", 3)).await.ok();
    assert!(answer.text().contains("service load-generator is not wanted"), "{}", answer.text());
    client.otlp("logs", logs("load-generator", &[9, 17])).await.ok();
    client.otlp("logs", logs("shop", &[9])).await.ok();
    assert_eq!((client.count("spans").await, client.count("logs").await), (5, 1));
    let refused = "rejected where reason = 'service_denied' and message like '%load-generator%'";
    assert_eq!(client.count(refused).await, 5);
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// Gives every service a bucket of 20.
async fn limits(server: &Server) {
    let client = server.client();
    client.otlp("traces", spans("shop", 20)).await.ok();
    let refused = client.otlp("traces", spans("shop", 19)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.text().contains("service/shop"), "{}", refused.text());
    client.otlp("logs", logs("cart", &[9; 20])).await.ok();
    assert_eq!((client.count("spans").await, client.count("logs").await), (20, 20));
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// Counts log records by service and severity, over several requests.
async fn derives(server: &Server) {
    let client = server.client();
    client.otlp("logs", logs("shop", &[9, 17, 9])).await.ok();
    client.otlp("logs", logs("cart", &[9])).await.ok();
    client.otlp("logs", logs("shop", &[17, 0])).await.ok();
    client.flush().await;
    let count = async |wanted: &str| {
        client.number(&format!("select max(value) from metrics.lines_total where {wanted}")).await
    };
    assert_eq!(count("service = 'shop' and severity = 'info'").await, 2.0);
    assert_eq!(count("service = 'shop' and severity = 'error'").await, 2.0);
    assert_eq!(count("service = 'shop' and severity is null").await, 1.0);
    assert_eq!(count("service = 'cart' and severity = 'info'").await, 1.0);
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// The configuration of a world's template, and what it comes to.
const WORLDS: [(&str, &str); 3] = [
    ("validator", r#"{"services": ["load-generator"]}"#),
    ("limiter", r#"{"items_per_second": 0.5, "burst": 20}"#),
    ("deriver", r#"{"metric": "lines_total"}"#),
];

/// The whole way. `budget`: of a binding, as TOML; `check`: the same as flags.
async fn whole_way(lang: &str, world: &str, budget: &str, check: &[&str]) {
    let (_, config) = WORLDS.into_iter().find(|(name, _)| *name == world).unwrap();
    let author = Author::new(lang, world).built();
    let found = author.checked(config, check);
    assert_eq!((&found["world"], &found["plugin"]), (&world.into(), &"my-plugin@0.1.0".into()));
    assert!(
        found["imports"]
            .as_array()
            .unwrap()
            .iter()
            .all(|import| { import.as_str().unwrap().starts_with("isinglass:plugin/") })
    );
    assert!(found["config_schema"]["properties"].is_object(), "{found}");

    let config = config.replace("\": ", "\" = ");
    let fallback = if world == "limiter" { "on_error = \"reject\"\n" } else { "" };
    let server = author.server(world, &format!("config = {config}\n{fallback}{budget}"));
    match world {
        "validator" => validates(&server).await,
        "limiter" => limits(&server).await,
        _ => derives(&server).await,
    }
}

#[tokio::test]
async fn a_validator_in_rust() {
    whole_way("rust", "validator", "", &[]).await;
}

#[tokio::test]
async fn a_limiter_in_rust() {
    whole_way("rust", "limiter", "", &[]).await;
}

#[tokio::test]
async fn a_deriver_in_rust() {
    whole_way("rust", "deriver", "", &[]).await;
}

#[tokio::test]
async fn all_worlds_in_c() {
    for (world, _) in WORLDS {
        whole_way("c", world, "", &[]).await;
    }
}

#[tokio::test]
async fn all_worlds_in_javascript() {
    for (world, _) in WORLDS {
        whole_way("javascript", world, "", &[]).await;
    }
}

/// CPython in a component is large, and compiling it unoptimised takes its time: one after the other.
#[tokio::test]
async fn all_worlds_in_python() {
    let budget = "budget = { cpu_soft_ms = 200, cpu_hard_ms = 2000, memory_bytes_max = 134217728, \
                  component_bytes_max = 33554432 }\n";
    let flags = ["--memory-bytes-max", "134217728", "--component-bytes-max", "33554432"];
    for (world, _) in WORLDS {
        whole_way("python", world, budget, &flags).await;
    }
}

/// A change that breaks a case, one that breaks the build, and one that breaks the promise that
/// an answer depends on the row alone.
#[test]
fn what_is_wrong_is_shown() {
    let author = Author::new("c", "validator").built();
    let source = author.path("src/plugin.c");
    let whole = std::fs::read_to_string(&source).unwrap();
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        std::fs::write(&source, whole.replace(from, to)).unwrap();
    };
    with("\" is not wanted\"", "\" is unwelcome\"");
    author.says(&["build", NAME], 0, "built in");
    let said = author.says(&["test", NAME], 1, "FAIL  cases/spans.toml");
    assert!(said.contains("expected  service_denied: service load-generator is not wanted"), "{said}");
    assert!(said.contains("got       service_denied: service load-generator is unwelcome"), "{said}");
    assert!(said.contains("ok    cases/nothing-denied.toml"), "{said}");

    // Refuses the second half of whatever it is shown.
    with("if (!is_denied(name)) continue;", "if (!is_denied(name)) continue; if (batch->rows < 3) continue;");
    author.says(&["build", NAME], 0, "built in");
    let said = author.says(&["test", NAME], 1, "the answer depends on how rows are cut or ordered");
    assert!(said.contains("(seed 1)"), "{said}");

    with("static size_t service_count;", "static size_t service_count");
    author.says(&["build", NAME], 1, "failed (exit");
    std::fs::write(
        &source,
        format!("#include <stdio.h>\n{whole}\nint say(void) {{ return puts(\"x\"); }}\n"),
    )
    .unwrap();
    std::fs::write(
        &source,
        whole.replace("free(verdicts);", "free(verdicts); puts(\"x\");").replacen(
            '\n',
            "\n#include <stdio.h>\n",
            1,
        ),
    )
    .unwrap();
    author.says(&["build", NAME], 1, "what needs WASI cannot be linked");

    std::fs::write(author.path("cases/spans.toml"), "[[spans]]\nsurprise = 1\nverdict = \"keep\"\n").unwrap();
    author.says(&["test", NAME], 1, "there is no column \"surprise\" of spans");
    author.says(&["new", NAME, "--world", "validator"], 1, "exists");
    author.says(&["new", "Bad Name", "--world", "validator"], 1, "must be 1 to 64 of a-z");
    author.says(&["new", "other", "--world", "magician"], 2, "possible values: ");
}

/// Without `--fetch` nothing is fetched, and the error says what would be.
#[test]
fn what_is_missing_is_named() {
    for (lang, words) in [
        ("c", "pip install ziglang=="),
        ("python", "pip install componentize-py=="),
        ("javascript", "npm install --global componentize-qjs@"),
    ] {
        let author = Author::new(lang, "deriver");
        let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
        command.args(["plugin", "build", NAME]).current_dir(author.folder.path());
        let output =
            command.env("PATH", "/nowhere").env("XDG_CACHE_HOME", author.folder.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(words) && text.contains("--fetch"), "{text}");
    }
}

/// The machine code of a component lies in the data folder, and is neither trusted nor needed.
#[tokio::test]
async fn machine_code_is_kept_and_not_trusted() {
    let mut server = Server::start();
    let folder = server.data_dir().join("plugin-code");
    let entries = || {
        let all = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<_> =
            all.filter(|path| path.extension().is_some_and(|suffix| suffix == "code")).collect();
        all.sort_unstable();
        all
    };
    let known = entries();
    assert_eq!(known.len(), 3, "one for each plugin that ships");
    assert!(server.stop().success());
    let damage = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(path, bytes).unwrap();
    };
    damage(&known[0]);
    let damaged = std::fs::read(&known[0]).unwrap();
    server.start_again();
    server.client().otlp("traces", spans("shop", 5)).await.ok();
    assert_eq!(server.client().count("spans").await, 5);
    assert_eq!(entries(), known);
    assert_ne!(std::fs::read(&known[0]).unwrap(), damaged, "it was written anew");
}
