//! The schema `system`: what it says is what there is, and nothing of another tenant.

use futures::StreamExt;
use isinglass_model::{ErrorKind, Kind, Tenant};
use isinglass_query::{QueryConfig, SqlOptions};

use crate::fixture::{Fixture, Rows, print};

async fn check(fixture: &Fixture, sql: &str, wanted: &str) {
    let got = fixture.text(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(got, wanted, "{sql}");
}

#[tokio::test]
async fn tables_say_what_queries_find() {
    for rows in [Rows::Unflushed, Rows::Half, Rows::Flushed] {
        let fixture = Fixture::with(rows).await;
        for kind in Kind::ALL {
            let counted = fixture.text(&format!("SELECT count(*) FROM {kind}")).await.unwrap();
            let sql = format!("SELECT file_rows + head_rows FROM system.tables WHERE kind = '{kind}'");
            check(&fixture, &sql, &counted).await;
            if kind != Kind::Series {
                let times = fixture.text(&format!("SELECT min(time), max(time) FROM {kind}")).await.unwrap();
                let sql = format!("SELECT time_min, time_max FROM system.tables WHERE kind = '{kind}'");
                check(&fixture, &sql, &times).await;
            }
        }
        let unflushed = "SELECT sum(head_rows) > 0, sum(head_bytes) > 0, count(version) FROM system.tables";
        check(
            &fixture,
            unflushed,
            match rows {
                Rows::Unflushed => "true | true | 0",
                Rows::Half => "true | true | 7",
                Rows::Flushed => "false | false | 7",
            },
        )
        .await;
        let behind = "SELECT max(flushed_record) = max(watermark_record) FROM system.tables";
        check(&fixture, behind, if rows == Rows::Flushed { "true" } else { "false" }).await;
    }
}

#[tokio::test]
async fn files_are_those_of_the_tables() {
    let fixture = Fixture::with(Rows::Flushed).await;
    let sums = "SELECT kind, count(*), sum(rows), sum(bytes), min(time_min), max(time_max) FROM system.files GROUP BY 1 ORDER BY 1";
    let tables = "SELECT kind, files, file_rows, file_bytes, time_min, time_max FROM system.tables WHERE files > 0 ORDER BY 1";
    check(&fixture, sums, &fixture.text(tables).await.unwrap()).await;
    check(&fixture, "SELECT DISTINCT level, has_checksums FROM system.files", "0 | true").await;
    for path in fixture.text("SELECT path FROM system.files").await.unwrap().lines() {
        let file = fixture.folder.path().join("tables").join(path);
        assert!(file.is_file(), "{} is not there", file.display());
    }
    let ids = "SELECT metric_id_min <= metric_id_max FROM system.files WHERE kind = 'samples'";
    check(&fixture, ids, "true").await;
    check(&fixture, "SELECT count(*) FROM system.files WHERE kind = 'logs' AND rows = 0", "0").await;
}

#[tokio::test]
async fn the_log_is_synced_up_to_its_end() {
    let fixture = Fixture::with(Rows::Half).await;
    check(&fixture, "SELECT count(*), bool_and(synced), bool_or(active) FROM system.wal", "1 | true | true")
        .await;
    let ends = "SELECT (SELECT max(last_record) FROM system.wal) = (SELECT max(watermark_record) FROM system.tables)";
    check(&fixture, ends, "true").await;
    let totals = "SELECT segments, records_written, syncs > 0, failures, read_only, replaying, lost_ranges FROM system.wal_totals";
    check(&fixture, totals, "1 | 2 | true | 0 | false | false | 0").await;
    let bytes = "SELECT (SELECT sum(bytes) FROM system.wal) = (SELECT bytes FROM system.wal_totals)";
    check(&fixture, bytes, "true").await;
}

#[tokio::test]
async fn labels_are_counted() {
    let fixture = Fixture::with(Rows::Half).await;
    let of = "FROM system.cardinality WHERE metric = 'http_requests_total' ORDER BY label";
    check(
        &fixture,
        &format!("SELECT label, distinct_values, series {of}"),
        "code | 2 | 3\njob | 2 | 3\ntime | 1 | 1",
    )
    .await;
    check(&fixture, &format!("SELECT label {of}"), "code\njob\ntime").await;
    let all = "SELECT round(share * (SELECT count(DISTINCT series_id) FROM series)) FROM system.cardinality \
               WHERE metric = 'http_requests_total' AND label = 'time'";
    check(&fixture, all, "1.0").await;
    let values = "SELECT metric, label, value, series FROM system.label_values WHERE metric LIKE 'http%' AND label <> 'job' ORDER BY 2, 3";
    check(
        &fixture,
        values,
        "http_requests_total | code | 200 | 2\nhttp_requests_total | code | 500 | 1\nhttp_requests_total | time | noon | 1",
    )
    .await;
    check(&fixture, "SELECT count(*) FROM system.cardinality WHERE metric = 'nothing'", "0").await;
}

/// More labels and values than fit into one batch.
#[tokio::test]
async fn many_labels_are_all_there() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let lines = (0..10_000).map(|n| format!("gauge load{}{{host=\"h{n}\"}} 1 1700000000000", n % 3));
    fixture.append_samples(&Tenant::default(), lines).await;
    let sql = "SELECT count(*), count(DISTINCT value), sum(series) FROM system.label_values";
    check(&fixture, sql, "10000 | 10000 | 10000").await;
    let sql = "SELECT metric, distinct_values FROM system.cardinality ORDER BY 1";
    check(&fixture, sql, "load0 | 3334\nload1 | 3333\nload2 | 3333").await;
}

