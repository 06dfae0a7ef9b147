//! An Alertmanager of its own, in a folder of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{eventually, outside};

/// Alerts are kept and shown, and told to nobody.
const CONFIG: &str = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";

/// Debian's build reads its templates from this folder of the system and nowhere else.
const TEMPLATES: &str = "/usr/share/prometheus/alertmanager";

/// Puts the folder `$2` there, for the program `$1` alone.
const WITH_TEMPLATES: &str = "mount -t tmpfs none /usr/share && mkdir -p /usr/share/prometheus/alertmanager && \
    mount --bind \"$2\" /usr/share/prometheus/alertmanager && program=$1 && shift 2 && exec \"$program\" \"$@\"";

/// A running Alertmanager; it ends when it is dropped.
pub(crate) struct Alertmanager {
    process: Child,
    base: String,
    _folder: TempDir,
}

impl Alertmanager {
    /// An address that is free.
    pub(crate) fn address() -> String {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
    }

    pub(crate) async fn start(address: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG).unwrap();
        let log = std::fs::File::create(folder.path().join("alertmanager.log")).unwrap();
        let process = command()
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            // It is alone.
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let this = Self { process, base: format!("http://{address}"), _folder: folder };
        let ready =
            || async { reqwest::get(format!("{}/-/ready", this.base)).await.ok()?.error_for_status().ok() };
        eventually("an Alertmanager that is ready", Duration::from_secs(60), ready).await;
        this
    }

    /// The alerts that it takes for active, by their names.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        let answer = reqwest::get(format!("{}/api/v2/alerts", self.base)).await.unwrap();
        let mut alerts: Vec<Value> = answer.json().await.unwrap();
        alerts.sort_by_key(|alert| alert["labels"]["alertname"].to_string());
        alerts
    }

    /// The first alert of this name, once it is there.
    pub(crate) async fn alert(&self, name: &str) -> Value {
        let found =
            || async { self.alerts().await.into_iter().find(|one| one["labels"]["alertname"] == name) };
        eventually(&format!("alert {name}"), Duration::from_secs(60), found).await
    }

    /// Returns once it has no alert of this name.
    pub(crate) async fn is_resolved(&self, name: &str) {
        let gone = || async {
            let alerts = self.alerts().await;
            alerts.iter().all(|one| one["labels"]["alertname"] != name).then_some(())
        };
        eventually(&format!("the end of alert {name}"), Duration::from_secs(60), gone).await;
    }
}

/// The program; one that was unpacked and not installed gets a file system of its own.
fn command() -> Command {
    let program = outside::alertmanager();
    let unpacked = program.ancestors().nth(3).map(|root| root.join(&TEMPLATES[1..]));
    let Some(unpacked) = unpacked.filter(|folder| folder.is_dir() && !Path::new(TEMPLATES).exists()) else {
        return Command::new(program);
    };
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", WITH_TEMPLATES, "sh"]).arg(program).arg(unpacked);
    command
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
