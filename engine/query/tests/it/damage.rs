//! Files that are not what was written.

use std::path::{Path, PathBuf};

use isinglass_model::clock::SystemClock;
use isinglass_model::{Clock as _, ErrorKind, Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

const FILES: usize = 100;

/// The only Parquet file of a table.
fn file_of(folder: &Path, tenant: &Tenant) -> PathBuf {
    let folder = folder.join("tables").join(tenant.as_str()).join("logs");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// One bit of each file, another place in each: footers, pages, and what no query needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_turned_bit_is_never_an_answer() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenants: Vec<Tenant> = (0..FILES).map(|at| Tenant::new(&format!("t{at}")).unwrap()).collect();
    // Old rows would be merged anew, which reads the files too.
    let now = SystemClock::new().now_unix_nanos();
    for tenant in &tenants {
        let line = format!(r#"{{"time":{now},"service":"s","stream":"{{}}","body":"of {tenant}"}}"#);
        fixture.append_rows(tenant, Kind::Logs, &[line]).await;
    }
    fixture.store.flush().await.unwrap();
    for (at, tenant) in tenants.iter().enumerate() {
        let path = file_of(fixture.folder.path(), tenant);
        let right = std::fs::read(&path).unwrap();
        let mut wrong = right.clone();
        wrong[at * right.len() / FILES] ^= 1 << (at % 8);
        std::fs::write(&path, wrong).unwrap();
        let ask = || fixture.rows(tenant, "SELECT body, service FROM logs");
        let error = ask().await.unwrap_err();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(error.kind() == ErrorKind::Internal && error.to_string().contains(name), "{error}");
        std::fs::write(&path, right).unwrap();
        assert_eq!(print(&ask().await.unwrap()), format!("of {tenant} | s"));
    }
    assert_eq!(fixture.store.stats().damaged_reads, FILES as u64);
}
