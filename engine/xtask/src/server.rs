//! A server process, by itself or below a program that does something to it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Longest start that is waited for.
const START_MAX: Duration = Duration::from_secs(60);

/// Longest wait for the end of a process that was killed.
const GONE_MAX: Duration = Duration::from_secs(20);

/// Where and how servers run.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) binary: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) config: PathBuf,
    /// Ports of HTTP, OTLP over gRPC and OTLP over HTTP.
    pub(crate) ports: [u16; 3],
}

impl Site {
    /// A new site below `folder` with this configuration.
    pub(crate) fn new(binary: &Path, folder: &Path, config: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("isinglass.toml");
        std::fs::write(&path, config)?;
        // Held together, so that no two are the same.
        let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0"));
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(listeners) {
            *port = listener?.local_addr()?.port();
        }
        Ok(Self { binary: binary.to_owned(), data_dir: folder.join("data"), config: path, ports })
    }

    /// Starts a server below `wrapper`, a program and its arguments, if there is one.
    pub(crate) fn start(&self, wrapper: &[String]) -> anyhow::Result<Server> {
        let binary = self.binary.display().to_string();
        let mut words: Vec<String> = wrapper.to_vec();
        words.extend([binary, "serve".into(), "--data-dir".into(), self.data_dir.display().to_string()]);
        words.extend(["--config".into(), self.config.display().to_string()]);
        let flags = ["--listen", "--otlp-grpc", "--otlp-http"];
        for (flag, port) in flags.into_iter().zip(self.ports) {
            words.extend([flag.to_owned(), format!("127.0.0.1:{port}")]);
        }
        let log = std::fs::File::create(self.config.with_extension("log"))?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", words[0]))?;
        Ok(Server { child, started: Instant::now() })
    }

    /// What the last server said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.ports[0])
    }

    pub(crate) fn otlp_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.ports[2])
    }
}

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    started: Instant,
}

impl Server {
    /// Waits until it takes requests; `None` if it died before. How long it took.
    pub(crate) fn wait_ready(&mut self, site: &Site) -> anyhow::Result<Option<Duration>> {
        while self.started.elapsed() < START_MAX {
            if !self.is_alive()? {
                return Ok(None);
            }
            if ureq::get(site.url("-/ready")).call().is_ok() {
                return Ok(Some(self.started.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("not ready after {START_MAX:?}:\n{}", site.log())
    }

    pub(crate) fn is_alive(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL, what is below a wrapper too.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Processes that the wrapper started.
    fn below(&self) -> Vec<String> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        children.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    fn end(&mut self) {
        let below = self.below();
        for id in &below {
            let _ = Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What was traced is gone a little later than who traced it.
        let deadline = Instant::now() + GONE_MAX;
        while below.iter().any(|id| Path::new("/proc").join(id).exists()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
