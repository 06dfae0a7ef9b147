//! Starting, killing and stopping the binary.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use super::Client;

/// An unoptimised binary compiles its plugins at start, on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// What a server may hold in memory, unless a test says otherwise, and how much more of it may be
/// resident at most: what is over is noticed and given up a little later.
const MEMORY_MIB: u64 = 512;
const MEMORY_MARGIN: f64 = 1.15;

/// What the server writes into its folder once it is ready.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) http: String,
    pub(crate) otlp_grpc: String,
    pub(crate) otlp_http: String,
}

/// A running server. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    config: Option<PathBuf>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    addresses: Addresses,
    /// Ports to take; any that are free without.
    ports: Option<Addresses>,
}

impl Server {
    /// With the configuration that a newcomer has: none.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With a configuration file of this text.
    pub(crate) fn start_with(config: &str) -> Self {
        Self::start_in(config, &[])
    }

    /// On a copy of a data folder.
    pub(crate) fn start_on(data: &Path) -> Self {
        Self::start_with_on("", data)
    }

    /// With a configuration file of this text, on a copy of a data folder.
    pub(crate) fn start_with_on(config: &str, data: &Path) -> Self {
        let mut server = Self::prepare(config, &[]);
        copy(data, &server.data_dir());
        server.start_again();
        server
    }

    /// With a configuration file of this text and these variables in its environment.
    pub(crate) fn start_in(config: &str, environment: &[(&str, &str)]) -> Self {
        let mut server = Self::prepare(config, environment);
        server.start_again();
        server
    }

    fn prepare(config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("isinglass-it-").tempdir().unwrap();
        let config = (!config.is_empty()).then(|| {
            let path = folder.path().join("isinglass.toml");
            std::fs::write(&path, config).unwrap();
            path
        });
        let addresses = Addresses { http: String::new(), otlp_grpc: String::new(), otlp_http: String::new() };
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { folder, config, environment, child: None, addresses, ports: None }
    }

    /// Starts the binary on the folder as it is.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let ready = self.data_dir().join("addresses.json");
        drop(std::fs::remove_file(&ready));
        let mut child = self.command().spawn().unwrap();
        let start = Instant::now();
        self.addresses = loop {
            if let Some(addresses) =
                std::fs::read(&ready).ok().and_then(|text| serde_json::from_slice(&text).ok())
            {
                break addresses;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status} before it was ready:\n{}", self.log());
            }
            assert!(start.elapsed() < START_PATIENCE, "the server is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        };
        self.child = Some(child);
    }

    /// Starts the binary on the folder as it is, on the ports that it had: for clients that
    /// know no others.
    pub(crate) fn start_again_there(&mut self) {
        self.ports = Some(self.addresses.clone());
        self.start_again();
    }

    /// The command line, with output going to the log of this server.
    pub(crate) fn command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
        command.arg("serve").arg("--data-dir").arg(self.data_dir());
        let port = |of: fn(&Addresses) -> &str| self.ports.as_ref().map_or("127.0.0.1:0", of);
        command.args(["--listen", port(|at| &at.http), "--otlp-grpc", port(|at| &at.otlp_grpc)]);
        command.args(["--otlp-http", port(|at| &at.otlp_http)]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.env("ISINGLASS_MEMORY", format!("{MEMORY_MIB}MiB"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.check_memory();
        let mut child = self.child.take().expect("it is running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The most that was ever resident; `None` of one that has ended by itself.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? >> 10)
    }

    /// The server never held more than it may.
    fn check_memory(&self) {
        let Some(peak_mib) = self.peak_mib() else { return };
        eprintln!("peak of resident memory: {peak_mib} MiB");
        assert!(peak_mib as f64 <= MEMORY_MIB as f64 * MEMORY_MARGIN, "{peak_mib} MiB were resident");
    }

    /// SIGTERM, then waits for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.check_memory();
        let mut child = self.child.take().expect("it is running");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < STOP_PATIENCE, "it does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGHUP, which it outlives.
    pub(crate) fn hang_up(&self) {
        let child = self.child.as_ref().expect("it is running");
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// Whether the process is alive.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// The id of its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// What it holds in memory, in MiB; 0 once it has ended.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or_default() >> 10
    }

    /// A client of the tenant `default`.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.addresses)
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The Delta table of a tenant.
    pub(crate) fn table(&self, tenant: &str, kind: &str) -> PathBuf {
        self.data_dir().join("tables").join(tenant).join(kind)
    }

    /// A folder beside the data that lives as long as the server.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// What the server wrote, for a failing test.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Panics of the server's own threads; what a plugin says of its own is not one.
    pub(crate) fn panics(&self) -> Vec<String> {
        let of_ours = |line: &&str| line.starts_with("thread '") && line.contains("panicked at");
        self.log().lines().filter(of_ours).map(str::to_owned).collect()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check_memory();
        }
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}", self.log());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