#[tokio::test]
async fn a_cap_is_told_and_what_is_filtered_out_does_not_count() {
    let config = QueryConfig { system_rows_max: 5, ..QueryConfig::default() };
    let fixture = Fixture::empty(config).await;
    let lines = (0..20).map(|n| format!("gauge load{}{{host=\"h{n}\"}} 1 1700000000000", n % 2));
    let lines = lines.chain(["gauge up{job=\"a\"} 1 1700000000000".to_owned()]);
    fixture.append_samples(&Tenant::default(), lines).await;
    let error = fixture.text("SELECT count(*) FROM system.label_values").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    let message = "system.label_values has more than 5 rows, the limit of query.system_rows_max";
    assert!(error.to_string().contains(message), "{error}");
    check(&fixture, "SELECT value FROM system.label_values WHERE metric = 'up'", "a").await;
    check(&fixture, "SELECT value FROM system.label_values WHERE metric IN ('up', 'no')", "a").await;
    check(&fixture, "SELECT count(*) FROM system.label_values WHERE label = 'job'", "1").await;
}

#[tokio::test]
async fn queries_are_told_how_they_ended() {
    let fixture = Fixture::with(Rows::Flushed).await;
    fixture.text("SELECT count(body) FROM logs").await.unwrap();
    fixture.text("SELECT nothing FROM logs").await.unwrap_err();
    fixture.text("SELEKT").await.unwrap_err();
    let sql = "SELECT a.time FROM logs a, logs b, logs c, logs d";
    let mut left = fixture.engine.sql(&Tenant::default(), sql, SqlOptions::default()).await.unwrap().stream;
    left.next().await.unwrap().unwrap();
    drop(left);
    check(
        &fixture,
        "SELECT id, state, rows > 0, read_files, read_bytes > 0, error IS NOT NULL FROM system.queries ORDER BY id",
        "1 | done | true | 1 | true | false\n\
         2 | failed | false | 0 | false | true\n\
         3 | failed | false | 0 | false | true\n\
         4 | cancelled | true | 1 | true | false\n\
         5 | running | false | 0 | false | false",
    )
    .await;
    let sql = "SELECT text, rows, duration_ms >= wait_ms + plan_ms, started <= now() FROM system.queries WHERE id = 1";
    check(&fixture, sql, "SELECT count(body) FROM logs | 1 | true | true").await;
    check(&fixture, "SELECT error FROM system.queries WHERE id = 3", &selekt(&fixture).await).await;
    let sorted = "SELECT body FROM logs ORDER BY body";
    fixture.text(sorted).await.unwrap();
    let peak = format!("SELECT memory_peak_bytes > 0 FROM system.queries WHERE text = '{sorted}'");
    check(&fixture, &peak, "true").await;
}

async fn selekt(fixture: &Fixture) -> String {
    fixture.text("SELEKT").await.unwrap_err().to_string()
}

#[tokio::test]
async fn only_so_many_queries_are_remembered() {
    let fixture = Fixture::empty(QueryConfig { queries_kept: 3, ..QueryConfig::default() }).await;
    for n in 0..10 {
        fixture.text(&format!("SELECT {n}")).await.unwrap();
    }
    check(&fixture, "SELECT text FROM system.queries WHERE state = 'done'", "SELECT 7\nSELECT 8\nSELECT 9")
        .await;
}

/// Everything that any table says to a tenant, asked after both have written and asked.
#[tokio::test]
async fn nothing_of_another_tenant() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenants = ["acme", "umbrella"].map(|name| Tenant::new(name).unwrap());
    for tenant in &tenants {
        let log = format!(
            r#"{{"time":1700000000000000000,"service":"{tenant}","stream":"{{}}","body":"of {tenant}"}}"#
        );
        fixture.append_rows(tenant, Kind::Logs, &[log]).await;
        fixture
            .append_samples(tenant, [format!("gauge only_{tenant}{{a=\"{tenant}\"}} 1 1700000000000")])
            .await;
        fixture.store.flush().await.unwrap();
        fixture.rows(tenant, &format!("SELECT '{tenant}', * FROM logs")).await.unwrap();
    }
    let names = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'system' ORDER BY 1";
    let tables = print(&fixture.rows(&tenants[0], names).await.unwrap());
    assert_eq!(
        tables,
        "caches\ncardinality\nfiles\nlabel_values\nqueries\nslow_queries\ntables\nwal\nwal_totals"
    );
    for (tenant, other) in [(&tenants[0], &tenants[1]), (&tenants[1], &tenants[0])] {
        let mut said = String::new();
        for table in tables.lines() {
            said += &print(&fixture.rows(tenant, &format!("SELECT * FROM system.{table}")).await.unwrap());
        }
        assert!(said.contains(tenant.as_str()) && !said.contains(other.as_str()), "{tenant}:\n{said}");
    }
    let nobody = Tenant::new("nobody").unwrap();
    for table in ["files", "cardinality", "label_values"] {
        let rows = fixture.rows(&nobody, &format!("SELECT count(*) FROM system.{table}")).await.unwrap();
        assert_eq!(print(&rows), "0", "{table}");
    }
}

/// What is listed can be described, and a name that is nearly right is offered.
#[tokio::test]
async fn names_show_up() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let first = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'system' AND table_name = 'wal' ORDER BY ordinal_position LIMIT 2";
    check(&fixture, first, "segment | Utf8\nactive | Boolean").await;
    assert!(fixture.text("SHOW COLUMNS FROM system.files").await.unwrap().contains("metric_id_min"));
    assert!(fixture.text("DESCRIBE system.tables").await.unwrap().contains("watermark_record"));
    assert!(fixture.text("SHOW TABLES").await.unwrap().contains("label_values"));
    let error = fixture.text("SELECT * FROM system.table").await.unwrap_err();
    assert!(error.to_string().contains("did you mean system.tables?"), "{error}");
}
