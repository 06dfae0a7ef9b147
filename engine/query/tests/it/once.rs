//! Each row once, whatever is flushed meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use isinglass_model::{Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

/// A query that starts after an acknowledgement finds exactly what was
/// acknowledged, in all tables of one query alike.
#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_during_flushes() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::default();
    let done = AtomicBool::new(false);
    let flushing = async {
        while !done.load(Ordering::Relaxed) {
            fixture.store.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let asking = async {
        for n in 1..=30_u64 {
            let line = format!(r#"{{"time":{n},"service":"s{n}","stream":"{{}}","body":"line {n}"}}"#);
            fixture.append_rows(&tenant, Kind::Logs, &[line]).await;
            let samples = (0..3).map(|s| format!("gauge load{{s=\"{s}\"}} {n} {}", 1_700_000_000_000 + n));
            fixture.append_samples(&tenant, samples).await;
            let sql = "SELECT (SELECT count(*) FROM logs) a, (SELECT count(DISTINCT body) FROM logs) b, \
                       (SELECT count(*) FROM samples) c, (SELECT sum(value) FROM metrics.load WHERE s = '1') d";
            let got = print(&fixture.rows(&tenant, sql).await.unwrap());
            assert_eq!(got, format!("{n} | {n} | {} | {}.0", 3 * n, n * (n + 1) / 2));
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(flushing, asking);
}
