//! Functions of plugins, asked over HTTP in SQL and PromQL.

use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::otlp::{self, Span};
use isinglass_testkit::remote_write::{self, Series};
use serde_json::Value;

use crate::harness::{Answer, Client, Server, now_millis, now_nanos, root};

/// Nothing at intake, `geo`, and a plugin that misbehaves for the tenants named after how. It may
/// hold less than a query, so that it is its own bound that it finds.
fn config() -> String {
    let file = |name: &str| root().join(format!("plugins/dist/{name}.wasm")).display().to_string();
    let mut text = format!(
        "[[plugins.bindings]]\nname = \"geo\"\nsource = \"file:{}\"\nworld = \"function\"\n\
         [[plugins.bindings]]\nname = \"hostile\"\nsource = \"file:{}\"\nworld = \"function\"\nprefix = \"x_\"\n\
         budget = {{ memory_bytes_max = 33554432 }}\n",
        file("examples/geo"),
        file("test/hostile-function")
    );
    for does in HOSTILE {
        text += &format!("[plugins.tenants.\"{does}\".hostile]\ndoes = \"{does}\"\n");
    }
    text
}

const HOSTILE: [&str; 8] =
    ["trap", "spin", "grow", "recurse", "too_few_rows", "other_type", "bad_validity", "huge_output"];

async fn promql(client: &Client, query: &str) -> Answer {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    client.get(&format!("api/v1/query?query={encoded}")).await
}

/// (label `place`, value) of an instant query, sorted.
async fn values(client: &Client, query: &str) -> Vec<(String, f64)> {
    let answer = promql(client, query).await.ok().json();
    let value = |of: &Value| {
        let place = of["metric"]["place"].as_str().unwrap_or_default().to_owned();
        assert!(of["metric"].get("__name__").is_none(), "{of}");
        (place, of["value"][1].as_str().unwrap().parse().unwrap())
    };
    let mut values: Vec<_> = answer["data"]["result"].as_array().unwrap().iter().map(value).collect();
    values.sort_by(|one, other| one.0.cmp(&other.0));
    values
}

async fn places(client: &Client) {
    // Some steps of a subquery ago.
    let at = now_millis() - 60_000;
    let place =
        |name: &str, lat: f64| Series::new(&[("__name__", "latitude"), ("place", name)]).sample(at, lat);
    let body = remote_write::request(&[place("equator", 0.0), place("pole", 90.0), place("berlin", 52.52)]);
    client.remote_write(&body).await.ok();
}

