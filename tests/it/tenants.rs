//! Tenants do not see each other.

use isinglass_testkit::load;
use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::otlp;
use isinglass_testkit::remote_write::{self, Series};

use crate::harness::{Client, Server, grpc, now_millis, now_nanos};

async fn fill(client: &Client, mark: &str, items: usize) {
    let series: Vec<_> = (0..items)
        .map(|at| {
            Series::new(&[("__name__", &format!("of_{mark}")), ("i", &at.to_string())])
                .sample(now_millis(), 1.0)
        })
        .collect();
    client.remote_write(&remote_write::request(&series)).await.ok();
    let stream = (0..items).fold(Stream::new(r#"{app="x"}"#), |stream, _| stream.line(now_nanos(), mark));
    client.loki(&loki::request(&[stream])).await.ok();
    let spans = load::spans(items as u64, items, now_nanos() - 1_000_000_000);
    client.otlp("traces", otlp::traces(&[otlp::text("service.name", mark)], &spans)).await.ok();
}

async fn check(client: &Client, mark: &str, items: u64, other: &str) {
    assert_eq!(client.count(&format!("metrics.of_{mark}")).await, items);
    assert_eq!(client.count(&format!("logs where body = '{mark}'")).await, items);
    assert_eq!(client.count("logs").await, items);
    assert_eq!(client.count(&format!("spans where service = '{mark}'")).await, items);
    assert_eq!(client.count("spans").await, items);
    assert_eq!(client.count(&format!("series where metric = 'of_{other}'")).await, 0);
    assert_ne!(client.ask(&format!("select * from metrics.of_{other}")).await.status, 200);
}

#[tokio::test]
async fn two_tenants_do_not_see_each_other() {
    let mut server = Server::start();
    let (a, b) = (server.client().tenant("alpha"), server.client().tenant("beta"));
    fill(&a, "alpha", 7).await;
    fill(&b, "beta", 11).await;
    check(&a, "alpha", 7, "beta").await;
    check(&b, "beta", 11, "alpha").await;
    a.flush().await;
    check(&a, "alpha", 7, "beta").await;
    check(&b, "beta", 11, "alpha").await;
    assert_eq!(server.client().count("logs").await, 0, "default has nothing");

    // Ways around the name.
    for query in [
        "select * from beta.logs",
        "select * from beta.public.logs",
        "select * from \"tables/beta/logs\"",
        "select * from '../beta/logs'",
        "select * from read_parquet('tables/beta/logs/*.parquet')",
        "select * from isinglass.beta.logs",
    ] {
        let answer = a.ask(query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    let names = a.ask("select table_name from information_schema.tables").await.text();
    assert!(!names.contains("of_beta"), "{names}");

    server.kill();
    server.start_again();
    check(&server.client().tenant("alpha"), "alpha", 7, "beta").await;
    check(&server.client().tenant("beta"), "beta", 11, "alpha").await;
}

#[tokio::test]
async fn grpc_metadata_names_the_tenant() {
    let server = Server::start();
    let body = load::traces(1, 10, now_nanos() - 1_000_000);
    grpc::export(&server.addresses().otlp_grpc, Some("gamma"), "traces", body.clone()).await.unwrap();
    assert_eq!(server.client().tenant("gamma").count("spans").await, 10);
    assert_eq!(server.client().count("spans").await, 0);
    let status = grpc::export(&server.addresses().otlp_grpc, Some("../x"), "traces", body).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
}

#[tokio::test]
async fn bad_names_are_refused_everywhere() {
    let server = Server::start();
    let long = "x".repeat(151);
    for name in ["", ".", "..", "../up", "a/b", "a\\b", "a|b", "a b", "z\u{fc}rich", "%2e%2e", "a\tb", &long]
    {
        let client = server.client().tenant(name);
        for answer in [
            client.remote_write(&remote_write::request(&[])).await,
            client.loki(&loki::request(&[])).await,
            client.otlp("traces", otlp::traces(&[], &[])).await,
            client.ask("select 1").await,
        ] {
            assert_eq!(answer.status, 400, "{name:?}: {}", answer.text());
        }
    }
    let kept = "A-z_0.9!*'()";
    server.client().tenant(kept).remote_write(&remote_write::request(&[])).await.ok();
}
