//! PromQL over HTTP against a real Prometheus that has the same samples: the compliance queries,
//! and random ones.
//!
//! | variable | is |
//! |---|---|
//! | `COMPLIANCE_QUERIES` | another file of templates |
//! | `PROMQL_FUZZ_COUNT`, `PROMQL_FUZZ_SEED` | how many random queries (2,000), and their first seed (1) |

use isinglass_promql::{Labels, Sample};
use isinglass_promqltest::fuzz::differ::difference;
use isinglass_promqltest::fuzz::known::{self, Known};
use isinglass_promqltest::fuzz::query::{Query, query};
use isinglass_promqltest::fuzz::random::Random;
use isinglass_promqltest::fuzz::series::{BASE_MS, series_set};
use isinglass_promqltest::http::write::{Protocol, requests};
use isinglass_promqltest::http::{Client, Window};
use isinglass_promqltest::{Answer, LoadedPoint, LoadedSeries, compliance};

use crate::harness::{Server, reference::Reference};

/// Random queries on one set of series.
const SET: u64 = 500;

/// So often a Prometheus is asked whether it agrees with itself.
const ASKED_AGAIN: usize = 8;

const STEP_MS: i64 = 15_000;

async fn load(client: &Client, series: &[LoadedSeries]) {
    for request in requests(series, Protocol::V2).unwrap() {
        client.write(&request).await.unwrap();
    }
}

async fn ask(client: &Client, query: &Query) -> Answer {
    let mut client = client.clone();
    client.set_lookback_ms(query.lookback_ms);
    match query.is_instant() {
        true => client.instant(&query.text, query.window.start_ms).await,
        false => client.range(&query.text, query.window).await,
    }
}

