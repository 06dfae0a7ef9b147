//! The schema `system` of a real server: what it says is what there is.

use isinglass_testkit::load;
use serde_json::Value;

use crate::harness::{Server, now_millis, now_nanos};

#[tokio::test]
async fn what_the_engine_says_of_itself() {
    let server = Server::start();
    let (client, other) = (server.client().tenant("acme"), server.client().tenant("umbrella"));
    for client in [&client, &other] {
        client.remote_write(&load::gauges(100, now_millis())).await.ok();
        client.otlp("traces", load::traces(1, 50, now_nanos() - 30_000_000_000)).await.ok();
    }
    client.flush().await;
    client.otlp("traces", load::traces(2, 25, now_nanos() - 30_000_000_000)).await.ok();

    let spans = client.sql("select file_rows, head_rows from system.tables where kind = 'spans'").await;
    assert_eq!((&spans[0]["file_rows"], &spans[0]["head_rows"]), (&50.into(), &25.into()));
    for path in client.sql("select path from system.files").await {
        let file = server.data_dir().join("tables").join(path["path"].as_str().unwrap());
        assert!(file.is_file() && file.starts_with(server.data_dir().join("tables/acme")), "{file:?}");
    }
    let log = client.sql("select segment, synced from system.wal").await;
    for segment in &log {
        let file = server.data_dir().join("wal").join(segment["segment"].as_str().unwrap());
        assert!(file.is_file() && segment["synced"] == true, "{segment:?}");
    }
    assert_eq!(client.number("select segments from system.wal_totals").await, log.len() as f64);
    let series = client.number("select count(distinct series_id) from series").await;
    let counted = "select sum(series) from system.label_values where label = \
                   (select min(label) from system.cardinality where share > 0)";
    assert!(client.number(counted).await <= series);

    let plugins = client.sql("select * from system.plugins order by position").await;
    let names: Vec<&Value> = plugins.iter().map(|plugin| &plugin["name"]).collect();
    assert_eq!(names, ["validate", "rate-limit", "span-metrics"]);
    assert_eq!((&plugins[0]["world"], &plugins[2]["signals"]), (&"validator".into(), &"traces".into()));
    let ran = |plugin: &serde_json::Map<String, Value>| plugin["calls"].as_u64() > Some(0);
    assert!(plugins.iter().all(|plugin| ran(plugin) && plugin["failures"] == 0), "{plugins:?}");

    let costs = client
        .sql("select * from system.plugin_costs where calls > 0 and rows > 0 and cpu_seconds > 0")
        .await;
    let names: Vec<&Value> = costs.iter().map(|cost| &cost["name"]).collect();
    assert!(names.contains(&&"validate".into()) && names.contains(&&"span-metrics".into()), "{names:?}");

    client.ask("select nothing at all").await;
    let queries = client.sql("select * from system.queries").await;
    let states: Vec<&str> = queries.iter().map(|query| query["state"].as_str().unwrap()).collect();
    let count = |state| states.iter().filter(|of| **of == state).count();
    assert_eq!((count("failed"), count("running"), count("cancelled")), (1, 1, 0), "{queries:?}");
    assert!(count("done") >= 6, "{queries:?}");

    for table in [
        "tables",
        "caches",
        "files",
        "cardinality",
        "label_values",
        "queries",
        "wal",
        "wal_totals",
        "plugin_costs",
        "plugins",
        "replays",
    ] {
        for (tenant, whose) in [(&client, "umbrella"), (&other, "acme")] {
            let said = tenant.ask(&format!("select * from system.{table}")).await.ok().text();
            assert!(!said.contains(whose), "{table}: {said}");
        }
    }
}

/// Every column of every table stands on the page.
#[tokio::test]
async fn every_column_is_described() {
    let server = Server::start();
    let page = std::fs::read_to_string(crate::harness::root().join("docs/formats/system-tables.md")).unwrap();
    let columns =
        "select table_name, column_name from information_schema.columns where table_schema = 'system'";
    let columns = server.client().sql(columns).await;
    assert!(columns.len() > 50, "{}", columns.len());
    for column in columns {
        let (table, name) = (column["table_name"].as_str().unwrap(), column["column_name"].as_str().unwrap());
        let section = page.split(&format!("## `system.{table}`")).nth(1);
        let section =
            section.unwrap_or_else(|| panic!("no section on {table}")).split("\n## ").next().unwrap();
        assert!(section.contains(&format!("`{name}`")), "{table}.{name} is not described");
    }
}
