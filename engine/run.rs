//! `serve` and `demo`: start, signals, graceful stop.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use isinglass_chain::{CODE_FOLDER, ChainConfig, Compilation, Compiler, LiveChain};
use isinglass_cli::demo::{self, DemoOptions, Question};
use isinglass_ingest::Ingest;
use isinglass_model::clock::SystemClock;
use isinglass_model::{Clock, MemoryLimit};
use isinglass_query::QueryEngine;
use isinglass_serve::{Addresses, Listeners, ReadConfig, Reloads, Rules, Server, VERSION};
use isinglass_store::Lock;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{DemoArgs, ServeArgs};
use crate::config::Config;
use crate::memory::ProcessMemory;

/// Where the real addresses stand, for scripts that start a server on port 0.
const ADDRESSES_FILE: &str = "addresses.json";

/// Everything that runs.
struct Running {
    server: Server,
    rules: Rules,
    reloads: Reloads,
    rules_grace: Duration,
    ingest: Ingest,
    addresses_file: PathBuf,
}

/// Runs the server until a signal.
pub(crate) async fn serve(config: Config, args: ServeArgs) -> anyhow::Result<ExitCode> {
    // Before anybody knows that it runs: without a handler the signal would end it.
    let hangup = signal(SignalKind::hangup())?;
    let running = start(&config, args).await?;
    reload_at(hangup, running.reloads.clone());
    welcome(&config.store.data_dir, running.server.addresses())?;
    let which = stop_signal().await?;
    tracing::info!(signal = which, "stopping; a second signal ends the process at once");
    exit_at_next_signal();
    running.stop().await
}

/// Runs the server and the demo against it.
pub(crate) async fn demo(config: Config, args: DemoArgs) -> anyhow::Result<ExitCode> {
    let DemoArgs { serve, for_, rides_per_second } = args;
    let running = start(&config, serve).await?;
    let addresses = running.server.addresses();
    let url = |address| format!("http://{address}").parse().context("address of the server");
    let options = DemoOptions {
        grpc: url(addresses.otlp_grpc)?,
        http: url(addresses.otlp_http)?,
        sql: url(addresses.listen)?,
        for_,
        rides_per_second,
        questions: questions(),
    };
    let outcome = demo::run(options).await;
    exit_at_next_signal();
    running.stop().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn start(config: &Config, args: ServeArgs) -> anyhow::Result<Running> {
    // Read before anything is opened, used after everything is.
    let rule_files = config.rules.load().context("cannot use the rules")?;
    let data_dir = &config.store.data_dir;
    // First of all: who has the folder is told at once.
    let lock = Lock::take(data_dir)?;
    let addresses_file = data_dir.join(ADDRESSES_FILE);
    forget_dead(&addresses_file);
    let listeners = Listeners::bind(&config.server).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let chain = load_chain(config, &clock).await?;
    let (store, ingest, logs) = (config.store.clone(), config.ingest.clone(), config.logs.clone());
    let ingest = Ingest::start_early(lock, store, chain, ingest, logs, Arc::clone(&clock))
        .await
        .with_context(|| format!("cannot open {}", data_dir.display()))?;
    let memory = MemoryLimit::new(config.memory.0, Arc::new(ProcessMemory::new()));
    let (store, tables) = (ingest.store().clone(), ingest.system_tables());
    let query = QueryEngine::within(store, config.query.clone(), tables, memory)?;
    query.set_functions(ingest.functions());
    query.check_views().await?;
    let (addresses, parts) = (listeners.addresses(), (ingest.clone(), query.clone()));
    let plugins = reload_plugins(args.clone(), ingest.chains());
    let rules = Rules::start(&config.rules, rule_files, read_again(args), parts, addresses.listen).await?;
    let reloads = Reloads { rules: Arc::new(rules.clone()), plugins };
    let server = isinglass_serve::start_on_with(
        listeners,
        &config.server,
        ingest.clone(),
        query,
        clock,
        reloads.clone(),
    );
    write_addresses(&addresses_file, addresses)
        .with_context(|| format!("cannot write {}", addresses_file.display()))?;
    tracing::info!(
        version = VERSION,
        data_dir = %data_dir.display(),
        listen = %addresses.listen,
        otlp_grpc = %addresses.otlp_grpc,
        otlp_http = %addresses.otlp_http,
        "ready"
    );
    Ok(Running { server, rules, reloads, rules_grace: config.server.drain_timeout(), ingest, addresses_file })
}

/// Rules are reloaded from the configuration that a start would read now.
fn read_again(args: ServeArgs) -> ReadConfig {
    Arc::new(move || Config::load(&args).map(|config| config.rules).map_err(|error| format!("{error:#}")))
}

/// Plugins are bound again as a start would bind them now.
fn reload_plugins(
    args: ServeArgs,
    chains: &Arc<LiveChain>,
) -> Arc<dyn Fn() -> Result<(), String> + Send + Sync> {
    let chains = Arc::clone(chains);
    Arc::new(move || {
        let config = Config::load(&args).map_err(|error| format!("{error:#}"))?;
        chains.reconfigure(plugins_of(&config)).map_err(|error| error.to_string())
    })
}

/// Reads everything again at each of these signals.
fn reload_at(mut hangup: Signal, reloads: Reloads) {
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!(signal = "SIGHUP", "reloading the rules and the plugins");
            if let Err(error) = reloads.run().await {
                tracing::error!("not everything was reloaded: {error}");
            }
        }
    });
}

