//! A Prometheus of its own, in a folder of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use isinglass_promqltest::http::Client;
use tempfile::TempDir;

const FEATURES: &str =
    "promql-experimental-functions,promql-delayed-name-removal,promql-duration-expr,native-histograms";

/// Old samples come at first, so that any of them is out of order.
const CONFIG: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 10y\n";

/// A running server; it ends when it is dropped.
pub(crate) struct Prometheus {
    process: Child,
    pub(crate) base: String,
    _folder: TempDir,
}

impl Prometheus {
    pub(crate) fn start(binary: &Path) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|fault| fault.to_string())?;
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, CONFIG).map_err(|fault| fault.to_string())?;
        let address = free_address().map_err(|fault| fault.to_string())?;
        let mut command = Command::new(binary);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg(format!("--enable-feature={FEATURES}"));
        command.args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().map_err(|fault| format!("{}: {fault}", binary.display()))?;
        Ok(Self { process, base: format!("http://{address}"), _folder: folder })
    }

    /// Waits until it answers, half a minute at most.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        let client = Client::new(&*self.base);
        for _ in 0..300 {
            if client.get("/-/ready", &[]).await.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("{} does not become ready", self.base))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn free_address() -> std::io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
