//! The way of a plugin's author, in every language and for every world: `new`, `build`, `test`,
//! `check`, then a server that runs it, and what it does to data that is sent.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use isinglass_testkit::otlp::{self, LogRecord};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Server, eventually, now_nanos, outside};

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
        let mut cases = ["calls", "logs", "spans"].into_iter();
        let of_world = cases.find(|case| self.path(&format!("cases/{case}.toml")).exists()).unwrap();
        assert!(said.contains(&format!("ok    cases/{of_world}.toml")), "{said}");
        self
    }

    /// What `check` says of it.
    fn checked(&self, config: &str, budget: &str) -> Value {
        let component = self.component();
        let component = component.to_str().unwrap();
        let output = self.run(&["check", "--json", "--config", config, "--budget", budget, component]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A server with nothing but this plugin, which finds the machine code that `test` left.
    fn server(&self, world: &str, more: &str) -> Server {
        let component = self.component().display().to_string();
        let config = format!(
            "[[plugins.bindings]]\nname = \"mine\"\nsource = \"file:{component}\"\nworld = \"{world}\"\n{more}\n"
        );
        Server::start_with_on(&config, &self.folder.path().join("isinglass"))
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
async fn derives(server: &mut Server) {
    let client = server.client();
    client.otlp("logs", logs("shop", &[9, 17, 9])).await.ok();
    client.otlp("logs", logs("cart", &[9])).await.ok();
    // What was acknowledged is counted, whatever becomes of the process.
    server.kill();
    server.start_again();
    let client = server.client();
    client.otlp("logs", logs("shop", &[17, 0])).await.ok();
    client.flush().await;
    let count = async |wanted: &str| {
        // Each life of the server counts from 0.
        let of_life = format!(
            "select start_time, max(value) as value from metrics.lines_total where {wanted} group by 1"
        );
        client.number(&format!("select sum(value) from ({of_life})")).await
    };
    assert_eq!(count("service = 'shop' and severity = 'info'").await, 2.0);
    assert_eq!(count("service = 'shop' and severity = 'error'").await, 2.0);
    assert_eq!(count("service = 'shop' and severity is null").await, 1.0);
    assert_eq!(count("service = 'cart' and severity = 'info'").await, 1.0);
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// Masks what its configuration names of log records and spans, and drops what nobody reads.
async fn transforms(server: &Server) {
    let client = server.client();
    let service = [otlp::text("service.name", "shop")];
    let record = |severity_number| {
        let mut record = LogRecord { severity_number, ..LogRecord::new(now_nanos(), "login") };
        record.attributes.extend([otlp::text("password", "secret"), otlp::text("http.route", "/login")]);
        record
    };
    client.otlp("logs", otlp::logs(&service, &[record(9), record(5), record(0)])).await.ok();
    let start = now_nanos() - 1_000_000;
    let mut span = otlp::Span::server("GET /", start, start + 1_000);
    span.attributes.push(otlp::text("password", "secret"));
    client.otlp("traces", otlp::traces(&service, &[span])).await.ok();
    assert_eq!((client.count("logs").await, client.count("spans").await), (2, 1));
    for table in ["logs", "spans"] {
        let rows = client.ask(&format!("select * from {table}")).await.ok().text();
        assert!(rows.contains("***") && !rows.contains("secret"), "{rows}");
    }
    assert_eq!(client.count("logs where http_route = '/login'").await, 2);
    let dropped = client.metric("isinglass_rejected_items_total", &["reason=\"dropped:severity\""]).await;
    assert_eq!(dropped, 1.0);
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// Brings two functions to SQL.
async fn computes(server: &Server) {
    let client = server.client();
    client.otlp("traces", spans("shop", 5)).await.ok();
    client.otlp("traces", spans("cart", 3)).await.ok();
    assert_eq!(client.number("select nearest_step(12.6)").await, 15.0);
    assert_eq!(client.cell("select nearest_step(null)").await, Value::Null);
    let by_service =
        "select sum(mean) from (select harmonic_mean(duration) as mean from spans group by service)";
    assert_eq!(client.number(by_service).await, 2_000.0);
    assert_eq!(client.cell("select harmonic_mean(duration) from spans where false").await, Value::Null);
    let fault = client.ask("select harmonic_mean(0.0)").await;
    assert_eq!(fault.status, 400, "{}", fault.text());
    assert!(fault.text().contains("row 0: harmonic_mean takes positive values only"), "{}", fault.text());
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// Counts calls between services, whose two sides come in requests of their own.
async fn pairs(server: &Server) {
    let client = server.client();
    let start = now_nanos() - 1_000_000_000;
    let side = |kind: u64, id: u8, parent: &[u8]| otlp::Span {
        kind,
        span_id: vec![id; 8],
        parent_span_id: parent.to_vec(),
        ..otlp::Span::server("call", start, start + 20_000_000)
    };
    let send = async |service: &str, span: otlp::Span| {
        client.otlp("traces", otlp::traces(&[otlp::text("service.name", service)], &[span])).await.ok();
    };
    send("cart", side(2, 2, &[1; 8])).await;
    send("shop", side(3, 1, &[])).await;
    send("shop", side(3, 3, &[])).await;
    client.flush().await;
    let called = "client = 'shop' and server = 'cart'";
    let calls = format!("select max(value) from metrics.service_calls_total where {called}");
    assert_eq!(client.number(&calls).await, 1.0);
    let within = format!("metrics.service_call_seconds_bucket where {called} and le = '0.1'");
    assert_eq!(client.number(&format!("select max(value) from {within}")).await, 1.0);
    // The wait of the configuration is over.
    let unpaired = || async {
        client.flush().await;
        // There is no table before.
        let known = "series where metric = 'service_calls_unpaired_total'";
        (client.count(known).await > 0).then_some(())
    };
    eventually("a span that stayed alone", Duration::from_secs(20), unpaired).await;
    let alone = "metrics.service_calls_unpaired_total where client = 'shop' and value = 1";
    assert!(client.count(alone).await > 0);
    assert_eq!(client.metric("isinglass_plugin_errors_total", &["mine"]).await, 0.0);
}

/// The configuration of a world's template, and what it comes to.
const WORLDS: [(&str, &str); 6] = [
    ("transformer", r#"{"keys": ["password"], "drop_severities": ["debug"]}"#),
    ("function", r#"{"step": 5}"#),
    ("validator", r#"{"services": ["load-generator"]}"#),
    ("limiter", r#"{"items_per_second": 0.5, "burst": 20}"#),
    ("deriver", r#"{"metric": "lines_total"}"#),
    ("pairing-deriver", r#"{"wait_ms": 500}"#),
];

/// An object of JSON as a table on one line.
fn as_toml(json: &str) -> String {
    json.replace("\": ", "\" = ").replace('\n', " ")
}

/// The whole way, with a budget as a binding has it.
async fn whole_way(lang: &str, world: &str, budget: &str) {
    let (_, config) = WORLDS.into_iter().find(|(name, _)| *name == world).unwrap();
    let author = Author::new(lang, world).built();
    let found = author.checked(config, budget);
    let bound = if world == "pairing-deriver" { "deriver" } else { world };
    assert_eq!((&found["world"], &found["plugin"]), (&bound.into(), &"my-plugin@0.1.0".into()));
    assert!(
        found["imports"]
            .as_array()
            .unwrap()
            .iter()
            .all(|import| { import.as_str().unwrap().starts_with("isinglass:plugin/") })
    );
    assert!(found["config_schema"]["properties"].is_object(), "{found}");

    let (config, budget) = (as_toml(config), as_toml(budget));
    let fallback = if world == "limiter" { "on_error = \"reject\"\n" } else { "" };
    let mut server = author.server(bound, &format!("config = {config}\n{fallback}budget = {budget}"));
    match world {
        "validator" => validates(&server).await,
        "limiter" => limits(&server).await,
        "transformer" => transforms(&server).await,
        "function" => computes(&server).await,
        "pairing-deriver" => pairs(&server).await,
        _ => derives(&mut server).await,
    }
}

#[tokio::test]
async fn a_validator_in_rust() {
    whole_way("rust", "validator", "{}").await;
}

#[tokio::test]
async fn a_limiter_in_rust() {
    whole_way("rust", "limiter", "{}").await;
}

#[tokio::test]
async fn a_deriver_in_rust() {
    whole_way("rust", "deriver", "{}").await;
}

#[tokio::test]
async fn a_pairing_deriver_in_rust() {
    whole_way("rust", "pairing-deriver", "{}").await;
}

#[tokio::test]
async fn a_transformer_in_rust() {
    whole_way("rust", "transformer", "{}").await;
}

#[tokio::test]
async fn functions_in_rust() {
    whole_way("rust", "function", "{}").await;
}

#[tokio::test]
async fn all_worlds_in_c() {
    for (world, _) in WORLDS {
        whole_way("c", world, "{}").await;
    }
}

#[tokio::test]
async fn all_worlds_in_javascript() {
    for (world, _) in WORLDS {
        whole_way("javascript", world, r#"{ "composed": true }"#).await;
    }
}

/// All memories of a component count, and without `composed` it has one.
#[test]
fn an_interpreter_is_held_to_its_budget() {
    let author = Author::new("javascript", "deriver");
    author.says(&["build", NAME], 0, "my-plugin.wasm: ");
    let component = author.component();
    let check = |budget: &str, code: i32, wanted: &str| {
        author.says(&["check", "--budget", budget, component.to_str().unwrap()], code, wanted);
    };
    check(r#"{"composed": true}"#, 0, "a deriver");
    check(r#"{"composed": true, "memory_bytes_max": 1048576}"#, 1, "instantiate failed: memory");
    check(r#"{"composed": true, "component_bytes_max": 100000}"#, 1, "the limit is 100000");
    check("{}", 1, "needs budget.composed = true");
    check(r#"{"memory_bytes_max": 268435456}"#, 1, "budget.memory_bytes_max must be 65536 to 134217728");
}

/// CPython in a component is large, and compiling it unoptimised takes its time; `plugin_guide` goes
/// the same way with the validator.
const PYTHON: &str = r#"{ "composed": true, "cpu_soft_ms": 200, "cpu_hard_ms": 2000,
                      "component_bytes_max": 33554432 }"#;

#[tokio::test]
async fn other_worlds_in_python() {
    for world in ["limiter", "deriver"] {
        whole_way("python", world, PYTHON).await;
    }
}

#[tokio::test]
async fn a_pairing_deriver_in_python() {
    whole_way("python", "pairing-deriver", PYTHON).await;
}

#[tokio::test]
async fn a_transformer_and_functions_in_python() {
    for world in ["transformer", "function"] {
        whole_way("python", world, PYTHON).await;
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

/// What transformers leave of rows, and what functions give.
#[test]
fn what_is_wrong_with_rows_and_values_is_shown() {
    let with = |author: &Author, from: &str, to: &str| {
        let source = author.path("src/plugin.c");
        let whole = std::fs::read_to_string(&source).unwrap();
        assert!(whole.contains(from), "{from}");
        std::fs::write(&source, whole.replace(from, to)).unwrap();
        author.says(&["build", NAME], 0, "built in");
        std::fs::write(&source, whole).unwrap();
    };
    let mask = Author::new("c", "transformer");
    with(&mask, r#""\"***\"""#, r#""\"+++\"""#);
    let said = mask.says(&["test", NAME], 1, "FAIL  cases/logs.toml");
    assert!(
        said.contains("attribute \"password\" of row 1\n    expected  \"***\"\n    got       \"+++\""),
        "{said}"
    );
    assert!(said.contains("ok    cases/nothing-asked.toml"), "{said}");
    with(&mask, "\"nobody reads \"", "\"away with \"");
    let said = mask.says(&["test", NAME], 1, "FAIL  cases/logs.toml");
    assert!(said.contains("got       dropped:severity: away with debug"), "{said}");

    let functions = Author::new("c", "function");
    with(&functions, "values[row] / step + 0.5", "values[row] / step");
    let said = functions.says(&["test", NAME], 1, "FAIL  cases/calls.toml");
    assert!(said.contains("call 1: nearest_step at 1\n    expected  15\n    got       10.0"), "{said}");
    with(&functions, "sum->count += state.count", "sum->count = state.count");
    let said = functions.says(&["test", NAME], 1, "the answer depends on how rows are cut or ordered");
    assert!(said.contains("ok    cases/calls.toml"), "{said}");
}

/// What a row costs: of a folder by the rows of its cases, of a file by made-up ones.
#[test]
fn what_a_row_costs_is_told() {
    let author = Author::new("c", "deriver").built();
    let said =
        author.says(&["bench", NAME, "--rows", "1,100"], 0, "my-plugin@0.1.0, a deriver; rows of its cases");
    let figures: Vec<Vec<f64>> = said
        .lines()
        .filter_map(|line| line.strip_prefix("logs "))
        .map(|line| line.split_whitespace().map(|figure| figure.parse().unwrap()).collect())
        .collect();
    assert_eq!(figures.iter().map(|line| line[0]).collect::<Vec<_>>(), [1.0, 100.0], "{said}");
    assert!(figures.iter().all(|line| line[1] > line[2] && line[2] > 0.0), "{said}");
    assert!(said.contains("memory of an instance: "), "{said}");
    for (file, wanted) in [("redact", "a transformer"), ("geo", "a function")] {
        let file = crate::harness::root().join(format!("plugins/dist/examples/{file}.wasm"));
        let config = if wanted == "a transformer" { r#"{"keys": ["user.tier"]}"# } else { "{}" };
        let file = file.to_str().unwrap();
        let said = author.says(&["bench", file, "--rows", "100", "--config", config], 0, wanted);
        let of = if wanted == "a transformer" { ["series ", "spans "] } else { ["hemisphere ", "mad "] };
        assert!(of.iter().all(|name| said.contains(name)), "{said}");
    }
    let dist = crate::harness::root().join("plugins/dist/validate.wasm");
    let said =
        author.says(&["bench", dist.to_str().unwrap(), "--rows", "100"], 0, "validate@0.1.0, a validator");
    for shape in ["samples ", "series ", "logs ", "spans "] {
        assert!(said.contains(shape), "{shape} in {said}");
    }
    author.says(&["bench", NAME, "--rows", "0"], 1, "--rows must be 1 to 10000");
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

/// A program that is a few lines of shell.
fn stand_in(folder: &Path, name: &str, lines: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// With `--fetch` the language's own client is asked for the version that is pinned, once, and what
/// it brought is used. The client here is a stand-in: it brings a compiler that writes what it is told.
#[test]
fn what_is_missing_is_fetched_once() {
    let author = Author::new("javascript", "validator");
    let tools = author.folder.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let npm = "echo \"$@\" >> asked\nwhile [ \"$1\" != --prefix ]; do shift; done\n\
               bin=\"$2/node_modules/.bin\"; mkdir -p \"$bin\"\n\
               printf '#!/bin/sh\\necho \"$@\" > told\\nprintf made > target/component.wasm\\n' > \"$bin/componentize-qjs\"\n\
               chmod +x \"$bin/componentize-qjs\"\n";
    stand_in(&tools, "npm", npm);
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
        command.args(["plugin", "build", NAME, "--fetch"]).current_dir(author.folder.path());
        command.env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
        let output = command.env("XDG_CACHE_HOME", author.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let asked = std::fs::read_to_string(author.folder.path().join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.starts_with("install ") && asked.trim().ends_with(" componentize-qjs@0.4.5"), "{asked}");
    let told = std::fs::read_to_string(author.path("told")).unwrap();
    assert!(told.contains("--wit wit --world validator --stub-wasi --sync --module-root src"), "{told}");
    assert_eq!(std::fs::read_to_string(author.component()).unwrap(), "made");
}

/// For Rust the target is what may be missing, and rustup the client. All three here are stand-ins.
#[test]
fn a_missing_target_is_added() {
    let author = Author::new("rust", "validator");
    let tools = author.folder.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    stand_in(&tools, "rustc", "echo /nowhere");
    stand_in(&tools, "rustup", "echo rustup \"$@\" >> asked");
    stand_in(&tools, "cargo", "echo cargo \"$@\" >> ../asked");
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.args(["plugin", "build", NAME, "--fetch"]).current_dir(author.folder.path());
    let output = command.env("PATH", format!("{}:/bin", tools.display())).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the package in Cargo.toml must be named as plugin.toml says"), "{text}");
    let asked = std::fs::read_to_string(author.folder.path().join("asked")).unwrap();
    let asked: Vec<_> = asked.lines().collect();
    assert_eq!(asked[..2], ["rustup --version", "rustup target add wasm32-unknown-unknown"]);
    assert!(asked[2].starts_with("cargo build --release --target wasm32-unknown-unknown "), "{}", asked[2]);
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