/// Compiling plugins takes CPU time that the signal handlers should not wait for.
async fn load_chain(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<LiveChain>> {
    let (plugins, data_dir) = (plugins_of(config), config.store.data_dir.clone());
    let clock = Arc::clone(clock);
    let chain = tokio::task::spawn_blocking(move || LiveChain::load(plugins, &data_dir, clock)).await?;
    Ok(Arc::new(chain.context("cannot load the plugins")?))
}

fn plugins_of(config: &Config) -> ChainConfig {
    let compilation = Compilation {
        code_dir: Some(config.store.data_dir.join(CODE_FOLDER)),
        compiler: Compiler::of_this_program(),
    };
    ChainConfig { compilation, ..config.plugins.clone() }
}

impl Running {
    /// Takes nothing new, finishes what is open, flushes.
    async fn stop(self) -> anyhow::Result<ExitCode> {
        let _ = fs::remove_file(&self.addresses_file);
        self.server.stop().await;
        self.rules.stop(self.rules_grace).await;
        self.ingest
            .close()
            .await
            .context("the last flush failed; nothing is lost, the next start reads the log")?;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}

/// The questions that ship with the engine, as the demo shows them: without
/// their comments, whose first line is the title.
fn questions() -> Vec<Question> {
    let bare = |sql: &str| sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let question = |q: &isinglass_query::Question| Question { title: q.title().to_owned(), sql: bare(q.sql) };
    isinglass_query::library().questions.iter().map(question).collect()
}

/// SIGTERM or SIGINT.
async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Whoever signals twice does not want to wait for a flush; what was
/// acknowledged is in the log.
fn exit_at_next_signal() {
    tokio::spawn(async {
        if stop_signal().await.is_ok() {
            tracing::warn!("second signal: ended without a flush");
            std::process::exit(130);
        }
    });
}

/// Removes the addresses of a server that was killed, so that nobody takes them
/// for this one's. Those of a live one stay: the data folder is its own.
fn forget_dead(file: &Path) {
    let alive = || {
        let value: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        let pid = value.get("pid")?.as_u64()?;
        (pid != u64::from(std::process::id())).then(|| Path::new(&format!("/proc/{pid}")).exists())
    };
    if !alive().unwrap_or(false) {
        let _ = fs::remove_file(file);
    }
}

/// Written aside and renamed: a reader sees all of it or nothing.
fn write_addresses(file: &Path, at: Addresses) -> io::Result<()> {
    let text = json!({
        "http": at.listen, "otlp_grpc": at.otlp_grpc, "otlp_http": at.otlp_http, "pid": std::process::id(),
    });
    let aside = file.with_extension("json.tmp");
    fs::write(&aside, format!("{text}\n"))?;
    fs::rename(&aside, file)
}

fn welcome(data_dir: &Path, at: Addresses) -> io::Result<()> {
    let Addresses { listen, otlp_grpc, otlp_http } = at;
    write!(
        io::stdout().lock(),
        "isinglass {VERSION}, data in {}\n\n\
         \x20 OTLP gRPC                http://{otlp_grpc}\n\
         \x20 OTLP HTTP                http://{otlp_http}\n\
         \x20 Prometheus remote write  http://{listen}/api/v1/write\n\
         \x20 Loki push                http://{listen}/loki/api/v1/push\n\
         \x20 SQL                      isinglass sql --server http://{listen} -c \"select * from spans limit 10\"\n\
         \x20 metrics about itself     http://{listen}/metrics\n\n\
         ctrl-c flushes and stops\n",
        data_dir.display(),
    )
}
