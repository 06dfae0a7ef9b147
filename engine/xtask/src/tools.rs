//! Programs that are not ours: found, or said to be missing.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The repository.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(2).map_or(here.clone(), Path::to_owned)
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds the server as it is shipped; where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let arguments = ["build", "--release", "-p", "isinglass-unify", "-p", "isinglass"];
    let status = cargo().args(arguments).status().context("cargo build")?;
    anyhow::ensure!(status.success(), "cargo build ended with {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release/isinglass"))
}

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// strace, and why it is needed if there is none.
pub(crate) fn strace() -> anyhow::Result<String> {
    let path = find("strace").context("strace is not installed; the Debian package has the same name")?;
    Ok(path.display().to_string())
}

/// Whether this process may mount and make control groups.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where libfaketime is; the one for programs with threads.
pub(crate) fn faketime() -> Option<PathBuf> {
    let libraries = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].into_iter();
    let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = libraries.flat_map(|folder| [PathBuf::from(folder), Path::new(folder).join(&machine)]);
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// The Python that `tests/run` sets up.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("ISINGLASS_TEST_PYTHON").map(PathBuf::from);
    let cache = std::env::var_os("ISINGLASS_TEST_CACHE").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/isinglass-ci"));
    let kept = cache.or(home).map(|cache| cache.join("venv/bin/python"));
    match named.or(kept).filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("no Python with moto: run tests/run once, or set ISINGLASS_TEST_PYTHON"),
    }
}

/// An S3 of its own with the bucket `telemetry`; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Bucket {
    process: Child,
    /// `127.0.0.1:<port>`
    pub(crate) address: String,
}

impl Bucket {
    /// Variables that open it.
    pub(crate) const CREDENTIALS: [(&str, &str); 2] =
        [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(python()?);
        command.arg(root().join("tests/outside/s3.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn().context("tests/outside/s3.py")?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let said: Value = serde_json::from_str(&line).with_context(|| format!("s3.py said {line:?}"))?;
        let endpoint = said["endpoint"].as_str().context("s3.py named no endpoint")?;
        Ok(Self { process, address: endpoint.trim_start_matches("http://").to_owned() })
    }

    /// `BUSY`, with the tables in this bucket behind `address`.
    pub(crate) fn config(address: &str, prefix: &str) -> String {
        let store = format!("[store]\nurl = \"s3://telemetry/{prefix}\"\n");
        let objects = format!("\n[store.objects]\nendpoint = \"http://{address}\"\nallow_http = true\n");
        crate::server::BUSY.replacen("[store]\n", &store, 1) + &objects
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Bytes of all files below a folder; of none where there is no folder.
pub(crate) fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(0) };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        // Files come and go.
        bytes += match entry.metadata() {
            Ok(of) if of.is_dir() => bytes_below(&entry.path())?,
            Ok(of) => of.len(),
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