#[tokio::test]
async fn sql_calls_them() {
    let server = Server::start_with(&config());
    let client = server.client();
    let km = client.number("select haversine(52.52, 13.405, 48.8566, 2.3522)").await;
    assert!((km - 877.5).abs() < 1.0, "{km}");
    assert_eq!(client.cell("select hemisphere(cast(-3 as int))").await, "south");
    assert_eq!(client.cell("select haversine(null, 1, 2, 3)").await, Value::Null);

    let now = now_nanos();
    for service in 0..3_u64 {
        let span = |n: u64| Span::server("GET /", now, now + (n + 1) * 1_000 * (service + 1));
        let spans: Vec<_> = (0..500).map(span).collect();
        let service = otlp::text("service.name", &format!("s{service}"));
        client.otlp("traces", otlp::traces(&[service], &spans)).await.ok();
    }
    let check = "select max(abs(mean - direct) / direct) from (select service, \
                 harmonic_mean(duration) filter (where duration > 5000) as mean, \
                 count(*) filter (where duration > 5000) / sum(1.0 / duration) filter (where duration > 5000) as direct \
                 from spans group by service)";
    assert!(client.number(check).await < 1e-9);
    let mad = "select service, abs(mad(duration) - 125000.0 * (1 + cast(substr(service, 2) as int))) as off \
               from spans group by service";
    let by_service = client.sql(mad).await;
    assert_eq!(by_service.len(), 3);
    for row in by_service {
        assert!(row["off"].as_f64().unwrap() < 1e-6, "{row:?}");
    }
    // Of all rows, of none, in a window, in a sum of many groups.
    assert!(client.number("select mad(duration) from spans").await > 0.0);
    assert_eq!(client.cell("select mad(duration) from spans where false").await, Value::Null);
    let running = "select max(h) from (select harmonic_mean(duration) over (order by duration rows unbounded preceding) as h from spans)";
    assert!(client.number(running).await > 1_000.0);
    let many =
        "select count(*) from (select duration, mad(duration) as m from spans group by duration) where m = 0";
    assert_eq!(client.number(many).await, client.number("select count(distinct duration) from spans").await);

    for (query, fault) in [
        ("select haversine(1, 2, 3)", "haversine has 4 arguments, not 3"),
        ("select haversine('a', 2, 3, 4)", "argument 1 of haversine is a float64"),
        ("select harmonic_mean(-1.0)", "row 0: harmonic_mean takes positive values only"),
        ("select x_nope(1)", "x_nope"),
    ] {
        let answer = client.ask(query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert!(answer.text().contains(fault), "{query}: {}", answer.text());
    }
    assert_eq!(server.panics(), Vec::<String>::new());
}

#[tokio::test]
async fn promql_calls_them() {
    let server = Server::start_with(&config());
    let client = server.client();
    places(&client).await;
    let far = values(&client, "haversine(latitude, 0, 90, 0)").await;
    let near = |got: f64, wanted: f64| (got - wanted).abs() < 2.0;
    assert_eq!(
        far.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(),
        ["berlin", "equator", "pole"]
    );
    assert!(near(far[0].1, 4_167.0) && near(far[1].1, 10_007.5) && near(far[2].1, 0.0), "{far:?}");
    // Among others, over ranges, with scalars that change, in SQL.
    let sum = values(&client, "sum(haversine(latitude{place=~\"pole|equator\"}, 0, 90, 0)) / 2").await;
    assert!(near(sum[0].1, 10_007.5 / 2.0), "{sum:?}");
    let sum = values(&client, "max(max_over_time(haversine(latitude, 0, 90, time() * 0)[2m:30s]))").await;
    assert!(near(sum[0].1, 10_007.5), "{sum:?}");
    let rows = client.number("select count(*) from promql('haversine(latitude, 0, 90, 0)')").await;
    assert_eq!(rows, 3.0);
    for (query, fault) in [
        ("haversine(latitude)", "expected 4 argument(s) in call to \\\"haversine\\\", got 1"),
        ("haversine(latitude, latitude, 0, 0)", "expected type scalar in call to function \\\"haversine\\\""),
        ("harmonic_mean(latitude)", "unknown function with name \\\"harmonic_mean\\\""),
        ("hemisphere(latitude)", "unknown function with name \\\"hemisphere\\\""),
    ] {
        let answer = promql(&client, query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert!(answer.text().contains(fault), "{query}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_ends_its_query_and_no_other() {
    let server = Server::start_with(&config());
    let neighbour = server.client().tenant("neighbour");
    places(&neighbour).await;
    for does in HOSTILE {
        let client = server.client().tenant(does);
        places(&client).await;
        let sql = client.ask("select x_hostile(value) from samples").await;
        let in_promql = promql(&client, "x_hostile(latitude)").await;
        for answer in [sql, in_promql] {
            assert_eq!(answer.status, 500, "{does}: {}", answer.text());
            let text = answer.text();
            assert!(text.contains("function x_hostile of plugin hostile-function@0.1.0: "), "{does}: {text}");
            assert!(text.contains(" rows)"), "{does}: {text}");
        }
        // What does not call it works, and so does it for others.
        assert_eq!(client.count("samples").await, 3, "{does}");
        assert_eq!(neighbour.number("select sum(x_hostile(value)) from samples").await, 3.0);
        assert_eq!(values(&neighbour, "sum(x_hostile(latitude))").await[0].1, 3.0);
    }
    let aggregate =
        server.client().tenant("huge_output").ask("select x_hostile_sum(value) from samples").await;
    assert!(aggregate.text().contains("function x_hostile_sum of plugin"), "{}", aggregate.text());
    assert_eq!(server.panics(), Vec::<String>::new());
}

fn long_lines(first: u64, count: u64) -> Vec<u8> {
    let now = now_nanos();
    let line = |n: u64| format!("{n} {}", "lorem ipsum dolor sit amet ".repeat(600));
    let lines = |stream: Stream, n: u64| stream.line(now + n, &line(n));
    loki::request(&[(first..first + count).fold(Stream::new("{service_name=\"shop\"}"), lines)])
}

/// What a call is given, what its guest holds and what it answers is of the query's share; a query
/// that needs more of it ends, and the process holds no more than before.
#[tokio::test(flavor = "multi_thread")]
async fn what_calls_hold_is_of_the_memory_of_their_query() {
    let share = 24 << 20;
    let file = root().join("plugins/dist/examples/log-pattern.wasm");
    let config = format!(
        "[[plugins.bindings]]\nname = \"log-pattern\"\nsource = \"file:{}\"\nworld = \"function\"\n\
         [query]\nquery_memory_bytes = {share}\n",
        file.display()
    );
    let server = Server::start_with(&config);
    let client = server.client();
    // 16 KiB each.
    for part in 0..20 {
        client.loki(&long_lines(100 * part, 100)).await.ok();
    }
    client.flush().await;
    // A batch of what is stored has 32 MiB of text.
    let large = "select max(length(log_pattern(body))) from logs";
    let small = "select max(length(log_pattern(substr(body, 1, 100)))) from logs";
    assert!(client.number(small).await > 80.0);
    let refused = async || {
        let answer = client.ask(large).await;
        assert_eq!(answer.status, 413, "{}", answer.text());
        let text = answer.text();
        assert!(text.contains("bytes of memory that this query may take"), "{text}");
        assert!(text.contains("a function of a plugin needs "), "{text}");
    };
    refused().await;
    let before = server.resident_mib();
    for _ in 0..10 {
        refused().await;
    }
    let after = server.resident_mib();
    assert!(after <= before + 48, "{before} MiB, then {after}");
    // It is the query's alone: others go on, and nobody blames the plugin.
    assert!(client.number(small).await > 80.0);
    assert_eq!(client.count("system.plugins where failures > 0 or left_alone").await, 0);
    assert_eq!(server.panics(), Vec::<String>::new());
}
