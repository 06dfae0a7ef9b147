//! A Prometheus as in `deploy/grafana/compose.yaml`: it scrapes the server, evaluates its rules, and
//! writes what it has to the server.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{outside, root};

/// It ends when it is dropped.
pub(super) struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The rules that ship, evaluated each second.
fn rules() -> String {
    let rules = std::fs::read_to_string(root().join("deploy/grafana/rules/isinglass.yaml")).unwrap();
    rules.replace("interval: 30s", "interval: 1s")
}

fn config(server: &str, rules: &Path) -> String {
    format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n\
         rule_files:\n  - {rules}\n\
         scrape_configs:\n  - job_name: isinglass\n    static_configs:\n      - targets: [\"{server}\"]\n\
         remote_write:\n  - url: http://{server}/api/v1/write\n    send_exemplars: true\n    \
         send_native_histograms: true\n    queue_config:\n      batch_send_deadline: 200ms\n",
        rules = rules.display(),
    )
}

impl Agent {
    pub(super) fn start(folder: &Path, server: &str) -> Self {
        let [rules_path, config_path] = ["rules.yaml", "agent.yaml"].map(|name| folder.join(name));
        std::fs::write(&rules_path, rules()).unwrap();
        std::fs::write(&config_path, config(server, &rules_path)).unwrap();
        let child = Command::new(outside::prometheus())
            .arg(format!("--config.file={}", config_path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("agent").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("agent.log")).unwrap())
            .spawn()
            .unwrap();
        Self(child)
    }
}