/// A difference that is neither known nor one of Prometheus with itself.
async fn differs(reference: &Client, ours: &Client, query: &Query, known: &[Known]) -> Option<String> {
    let (theirs, own) = (ask(reference, query).await, ask(ours, query).await);
    let found = difference(&query.text, &theirs, &own)?;
    if known::find(known, query, &found).is_some() {
        return None;
    }
    for _ in 0..ASKED_AGAIN {
        if difference(&query.text, &theirs, &ask(reference, query).await).is_some() {
            return None;
        }
    }
    Some(format!("{query}\n  {}: {}", found.aspect.text(), found.text))
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test]
async fn random_queries_have_the_same_answers() {
    let (count, first) = (number("PROMQL_FUZZ_COUNT", 2_000), number("PROMQL_FUZZ_SEED", 1));
    let server = Server::start();
    let known = known::table().unwrap();
    let mut differences = Vec::new();
    for set in 0..count.div_ceil(SET) {
        let seed = first + set;
        let prometheus = Reference::start().await;
        let reference = Client::new(&*prometheus.base);
        let mut ours = Client::new(format!("http://{}", server.addresses().http));
        ours.set_tenant(format!("fuzz-{seed}"));
        let series = series_set(seed, BASE_MS);
        load(&reference, &series).await;
        load(&ours, &series).await;
        for number in 0..SET.min(count - set * SET) {
            let query = query(seed, number, BASE_MS);
            if let Some(found) = differs(&reference, &ours, &query, &known).await {
                differences.push(format!("seed {seed}, query {number}: {found}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} of {count} differ\n{}", differences.len(), differences.join("\n"));
}

/// What the demo service of the compliance suite shows: counters, gauges, a classic histogram, and
/// a metric that comes and goes. An hour and a half of it, so that windows of an hour are full.
fn demo_service(start_ms: i64, samples: i64) -> Vec<LoadedSeries> {
    let mut demo = Demo { random: Random::new(7), start_ms, samples, series: Vec::new() };
    for instance in ["demo.promlabs.com:10000", "demo.promlabs.com:10001", "demo.promlabs.com:10002"] {
        demo.instance(instance);
    }
    demo.series
}

struct Demo {
    random: Random,
    start_ms: i64,
    samples: i64,
    series: Vec<LoadedSeries>,
}

impl Demo {
    fn add(&mut self, labels: &[(&str, &str)], mut value: impl FnMut(i64, f64) -> Option<f64>) {
        let mut points = Vec::new();
        for number in 0..self.samples {
            let chance = self.random.below(1_000_000) as f64 / 1e6;
            if let Some(value) = value(number, chance) {
                let time_ms = self.start_ms + number * STEP_MS;
                points.push(LoadedPoint { time_ms, start_ms: None, sample: Sample::Float(value) });
            }
        }
        self.series.push(LoadedSeries { labels: Labels::new(labels.iter().copied()), points });
    }

    fn instance(&mut self, instance: &str) {
        let of = |name: &'static str| [("__name__", name), ("instance", instance), ("job", "demo")];
        self.add(&of("up"), |_, _| Some(1.0));
        self.add(&of("demo_num_cpus"), |_, _| Some(4.0));
        self.add(&of("demo_disk_total_bytes"), |_, _| Some(160e9));
        self.add(&of("demo_disk_usage_bytes"), |number, chance| {
            Some(60e9 + number as f64 * 1e6 + chance * 1e6)
        });
        self.add(&of("demo_batch_last_success_timestamp_seconds"), |number, _| {
            Some((number / 20 * 20) as f64 * 15.0 + 1e6)
        });
        self.add(&of("demo_intermittent_metric"), |number, _| (number / 20 % 2 == 0).then_some(1.0));
        for kind in ["buffers", "cached", "free", "used"] {
            let labels = [&of("demo_memory_usage_bytes")[..], &[("type", kind)]].concat();
            self.add(&labels, |number, chance| Some(1e9 + (number as f64 / 10.0).sin() * 1e8 + chance * 1e7));
        }
        for mode in ["idle", "system", "user"] {
            let labels = [&of("demo_cpu_usage_seconds_total")[..], &[("mode", mode)]].concat();
            let mut total = 0.0;
            self.add(&labels, move |_, chance| {
                // A restart now and then.
                total = if chance > 0.99 { 0.0 } else { total + chance * 15.0 };
                Some(total)
            });
        }
        self.durations(instance);
    }

    fn durations(&mut self, instance: &str) {
        for (method, path, status) in
            [("GET", "/api/foo", "200"), ("GET", "/api/bar", "500"), ("POST", "/api/foo", "200")]
        {
            let of = |name: &'static str| {
                vec![
                    ("__name__", name),
                    ("instance", instance),
                    ("job", "demo"),
                    ("method", method),
                    ("path", path),
                    ("status", status),
                ]
            };
            for (rank, le) in ["0.0001", "0.001", "0.01", "0.1", "1", "+Inf"].into_iter().enumerate() {
                let mut labels = of("demo_api_request_duration_seconds_bucket");
                labels.push(("le", le));
                self.add(&labels, |number, _| Some((number * (rank as i64 + 1)) as f64));
            }
            self.add(&of("demo_api_request_duration_seconds_count"), |number, _| Some((number * 6) as f64));
            self.add(&of("demo_api_request_duration_seconds_sum"), |number, _| Some(number as f64 * 0.7));
        }
    }
}

#[tokio::test]
async fn compliance_queries_have_the_same_answers() {
    let yaml = match std::env::var_os("COMPLIANCE_QUERIES") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("../promql/compliance-queries.yml").to_owned(),
    };
    let cases = compliance::expand(&yaml).unwrap();
    let server = Server::start();
    let prometheus = Reference::start().await;
    let reference = Client::new(&*prometheus.base);
    let ours = Client::new(format!("http://{}", server.addresses().http));
    let series = demo_service(BASE_MS, 480);
    load(&reference, &series).await;
    load(&ours, &series).await;
    let known = known::table().unwrap();
    // As the suite asks: ranges, every ten seconds.
    let end_ms = BASE_MS + 470 * STEP_MS;
    let window = Window { start_ms: end_ms - 1_800_000, end_ms, step_ms: 10_000 };
    let mut differences = Vec::new();
    let mut with_data = 0;
    for case in &cases {
        // Queries that the suite wants to fail are judged by the reference, too: since 3.0 any
        // UTF-8 is a label name, and the suite still has one that was not.
        let query = Query { text: case.query.clone(), window, lookback_ms: None };
        with_data += usize::from(has_data(&ask(&reference, &query).await));
        if case.skip_comparison {
            continue;
        }
        if let Some(found) = differs(&reference, &ours, &query, &known).await {
            differences.push(found);
        }
    }
    println!("{} queries, {with_data} with data, {} differ", cases.len(), differences.len());
    assert!(with_data * 10 > cases.len() * 8, "only {with_data} of {} have data", cases.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn has_data(answer: &Answer) -> bool {
    format!("{:?}", answer.result).len() > 60
}
