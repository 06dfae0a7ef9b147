//! The files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use isinglass_promqltest::grafana::Dashboard;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// A file of `deploy/grafana`.
pub(crate) fn text(name: &str) -> String {
    read(&repository().join("deploy/grafana").join(name))
}

/// What the server says of its metrics.
pub(crate) fn documentation() -> String {
    read(&repository().join("docs/formats/metrics.md"))
}

/// All dashboards with their file names, in the order of those.
pub(crate) fn dashboards() -> Vec<(String, Dashboard)> {
    let folder = repository().join("deploy/grafana/dashboards");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let parsed = files.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dashboard = Dashboard::parse(&read(&path)).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        (name, dashboard)
    });
    parsed.collect()
}

/// The metrics that may be named.
pub(crate) fn metrics() -> BTreeSet<String> {
    let text = text("metrics.txt");
    let names: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let set: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(set.len(), names.len(), "metrics.txt has a name twice");
    set
}
