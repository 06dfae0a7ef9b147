//! The query API as others use it: promtool, and a Prometheus that reads from us.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use isinglass_testkit::remote_write;
use serde_json::Value;

use crate::harness::{Client, Server, eventually, now_millis, outside};

/// Counters of four instances, 15 s apart, half an hour long; one goes stale, one is reset.
fn series(end_ms: i64) -> Vec<remote_write::Series> {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let series = |instance: i64| {
        let labels = [("__name__", "requests_total"), ("instance", &*instance.to_string()), ("job", "api")];
        (0..=120).fold(remote_write::Series::new(&labels), |series, step| {
            let value = match (instance, step) {
                (1, 100) => stale,
                (2, 60..) => (step - 60) as f64 * 2.5,
                _ => (step * (instance + 1)) as f64 + 0.1,
            };
            series.sample(end_ms - (120 - step) * 15_000, value)
        })
    };
    (0..4).map(series).collect()
}

async fn filled() -> (Server, Client, i64) {
    let (server, end_ms) = (Server::start(), now_millis() / 60_000 * 60_000);
    let client = server.client();
    client.remote_write(&remote_write::request(&series(end_ms))).await.ok();
    (server, client, end_ms)
}

/// What `promtool query …` prints.
fn promtool(arguments: &[&str]) -> String {
    let promtool = outside::prometheus().with_file_name("promtool");
    let output = Command::new(promtool).arg("query").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} ended with {}:\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_asks() {
    let (_server, client, end_ms) = filled().await;
    let url = format!("http://{}", client.http_address());
    let end = (end_ms / 1_000).to_string();
    let before = (end_ms / 1_000 - 60).to_string();
    assert_eq!(promtool(&["instant", &url, "1 + 1"]).split(' ').nth(1), Some("2"));
    let instant = promtool(&["instant", "--time", &end, &url, "sum by (job) (requests_total)"]);
    assert_eq!(instant.trim(), format!("{{job=\"api\"}} => 990.3 @[{end}]"));
    let range = promtool(&[
        "range",
        "--start",
        &before,
        "--end",
        &end,
        "--step",
        "30s",
        &url,
        "requests_total{instance=\"0\"}",
    ]);
    let middle = end_ms / 1_000 - 30;
    let labels = "requests_total{instance=\"0\", job=\"api\"}";
    let wanted = format!("{labels} =>\n116.1 @[{before}]\n118.1 @[{middle}]\n120.1 @[{end}]");
    assert_eq!(range.trim(), wanted);
    let found = promtool(&["series", "--match", "requests_total{instance=~\"[01]\"}", &url]);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.contains("__name__=\"requests_total\", instance=\"0\", job=\"api\""), "{found}");
    assert_eq!(
        promtool(&["labels", &url, "instance"]).split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
}

/// A Prometheus that has nothing of its own.
struct Reader {
    child: Child,
    address: String,
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Reader {
    fn start(folder: &Path, remote: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let path = folder.join("reader.yml");
        let config = format!("remote_read:\n  - url: http://{remote}/api/v1/read\n    read_recent: true\n");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(outside::prometheus())
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("reader").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("reader.log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, address }
    }
}

async fn data(address: &str, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
    let url =
        reqwest::Url::parse_with_params(&format!("http://{address}/api/v1/{path}"), parameters).unwrap();
    let answer: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
    (answer["status"] == "success").then(|| answer["data"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_reads_from_us_agrees() {
    let (server, client, end_ms) = filled().await;
    let reader = Reader::start(server.scratch(), client.http_address());
    eventually("the other Prometheus", Duration::from_secs(60), || async {
        data(&reader.address, "query", &[("query", "1")]).await.map(drop)
    })
    .await;
    let (start, end) = ((end_ms / 1_000 - 1_800).to_string(), (end_ms / 1_000).to_string());
    for flushed in [false, true] {
        if flushed {
            client.flush().await;
        }
        for query in [
            "requests_total",
            "rate(requests_total[1m])",
            "sum by (job) (increase(requests_total[5m]))",
            "resets(requests_total[30m])",
            "count_over_time(requests_total[2m])",
            "requests_total offset 3m > 50",
            "max_over_time(rate(requests_total[1m])[10m:1m])",
            "topk(2, requests_total)",
            "absent(requests_total{instance=\"1\"})",
            "quantile_over_time(0.9, requests_total[10m])",
        ] {
            let parameters = [("query", query), ("start", &*start), ("end", &*end), ("step", "47")];
            let ours = data(client.http_address(), "query_range", &parameters).await;
            let theirs = data(&reader.address, "query_range", &parameters).await;
            assert!(ours.is_some(), "{query}");
            assert_eq!(ours, theirs, "{query}");
        }
    }
}
