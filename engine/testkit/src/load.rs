//! Seeded loads: the shapes of the bench, at any size, the same every time.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::otlp::{self, Attribute, Span, integer, text};
use crate::remote_write::{self, Series};

const SERVICES: [&str; 8] =
    ["frontend", "checkout", "cart", "payment", "catalog", "shipping", "recommend", "redis"];
const ROUTES: [&str; 6] =
    ["/api/items", "/api/items/{id}", "/api/cart", "/api/checkout", "/api/recommend", "/api/ship"];

/// Spans of one service with ten attributes each, in traces of five.
pub fn spans(seed: u64, count: usize, start_unix_nanos: u64) -> Vec<Span> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut trace_id = [0; 16];
    let mut root = Vec::new();
    (0..count)
        .map(|at| {
            let parent_span_id = if at % 5 == 0 {
                random.fill(&mut trace_id);
                Vec::new()
            } else {
                root.clone()
            };
            let span = span(&mut random, trace_id, parent_span_id, start_unix_nanos + at as u64 * 1_000);
            if at % 5 == 0 {
                root.clone_from(&span.span_id);
            }
            span
        })
        .collect()
}

fn span(random: &mut StdRng, trace_id: [u8; 16], parent_span_id: Vec<u8>, start: u64) -> Span {
    let route = ROUTES[random.random_range(0..ROUTES.len())];
    let error = random.random_bool(0.02);
    Span {
        trace_id: trace_id.to_vec(),
        span_id: random.random::<[u8; 8]>().to_vec(),
        parent_span_id,
        name: format!("GET {route}"),
        kind: if random.random_bool(0.7) { 2 } else { 3 },
        start_unix_nanos: start,
        // between 1 µs and about 4 s, even in magnitude
        end_unix_nanos: start + (1_000.0 * random.random_range(0.0..15.2_f64).exp()) as u64,
        attributes: attributes(random, route, error),
        status: if error { 2 } else { 0 },
        status_message: if error { "deadline exceeded".to_owned() } else { String::new() },
    }
}

fn attributes(random: &mut StdRng, route: &str, error: bool) -> Vec<Attribute> {
    vec![
        text("http.request.method", if random.random_bool(0.8) { "GET" } else { "POST" }),
        text("http.route", route),
        text("url.path", &route.replace("{id}", &random.random_range(0..10_000).to_string())),
        integer("http.response.status_code", if error { 500 } else { 200 }),
        text("user.id", &format!("u{:06}", random.random_range(0..200_000))),
        text("network.peer.address", &format!("10.0.{}.{}", random.random::<u8>(), random.random::<u8>())),
        text("url.scheme", "https"),
        text("server.address", "shop.example"),
        integer("server.port", 8443),
        text("thread.name", &format!("worker-{}", random.random_range(0..16))),
    ]
}

/// The resource of the `at`-th service, eight attributes.
pub fn resource(at: usize) -> Vec<Attribute> {
    let service = SERVICES[at % SERVICES.len()];
    vec![
        text("service.name", service),
        text("service.namespace", "shop"),
        text("service.version", "1.4.2"),
        text("deployment.environment", "production"),
        text("k8s.cluster.name", "c1"),
        text("k8s.pod.name", &format!("{service}-{}", at % 5)),
        text("host.name", &format!("node-{}", at % 5)),
        text("telemetry.sdk.language", "go"),
    ]
}

/// An `ExportTraceServiceRequest` of `count` spans of one service.
pub fn traces(seed: u64, count: usize, start_unix_nanos: u64) -> Vec<u8> {
    otlp::traces(&resource(usize::try_from(seed).unwrap_or(0)), &spans(seed, count, start_unix_nanos))
}

/// A `WriteRequest` of the bench's shape: one sample of each of `series` host
/// gauges with ten labels and a name.
pub fn gauges(series: usize, time_ms: i64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(time_ms.cast_unsigned());
    let all: Vec<Series> = (0..series)
        .map(|at| gauge(at).sample(time_ms, (random.random_range(0.0..10_000.0_f64)).round() / 100.0))
        .collect();
    remote_write::request(&all)
}

fn gauge(at: usize) -> Series {
    const MEASURES: [&str; 10] =
        ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let host = at / MEASURES.len();
    let name = format!("cpu_usage_{}", MEASURES[at % MEASURES.len()]);
    let (hostname, rack, service) =
        (format!("host_{host}"), (host % 100).to_string(), (host % 20).to_string());
    Series::new(&[
        ("__name__", &name),
        ("arch", ["x64", "x86"][host % 2]),
        ("datacenter", ["eu-west-1a", "us-east-1b", "ap-southeast-1c"][host % 3]),
        ("hostname", &hostname),
        ("os", ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"][host % 3]),
        ("rack", &rack),
        ("region", ["eu-west-1", "us-east-1", "ap-southeast-1"][host % 3]),
        ("service", &service),
        ("service_environment", ["production", "staging", "test"][host % 3]),
        ("service_version", ["0", "1"][host % 2]),
        ("team", ["SF", "NYC", "LON", "CHI"][host % 4]),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_load() {
        assert_eq!(traces(7, 20, 1), traces(7, 20, 1));
        assert_ne!(traces(7, 20, 1), traces(8, 20, 1));
        assert_eq!(gauges(30, 1_000), gauges(30, 1_000));
        let spans = spans(1, 6, 1);
        assert_eq!(spans[1].parent_span_id, spans[0].span_id);
        assert_ne!(spans[5].trace_id, spans[0].trace_id);
    }
}
