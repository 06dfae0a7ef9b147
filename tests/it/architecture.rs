//! Who knows whom, and where versions and features stand.
//!
//! The table is data (`architecture.toml`); the facts come from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::harness::root;

const PREFIX: &str = "isinglass-";

#[derive(Debug, Deserialize)]
struct Architecture {
    crates: BTreeMap<String, Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    uses: BTreeSet<String>,
    never: Vec<String>,
    never_reaches: Vec<String>,
}

/// What `cargo metadata` prints, as far as the tests ask. Read here because the
/// crate that reads all of it turns on a feature of `serde_json` that the binary
/// does without: `cargo run` and the tests would each build half the
/// dependencies for themselves.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    manifest_path: PathBuf,
    dependencies: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Link>,
}

#[derive(Debug, Deserialize)]
struct Link {
    pkg: String,
    dep_kinds: Vec<LinkKind>,
}

/// `kind` is absent for what is linked, `dev` or `build` for the rest.
#[derive(Debug, Deserialize)]
struct LinkKind {
    kind: Option<String>,
}

impl Metadata {
    fn workspace_packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

fn metadata() -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn architecture() -> Architecture {
    toml::from_str(include_str!("architecture.toml")).unwrap()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Names of the packages that the package `from` links, itself not among them.
fn reached<'a>(metadata: &'a Metadata, from: &'a str) -> BTreeSet<&'a str> {
    let nodes: BTreeMap<_, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut seen = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(id) = todo.pop() {
        for dependency in &nodes[id].deps {
            let linked = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            if linked && seen.insert(dependency.pkg.as_str()) {
                todo.push(&dependency.pkg);
            }
        }
    }
    let reached = metadata.packages.iter().filter(|package| seen.contains(package.id.as_str()));
    reached.map(|package| package.name.as_str()).collect()
}

fn named(package: &Package) -> impl Iterator<Item = &str> {
    let linked = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
    linked.map(|dependency| dependency.name.as_str())
}

#[test]
fn crates_know_only_what_the_table_allows() {
    let (metadata, architecture) = (metadata(), architecture());
    let mut faults = Vec::new();
    let members: BTreeMap<_, _> = metadata
        .workspace_packages()
        .filter_map(|package| Some((package.name.strip_prefix(PREFIX)?.to_owned(), package)))
        .collect();
    let known: BTreeSet<_> = members.keys().collect();
    assert_eq!(known, architecture.crates.keys().collect(), "the table and the workspace differ");

    for (name, package) in &members {
        let rule = &architecture.crates[name];
        for dependency in named(package) {
            match dependency.strip_prefix(PREFIX) {
                Some(used) if !rule.uses.contains(used) => faults.push(format!("{name} uses {used}")),
                Some(_) => {}
                None if rule.never.iter().any(|pattern| matches(pattern, dependency)) => {
                    faults.push(format!("{name} names {dependency}"));
                }
                None => {}
            }
        }
        for dependency in reached(&metadata, &package.id) {
            if rule.never_reaches.iter().any(|pattern| matches(pattern, dependency)) {
                faults.push(format!("{name} reaches {dependency}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn heavy_dependencies_are_there_once() {
    let metadata = metadata();
    for heavy in
        ["arrow-array", "parquet", "datafusion", "object_store", "wasmtime", "tonic", "axum", "hyper"]
    {
        let versions: Vec<_> =
            metadata.packages.iter().filter(|p| p.name == heavy).map(|p| p.version.as_str()).collect();
        assert_eq!(versions.len(), 1, "{heavy}: {versions:?}");
    }
}

#[test]
fn versions_and_features_stand_in_the_root_manifest() {
    let root = root();
    let mut faults = Vec::new();
    for package in metadata().workspace_packages() {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in dependencies {
                let only_workspace = value.as_table().is_some_and(|table| {
                    table.len() == 1 && table.get("workspace").and_then(toml::Value::as_bool) == Some(true)
                });
                if !only_workspace {
                    let path = &package.manifest_path;
                    let path = path.strip_prefix(&root).unwrap_or(path);
                    faults.push(format!("{}: {section}.{name}", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "not `workspace = true` alone: {faults:#?}");
}

#[test]
fn unify_names_every_external_dependency() {
    let root = root();
    let read =
        |path: &str| -> toml::Table { std::fs::read_to_string(root.join(path)).unwrap().parse().unwrap() };
    let workspace = read("Cargo.toml");
    let all = workspace["workspace"]["dependencies"].as_table().unwrap();
    let external: BTreeSet<_> = all.keys().filter(|name| !name.starts_with(PREFIX)).cloned().collect();
    let unify: BTreeSet<_> =
        read("engine/unify/Cargo.toml")["dependencies"].as_table().unwrap().keys().cloned().collect();
    assert_eq!(unify, external);
}
