//! Data folders that earlier releases wrote, under the binary of this one.

use std::path::Path;

use isinglass_testkit::load;

use crate::harness::{Server, now_nanos, root};

/// Bodies of the logs in every folder, flushed, merged, and in the log alone.
const BODIES: [&str; 9] = ["a1", "a2", "b1", "b2", "c1", "line", "w1", "w2", "w3"];

async fn check(folder: &Path, spans: u64) {
    let mut server = Server::start_on(folder);
    for lives in 0..3_u64 {
        let acme = server.client().tenant("acme");
        let rows = acme.sql("select body from logs order by body").await;
        let bodies: Vec<_> = rows.iter().map(|row| row["body"].as_str().unwrap()).collect();
        assert_eq!(bodies, BODIES, "{}", folder.display());
        assert_eq!(acme.count("spans").await, spans + lives * 10);
        assert_eq!(acme.number("select value from metrics.up where value is not null").await, 1.0);
        let other = server.client().tenant("other*one");
        assert_eq!(other.count("metrics.up where value = 7.25").await, 2);
        acme.otlp("traces", load::traces(lives, 10, now_nanos() - 1_000_000_000)).await.ok();
        if lives == 1 {
            acme.flush().await;
        }
        server.kill();
        server.start_again();
    }
    assert!(!server.data_dir().join("quarantine").exists() || empty(&server.data_dir().join("quarantine")));
    assert_eq!(server.panics(), Vec::<String>::new());
}

fn empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn folders_of_every_version_are_served_written_to_and_survive_kills() {
    for (version, spans) in [("v1", 0), ("v2", 4)] {
        check(&root().join("tests/golden").join(version), spans).await;
    }
}
