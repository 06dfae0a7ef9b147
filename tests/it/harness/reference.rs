//! A Prometheus of its own to compare with, in a folder of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use isinglass_promqltest::http::Client;
use tempfile::TempDir;

use super::outside;

/// What our engine always does stands behind flags there.
const FEATURES: &str =
    "promql-experimental-functions,promql-delayed-name-removal,promql-duration-expr,native-histograms";

/// Samples come in any order.
const CONFIG: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 10y\n";

/// A running Prometheus; it ends when it is dropped.
pub(crate) struct Reference {
    process: Child,
    pub(crate) base: String,
    _folder: TempDir,
}

impl Reference {
    pub(crate) async fn start() -> Self {
        Self::start_with("", &[]).await
    }

    /// With more lines of configuration, and more flags.
    pub(crate) async fn start_with(more: &str, flags: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, format!("{CONFIG}{more}")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(folder.path().join("prometheus.log")).unwrap();
        let process = Command::new(outside::prometheus())
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--enable-feature={FEATURES}"))
            .args(["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let this = Self { process, base: format!("http://{address}"), _folder: folder };
        let client = Client::new(&*this.base);
        for _ in 0..600 {
            if client.get("/-/ready", &[]).await.is_ok_and(|reply| reply.status == 200) {
                return this;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{} does not become ready", this.base);
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
