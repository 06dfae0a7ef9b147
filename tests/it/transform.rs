//! A transformer over the wire: every signal and protocol, what is stored, what can be queried,
//! and what becomes of requests when it fails.

use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::otlp::{self, LogRecord, Span};
use isinglass_testkit::remote_write::{self, Series};

use crate::harness::{Client, Server, now_millis, now_nanos, root};

const SECRET: &str = "ann.secret@example.org";

fn config(file: &str, config: &str, more: &str) -> String {
    let file = root().join(format!("plugins/dist/{file}.wasm"));
    format!(
        "[[plugins.bindings]]\nname = \"validate\"\nsource = \"builtin:validate\"\nworld = \"validator\"\n\
         [[plugins.bindings]]\nname = \"span-metrics\"\nsource = \"builtin:span-metrics\"\nworld = \"deriver\"\n\
         signals = [\"traces\"]\n\
         [[plugins.bindings]]\nname = \"first\"\nsource = \"file:{}\"\nworld = \"transformer\"\n\
         config = {config}\n{more}\n",
        file.display()
    )
}

async fn text(client: &Client, sql: &str) -> String {
    client.ask(sql).await.ok().text()
}

#[tokio::test]
async fn redaction_covers_every_signal_and_what_is_refused() {
    let redact =
        r#"{ emails = true, keys = ["user", "password"], remove = ["pod"], drop_spans = ["GET /healthz"] }"#;
    let server = Server::start_with(&config("examples/redact", redact, ""));
    let client = server.client();
    let now = now_nanos();

    let mut record = LogRecord::new(now, &format!("login of {SECRET}"));
    record.attributes.extend([otlp::text("password", SECRET), otlp::text("http.route", "/login")]);
    let late = LogRecord::new(now - 30 * 86_400_000_000_000, &format!("late {SECRET}"));
    let service = [otlp::text("service.name", "shop"), otlp::text("user", SECRET)];
    let answer = client.otlp("logs", otlp::logs(&service, &[record, late])).await;
    assert!(answer.text().contains("greater_than_max_sample_age"), "{}", answer.text());

    let mut span = Span::server("GET /login", now, now + 1_000_000);
    span.attributes.push(otlp::text("user.id", SECRET));
    let health = Span::server("GET /healthz", now, now + 1_000_000);
    client.otlp("traces", otlp::traces(&service, &[span, health])).await.ok();

    let line = Stream::new("{app=\"a\", user=\"ann-secret\"}").line(now, SECRET);
    let bad = Stream::new("{app=\"ann-secret").line(now, SECRET);
    client.loki(&loki::request(&[line, bad])).await;

    let at = now_millis();
    let up = |pod: &str| Series::new(&[("__name__", "up"), ("pod", pod), ("user", "ann-secret")]);
    client
        .remote_write(&remote_write::request(&[up("a").sample(at, 1.0), up("b").sample(at + 1, 2.0)]))
        .await
        .ok();

    let mut point = otlp::Point { time_unix_nanos: now, ..otlp::Point::default() };
    point.attributes.extend([otlp::text("user", SECRET), otlp::text("pod", "c")]);
    let gauge = otlp::Metric::new("queue_depth", otlp::Data::Gauge(vec![(point, 3.0)]));
    client.otlp("metrics", otlp::metrics(&[otlp::text("service.name", "shop")], &[gauge])).await.ok();
    let labels = text(&client, "select * from metrics.queue_depth").await;
    assert!(labels.contains("***") && !labels.contains("pod") && !labels.contains("secret"), "{labels}");

    let logs = text(&client, "select * from logs order by body").await;
    assert!(logs.contains("login of ***") && logs.contains("/login"), "{logs}");
    assert_eq!(client.count("logs").await, 2);
    assert_eq!(client.count("spans").await, 1);
    let spans = text(&client, "select * from spans").await;
    let series = text(&client, "select * from series").await;
    assert!(series.contains("***") && !series.contains("pod"), "{series}");
    assert_eq!(client.count("metrics.up").await, 2);
    let rejected = text(&client, "select * from rejected").await;
    assert!(rejected.contains("late ***") && rejected.contains("withheld"), "{rejected}");
    client.flush().await;
    let derived = text(&client, "select * from metrics.traces_spanmetrics_calls_total").await;
    for shown in [logs, spans, series, rejected, derived] {
        assert!(!shown.contains("secret"), "{shown}");
        assert!(!shown.contains("healthz"), "{shown}");
    }
    let dropped = client.metric("isinglass_rejected_items_total", &["reason=\"dropped:span_name\""]).await;
    assert_eq!(dropped, 1.0);
    for signal in ["logs", "traces", "metrics"] {
        let of = async |name: &str| client.metric(name, &[&format!("signal=\"{signal}\"")]).await;
        let (received, stored) =
            (of("isinglass_received_items_total").await, of("isinglass_stored_items_total").await);
        assert_eq!(received, stored + of("isinglass_rejected_items_total").await, "{signal}");
    }
    assert!(!server.log().contains(SECRET), "nor is it in the server's own log");
    assert_eq!(server.panics(), Vec::<String>::new());
}

#[tokio::test]
async fn a_transformer_that_fails_has_its_requests_sent_again() {
    let more = "[plugins.tenants.calm.first]\ndoes = \"\"";
    let server = Server::start_with(&config("test/hostile-transformer", "{ does = \"trap\" }", more));
    let client = server.client();
    let now = now_nanos();
    let log = || otlp::logs(&[otlp::text("service.name", "shop")], &[LogRecord::new(now, SECRET)]);
    for _ in 0..8 {
        let answer = client.otlp("logs", log()).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains("transformer first failed ("), "{}", answer.text());
        let answer = client.loki(&loki::request(&[Stream::new("{a=\"b\"}").line(now, SECRET)])).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        let sample = Series::new(&[("__name__", "up")]).sample(now_millis(), 1.0);
        assert_eq!(client.remote_write(&remote_write::request(&[sample])).await.status, 503);
    }
    for table in ["logs", "samples", "rejected"] {
        assert_eq!(client.count(table).await, 0, "{table}");
    }
    let calm = client.tenant("calm");
    calm.otlp("logs", log()).await.ok();
    assert_eq!(calm.count("logs").await, 1);
    assert_eq!(client.metric("isinglass_received_items_total", &["tenant=\"default\""]).await, 24.0);
    let refused = ["tenant=\"default\"", "reason=\"plugin_error\""];
    assert_eq!(client.metric("isinglass_rejected_items_total", &refused).await, 24.0);
}
