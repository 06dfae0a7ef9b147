//! Upstream's scripts through the engine, on samples in memory.
//!
//! `PROMQLTEST_DIR` names another folder of scripts.

use std::path::PathBuf;

use isinglass_promqltest::memory::MemoryBackend;
use isinglass_promqltest::report::{Failures, Summary};
use isinglass_promqltest::{run_file, run_folder};

fn folder() -> PathBuf {
    match std::env::var_os("PROMQLTEST_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/promql"),
    }
}

#[test]
fn upstreams_scripts_pass() {
    // One file, or one line of it, to look into a failure.
    let reports = match std::env::var("PROMQLTEST_FILE") {
        Ok(file) => {
            let (file, line) = file.split_once(':').unwrap_or((&file, ""));
            vec![run_file(&folder().join(file), &mut MemoryBackend::default(), line.parse().ok())]
        }
        Err(_) => run_folder(&folder(), MemoryBackend::default),
    };
    println!("{}", Summary(&reports));
    assert!(!reports.is_empty(), "no scripts");
    let failed: usize = reports.iter().map(|report| report.failed).sum();
    assert_eq!(failed, 0, "{}", Failures(&reports));
}
