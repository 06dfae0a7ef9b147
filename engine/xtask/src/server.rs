//! The binary on a folder of its own: started, also under another program, and ended.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::Deserialize;
use tempfile::TempDir;

use crate::resident::{self, Watch};

/// Tracing and a busy machine make starts slow.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// A killed process is gone by then.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// Small files and short pauses, so that a few seconds of load meet intake, flush, commit
/// and merges.
pub(crate) const BUSY: &str = "
[store]
flush_bytes = 65536
flush_age_ms = 300
flush_small_bytes = 1
flush_age_max_ms = 600
wal_segment_bytes = 262144

[store.compaction]
interval_ms = 300
";

/// What the server writes into its folder once it is ready.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) http: String,
    pub(crate) otlp_http: String,
    pid: i32,
}

/// A data folder and how a server is started on it.
#[derive(Debug)]
pub(crate) struct Place {
    binary: PathBuf,
    scratch: TempDir,
    /// The data folder as the server names it.
    data: PathBuf,
    /// The same folder as this process sees it.
    seen: PathBuf,
    environment: Vec<(String, String)>,
    limited: AtomicBool,
}

impl Place {
    pub(crate) fn new(binary: &Path, config: &str) -> anyhow::Result<Self> {
        let scratch = tempfile::Builder::new().prefix("isinglass-torture-").tempdir()?;
        std::fs::write(scratch.path().join("isinglass.toml"), config)?;
        let data = scratch.path().join("data");
        Ok(Self {
            binary: binary.to_owned(),
            scratch,
            seen: data.clone(),
            data,
            environment: Vec::new(),
            limited: AtomicBool::new(true),
        })
    }

    /// Whether its servers have a limit of memory, from the next start on.
    pub(crate) fn limit(&self, limited: bool) {
        self.limited.store(limited, Ordering::Relaxed);
    }

    /// With these variables.
    pub(crate) fn with_environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment.extend(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        self
    }

    /// With the data in a folder that this process sees under another name.
    pub(crate) fn with_data(mut self, data: PathBuf, seen: PathBuf) -> Self {
        (self.data, self.seen) = (data, seen);
        self
    }

    /// A folder beside the data.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The data folder as this process sees it.
    pub(crate) fn data(&self) -> &Path {
        &self.seen
    }

    /// Another configuration from the next start on.
    pub(crate) fn configure(&self, config: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.scratch.path().join("isinglass.toml"), config)?)
    }

    /// What all servers of this folder wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("server.log")
    }

    /// Leaves the folder there for a look; where it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.scratch.keep()
    }

    /// The command line, behind that of a program that runs it.
    pub(crate) fn command(&self, wrapper: &[String]) -> anyhow::Result<Command> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = match wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.arg("serve").arg("--data-dir").arg(&self.data);
        command.arg("--config").arg(self.scratch.path().join("isinglass.toml"));
        command.args(["--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]);
        if self.limited.load(Ordering::Relaxed) {
            command.env("ISINGLASS_MEMORY", format!("{}MiB", resident::LIMIT_MIB));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A group of its own: a tracer that is killed leaves its tracee running.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Starts it; `None` if it died before it was ready, as it may under an injected fault.
    pub(crate) async fn try_start(&self, wrapper: &[String]) -> anyhow::Result<Option<Running>> {
        let ready = self.seen.join("addresses.json");
        drop(std::fs::remove_file(&ready));
        let start = Instant::now();
        let child = self.command(wrapper)?.spawn().with_context(|| format!("start {wrapper:?}"))?;
        let mut running = Running { child, addresses: None, started_in: Duration::ZERO, watch: None };
        loop {
            let text = std::fs::read(&ready).ok();
            if let Some(addresses) = text.and_then(|text| serde_json::from_slice::<Addresses>(&text).ok()) {
                running.started_in = start.elapsed();
                running.watch = self.limited.load(Ordering::Relaxed).then(|| Watch::start(addresses.pid));
                running.addresses = Some(addresses);
                return Ok(Some(running));
            }
            if running.ended()?.is_some() {
                return Ok(None);
            }
            if start.elapsed() > START_PATIENCE {
                bail!("not ready within {START_PATIENCE:?}:\n{}", last_lines(&self.log()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it; an error if it does not come up.
    pub(crate) async fn start(&self, wrapper: &[String]) -> anyhow::Result<Running> {
        match self.try_start(wrapper).await? {
            Some(running) => Ok(running),
            None => bail!("the server ended before it was ready:\n{}", last_lines(&self.log())),
        }
    }
}

/// The end of a long text.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// A server that was ready. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    addresses: Option<Addresses>,
    /// From its start until it took requests.
    pub(crate) started_in: Duration,
    watch: Option<Watch>,
}

impl Running {
    pub(crate) fn addresses(&self) -> &Addresses {
        self.addresses.as_ref().expect("only a server that is ready is handed out")
    }

    /// Its own process, not that of the program around it.
    pub(crate) fn pid(&self) -> i32 {
        self.addresses.as_ref().map_or(0, |addresses| addresses.pid)
    }

    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Resident bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that ever was resident.
    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        resident::status(self.pid(), name)
    }

    /// Waits for its end, at most for `patience`; whether it came.
    pub(crate) async fn wait(&mut self, patience: Duration) -> anyhow::Result<bool> {
        let start = Instant::now();
        while self.ended()?.is_none() {
            if start.elapsed() > patience {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(true)
    }

    /// `kill -9`, and until it is gone.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        drop(self.watch.take());
        self.send_kill();
        anyhow::ensure!(self.wait(END_PATIENCE).await?, "process {} does not end", self.pid());
        Ok(())
    }

    fn send_kill(&self) {
        if let Some(pid) = Pid::from_raw(self.pid()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.send_kill();
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            drop(self.child.wait());
        }
    }
}
