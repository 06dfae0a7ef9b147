//! The files of `../data`.

use std::path::PathBuf;

use crate::promtool;

/// Every file that ends in `.test.yml`, so that none is forgotten.
#[tokio::test]
async fn unit_tests_of_rules() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(".test.yml")).collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let mut failures = Vec::new();
    for file in &files {
        failures.extend(promtool::run(file).await.err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
