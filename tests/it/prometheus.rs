//! A Prometheus from Debian scrapes itself and writes to us, in both versions of
//! remote write; both then answer the same questions over the same samples.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Client, Server, eventually, now_millis, outside};

/// Scraped for this long before anything is compared.
const SCRAPED_FOR: Duration = Duration::from_secs(12);

/// A version of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// What every Prometheus speaks if it is told nothing.
    One,
    /// Needs Prometheus 3.
    Two,
}

struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Prometheus {
    fn start(folder: &Path, remote: &str, version: Version) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = include_str!("prometheus.yml").replace("SELF", &address).replace("REMOTE", remote);
        // 2.0 has metadata with the samples; what comes of it did not come in requests of 1.0.
        let config = config.replace("METADATA", if version == Version::One { "true" } else { "false" });
        let config = match version {
            Version::One => config,
            Version::Two => config + "    protobuf_message: io.prometheus.write.v2.Request\n",
        };
        let path = folder.join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let child = Command::new(outside::prometheus())
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage,native-histograms,metadata-wal-records")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, address }
    }

    async fn query(&self, query: &str, time_ms: i64) -> Vec<Value> {
        let url = reqwest::Url::parse_with_params(
            &format!("http://{}/api/v1/query", self.address),
            &[("query", query), ("time", &format!("{}.{:03}", time_ms / 1_000, time_ms % 1_000))],
        )
        .unwrap();
        let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

/// Per metric: samples, their sum without NaN, smallest and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Summary {
    samples: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Summary {
    /// Sums depend on their order. Extremes are the same doubles on both sides,
    /// but serde_json, which this test reads them with, may miss the last bit.
    fn agrees(&self, other: &Self) -> bool {
        let close = |a: f64, b: f64, by: f64| (a - b).abs() <= by * a.abs().max(b.abs());
        close(self.sum, other.sum, 1e-9)
            && self.samples == other.samples
            && close(self.min, other.min, f64::EPSILON)
            && close(self.max, other.max, f64::EPSILON)
    }
}

async fn of_prometheus(prometheus: &Prometheus, until_ms: i64) -> BTreeMap<String, Summary> {
    let mut all = BTreeMap::<String, Summary>::new();
    for series in prometheus.query(r#"{__name__=~".+"}[1h]"#, until_ms).await {
        let Some(values) = series["values"].as_array() else { continue };
        let name = series["metric"]["__name__"].as_str().unwrap().to_owned();
        let summary = all.entry(name).or_insert(Summary {
            samples: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        });
        for value in values.iter().map(|pair| pair[1].as_str().unwrap().parse::<f64>().unwrap()) {
            summary.samples += 1;
            if !value.is_nan() {
                summary.sum += value;
                summary.min = summary.min.min(value);
                summary.max = summary.max.max(value);
            }
        }
    }
    // Only finite extremes survive JSON on the other side.
    all.retain(|_, summary| summary.min.is_finite() && summary.max.is_finite());
    all
}

/// Every native histogram as text: metric, time, count, sum and the counts of buckets
/// that are not empty, smallest first.
fn histogram_text(metric: &str, time_ms: i64, count: f64, sum: f64, mut buckets: Vec<f64>) -> String {
    buckets.retain(|count| *count > 0.0);
    buckets.sort_unstable_by(f64::total_cmp);
    format!("{metric} {time_ms} {count} {sum:.12e} {buckets:?}")
}

async fn histograms_of_prometheus(prometheus: &Prometheus, until_ms: i64) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let mut all = Vec::new();
    for series in prometheus.query(r#"{__name__=~".+"}[1h]"#, until_ms).await {
        let name = series["metric"]["__name__"].as_str().unwrap();
        for pair in series["histograms"].as_array().into_iter().flatten() {
            let time_ms = (pair[0].as_f64().unwrap() * 1_000.0).round() as i64;
            let buckets = pair[1]["buckets"].as_array().into_iter().flatten();
            let buckets = buckets.map(|bucket| text(&bucket[3])).collect();
            all.push(histogram_text(name, time_ms, text(&pair[1]["count"]), text(&pair[1]["sum"]), buckets));
        }
    }
    all.sort_unstable();
    all
}

