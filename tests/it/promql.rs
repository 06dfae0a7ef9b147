//! Upstream's scripts through the whole product: remote write in, HTTP out.
//!
//! `PROMQLTEST_DIR` names another folder of scripts. The server's configuration lifts what the
//! scripts go beyond: samples from the epoch on, in any order.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use isinglass_promqltest::http::{Client, HttpBackend};
use isinglass_promqltest::report::{Failures, Summary};
use isinglass_promqltest::{run_file, run_folder};

use crate::harness::Server;

fn folder() -> PathBuf {
    match std::env::var_os("PROMQLTEST_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/promql"),
    }
}

#[test]
fn upstreams_scripts_pass_over_http() {
    let server = Server::start_with("");
    let base = format!("http://{}", server.addresses().http);
    let files = AtomicU32::new(0);
    let backend = || {
        let prefix = format!("scripts-{}", files.fetch_add(1, Ordering::Relaxed));
        HttpBackend::with_tenants(Client::new(base.clone()), prefix).unwrap()
    };
    let reports = match std::env::var("PROMQLTEST_FILE") {
        Ok(file) => {
            let (file, line) = file.split_once(':').unwrap_or((&file, ""));
            vec![run_file(&folder().join(file), &mut backend(), line.parse().ok())]
        }
        Err(_) => run_folder(&folder(), backend),
    };
    println!("{}", Summary(&reports));
    let failed: usize = reports.iter().map(|report| report.failed).sum();
    let passed: usize = reports.iter().map(|report| report.passed).sum();
    assert!(passed > 0 && failed == 0, "{}", Failures(&reports));
}
