//! Plugins that are for some services only: installed, listed, restarted, corrected, derived again.

use std::time::Duration;

use isinglass_testkit::load;
use serde_json::Value;

use crate::harness::{Server, eventually, now_nanos};
use crate::plugin_install::{DENY, run, says, spans, stored};
use crate::plugin_replay::reconciled;

const BOTH: &str = r#"{ "services": ["pay-1", "shop"] }"#;

fn install(server: &Server, when: &[&str], wanted: &str) -> String {
    let when: Vec<&str> = when.iter().flat_map(|when| ["--when", when]).collect();
    says(server, &[&["install", DENY, "--config", BOTH], &when[..]].concat(), 0, wanted)
}

/// It would deny both services, and is shown one of them.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_services_is_judged() {
    let mut server = Server::start();
    let client = server.client();
    install(&server, &["service=pay-*", "resource.absent!=*"], ", when service=pay-*, resource.absent!=*");
    client.otlp("traces", spans("pay-1", 0, 3)).await.ok();
    client.otlp("traces", spans("shop", 100, 4)).await.ok();
    assert_eq!((stored(&client, "pay-1").await, stored(&client, "shop").await), (0, 4));
    says(&server, &["list"], 0, "service=pay-*, resource.absent!=*");
    let listed: Value = serde_json::from_slice(&run(&server, &["list", "--json"]).stdout).unwrap();
    let bound =
        listed["plugins"].as_array().unwrap().iter().find(|one| one["name"] == "deny-service").unwrap();
    assert_eq!(bound["when"]["not"]["resource"]["absent"][0], "*");
    assert_eq!(bound["rows"], 3, "it was not shown the others");
    let conditions = "select conditions from system.plugins where name = 'deny-service'";
    assert_eq!(client.cell(conditions).await, "service=pay-*, resource.absent!=*");

    server.kill();
    server.start_again();
    let client = server.client();
    client.otlp("traces", spans("pay-1", 200, 3)).await.ok();
    client.otlp("traces", spans("shop", 300, 4)).await.ok();
    assert_eq!((stored(&client, "pay-1").await, stored(&client, "shop").await), (0, 8));

    // What was refused by mistake passes it by when it is sent again.
    says(&server, &["reingest", "--where", "true"], 0, "6 rows: 0 stored");
    install(&server, &["service!=pay-*"], ", when service!=pay-*");
    says(&server, &["reingest", "--where", "true"], 0, "6 rows: 6 stored");
    client.otlp("traces", spans("shop", 400, 4)).await.ok();
    assert_eq!((stored(&client, "pay-1").await, stored(&client, "shop").await), (6, 8));
    says(&server, &["rollback", "deny-service"], 1, "there is no earlier version");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_condition_may_not_be_is_told() {
    let server = Server::start();
    let fails = |when: &str, wanted: &str| {
        says(&server, &["install", DENY, "--config", BOTH, "--when", when], 1, wanted);
    };
    fails("services=a", "services is not service, scope, metric or resource.KEY");
    fails("service", "has no =");
    fails("service=a\\", "when.service: pattern \"a\\\\\" ends with a backslash");
    fails(&format!("metric=*{}", "x".repeat(256)), "has 257 bytes, the limit is 256");
}

/// Live counters of some services are those that a replay under the same conditions makes.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_under_the_same_conditions() {
    let config = "[[plugins.bindings]]\nname = \"span-metrics\"\nsource = \"builtin:span-metrics\"\n\
        world = \"deriver\"\nsignals = [\"traces\"]\n\
        [plugins.bindings.when]\nservice = [\"c*\"]\nresource.\"service.namespace\" = [\"shop\"]\n\
        [plugins.bindings.when.not]\nservice = [\"catalog\"]\n";
    let server = Server::start_with(config);
    let client = server.client();
    let now = now_nanos();
    for (seed, late_s) in [(1, 60), (2, 600)] {
        client.otlp("traces", load::traces(seed, 400, now - late_s * 1_000_000_000)).await.ok();
    }
    let text = reconciled(&server).await;
    assert!(text.contains("read 800 spans"), "{text}");
    client.flush().await;
    let calls = "select service || ' ' || cast(cast(sum(v) as bigint) as text) as text from (\
        select service, span_name, span_kind, status_code, start_time, max(value) as v \
        from metrics.traces_spanmetrics_calls_total group by 1, 2, 3, 4, 5) group by service order by 1";
    let spans = "select service || ' ' || cast(count(*) as text) as text from spans \
        where service like 'c%' and service <> 'catalog' group by service order by 1";
    let texts = async |query: &str| {
        client.sql(query).await.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wanted = texts(spans).await;
    assert!(!wanted.is_empty());
    eventually("counters of these services", Duration::from_secs(20), async || {
        (texts(calls).await == wanted).then_some(())
    })
    .await;
}