async fn histograms_of_isinglass(client: &Client, until_ms: i64) -> Vec<String> {
    let query = format!(
        "select r.metric, arrow_cast(h.time, 'Int64') / 1000000 as at, h.count, h.sum, h.zero_count, \
         h.positive_buckets, h.negative_buckets \
         from histograms h join (select distinct metric_id, series_id, metric from series) r \
         on h.metric_id = r.metric_id and h.series_id = r.series_id \
         where h.count is not null and h.time <= to_timestamp_millis({until_ms})"
    );
    let mut all = Vec::new();
    for row in client.sql(&query).await {
        let lists = [&row["positive_buckets"], &row["negative_buckets"]];
        let counts = lists.into_iter().flat_map(|list| list.as_array().unwrap()).chain([&row["zero_count"]]);
        let buckets = counts.map(|count| count.as_f64().unwrap()).collect();
        let number = |name: &str| row[name].as_f64().unwrap();
        let (metric, at) = (row["metric"].as_str().unwrap(), row["at"].as_i64().unwrap());
        all.push(histogram_text(metric, at, number("count"), number("sum"), buckets));
    }
    all.sort_unstable();
    all
}

async fn of_isinglass(client: &Client, until_ms: i64) -> BTreeMap<String, Summary> {
    let query = format!(
        "select r.metric, count(x.value) as samples, sum(nanvl(x.value, 0.0)) as sum, \
         min(case when isnan(x.value) then null else x.value end) as min, \
         max(case when isnan(x.value) then null else x.value end) as max \
         from samples x join (select distinct metric_id, series_id, metric from series) r \
         on x.metric_id = r.metric_id and x.series_id = r.series_id \
         where x.time <= to_timestamp_millis({until_ms}) group by r.metric"
    );
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let rows = client.sql(&query).await.into_iter().map(|row| {
        let samples = row["samples"].as_u64().unwrap();
        let (sum, min, max) = (number(&row["sum"]), number(&row["min"]), number(&row["max"]));
        (row["metric"].as_str().unwrap().to_owned(), Summary { samples, sum, min, max })
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_scrapes_itself_agrees() {
    check(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_speaks_2_0_agrees() {
    check(Version::Two).await;
}

async fn check(version: Version) {
    let server = Server::start();
    let client = server.client();
    let prometheus = Prometheus::start(server.scratch(), client.http_address(), version);
    let started = tokio::time::Instant::now();
    eventually("the first samples", Duration::from_secs(60), || async {
        let answer = client.ask("select count(*) as n from samples").await;
        (answer.status == 200 && answer.json()[0]["n"].as_u64() > Some(0)).then_some(())
    })
    .await;
    tokio::time::sleep_until(started + SCRAPED_FOR).await;

    // Compare up to a moment that both have passed.
    let until_ms = now_millis();
    eventually("samples after that moment", Duration::from_secs(30), || async {
        let later = format!("samples where time > to_timestamp_millis({})", until_ms + 1_000);
        (client.count(&later).await > 0).then_some(())
    })
    .await;
    let (theirs, ours) = (of_prometheus(&prometheus, until_ms).await, of_isinglass(&client, until_ms).await);
    assert!(theirs.len() > 100, "only {} metrics", theirs.len());
    let wrong: Vec<_> = theirs
        .iter()
        .filter(|(name, summary)| !ours.get(*name).is_some_and(|other| summary.agrees(other)))
        .map(|(name, summary)| format!("{name}: {summary:?}, here {:?}", ours.get(name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} metrics differ:\n{}", wrong.len(), theirs.len(), wrong.join("\n"));

    let native = histograms_of_prometheus(&prometheus, until_ms).await;
    assert!(version == Version::One || !native.is_empty(), "Prometheus 3 has native histograms of its own");
    assert_eq!(histograms_of_isinglass(&client, until_ms).await, native);

    // And the same after the flush, from files.
    client.flush().await;
    let flushed = of_isinglass(&client, until_ms).await;
    assert_eq!(histograms_of_isinglass(&client, until_ms).await, native, "the flush changed something");
    assert!(theirs.keys().all(|name| flushed[name].agrees(&ours[name])), "the flush changed something");
    let described =
        "series where metric = 'prometheus_http_requests_total' and type = 'counter' and help <> ''";
    assert!(client.count(described).await > 0, "metadata arrives");
    assert_eq!(client.metric("isinglass_rejected_items_total", &["signal=\"metrics\""]).await, 0.0);

    // Prometheus believes that all it sent arrived.
    for name in ["samples_failed", "histograms_failed", "exemplars_failed", "samples_dropped"] {
        let failed = prometheus.query(&format!("prometheus_remote_storage_{name}_total"), now_millis()).await;
        let values: Vec<_> = failed.iter().map(|series| series["value"][1].as_str().unwrap()).collect();
        assert!(values.iter().all(|value| *value == "0"), "{name}: {failed:?}");
    }
}
