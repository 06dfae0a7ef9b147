use std::path::PathBuf;

use isinglass_model::Tenant;
use isinglass_model::clock::ManualClock;
use serde_json::{Value, json};

use super::*;
use crate::chain::tests::spans;
use crate::config::World;

fn component(name: &str) -> Vec<u8> {
    let path = format!("{}/../../plugins/dist/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(PathBuf::from(path)).unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(1_700_000_000_000_000_000))
}

fn load(dir: &Path) -> Result<LiveChain, ChainError> {
    let config = ChainConfig { bindings: Vec::new(), instances_max: 1, ..ChainConfig::default() };
    LiveChain::load(config, dir, clock())
}

fn deny(config: Value) -> Binding {
    Binding::builtin("deny", World::Validator, config)
}

fn names(chains: &LiveChain, tenant: &str) -> Vec<String> {
    let bound = chains.current().bound(&Tenant::new(tenant).unwrap());
    bound.into_iter().map(|bound| bound.stats.binding).collect()
}

#[test]
fn what_is_installed_is_used_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let chains = load(dir.path()).unwrap();
    let before = chains.current();
    let binding = Binding { for_tenants: vec!["acme".into()], ..deny(json!({ "services": ["a"] })) };
    chains.install(binding, &component("examples/deny-service")).unwrap();
    assert_eq!((names(&chains, "acme"), names(&chains, "other")), (vec!["deny".to_owned()], vec![]));
    assert!(
        before.bound(&Tenant::new("acme").unwrap()).is_empty(),
        "who began before goes on with its chain"
    );
    // A restart.
    drop((chains, before));
    let chains = load(dir.path()).unwrap();
    assert_eq!(names(&chains, "acme"), ["deny"]);
    chains.remove("deny", false).unwrap();
    assert_eq!(names(&chains, "acme"), [] as [&str; 0]);
    assert!(matches!(chains.remove("deny", false), Err(ChainError::NotInstalled { .. })));
    assert_eq!(names(&load(dir.path()).unwrap(), "acme"), [] as [&str; 0]);
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let chains = load(dir.path()).unwrap();
    chains.install(deny(json!({ "services": ["a"] })), &component("examples/deny-service")).unwrap();
    let installed = chains.installed();
    let check = |binding: Binding, bytes: &[u8], want: &str| {
        let error = chains.install(binding, bytes).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(chains.installed(), installed);
        assert_eq!(names(&chains, "t"), ["deny"]);
    };
    check(deny(json!({})), b"nothing", "not a usable component");
    check(deny(json!({ "service": ["a"] })), &component("examples/deny-service"), "configuration refused");
    check(deny(json!({})), &component("examples/log-counts"), "a validator must export");
    check(Binding { name: "De Ny".into(), ..deny(json!({})) }, &component("validate"), "its name must be");
    let files = std::fs::read_dir(dir.path().join("plugins")).unwrap().count();
    assert_eq!(files, 2, "the list and one component");
}

#[test]
fn the_version_before_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let chains = load(dir.path()).unwrap();
    chains.install(deny(json!({ "services": ["a"] })), &component("examples/deny-service")).unwrap();
    assert!(matches!(chains.roll_back("deny"), Err(ChainError::NoPrevious { .. })));
    chains.install(deny(json!({})), &component("validate")).unwrap();
    let plugin = || chains.current().stats()[0].plugin.clone();
    assert!(plugin().starts_with("validate@"));
    chains.roll_back("deny").unwrap();
    assert!(plugin().starts_with("deny-service@"), "{}", plugin());
    assert_eq!(chains.installed()[0].version.binding.config, json!({ "services": ["a"] }));
}

#[test]
fn a_component_that_was_changed_on_the_disk_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let chains = load(dir.path()).unwrap();
    let installed =
        chains.install(deny(json!({ "services": ["a"] })), &component("examples/deny-service")).unwrap();
    drop(chains);
    let path = InstalledFolder::of(dir.path()).component(&installed.version.digest);
    std::fs::write(path, component("validate")).unwrap();
    let error = load(dir.path()).unwrap_err();
    assert!(matches!(&error, ChainError::Digest { binding, .. } if binding == "deny"), "{error}");
}

/// A tenant that has emptied its bucket does not get a full one because somebody reloads.
#[test]
fn a_reload_keeps_what_the_host_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let config = |rate: u32| {
        let limits = json!({ "bytes_per_second": rate, "bytes_burst": 100 });
        let limiter = Binding::builtin("rate-limit", World::Limiter, limits);
        ChainConfig { bindings: vec![limiter], instances_max: 1, ..ChainConfig::default() }
    };
    let chains = LiveChain::load(config(1), dir.path(), clock()).unwrap();
    let tenant = Tenant::default();
    let admit = || {
        let signal = isinglass_model::kind::Signal::Logs;
        chains.current().admit(&tenant, signal, 80) == isinglass_model::verdict::Decision::Allow
    };
    assert!(admit() && !admit());
    let calls = chains.current().stats()[0].calls;
    chains.reconfigure(config(1)).unwrap();
    assert!(!admit());
    assert!(chains.current().stats()[0].calls > calls);
    let bad = ChainConfig { buckets_max: 0, ..config(1) };
    assert!(chains.reconfigure(bad).is_err() && !admit());
}

/// Five failures within ten seconds open the breaker of a tenant.
#[test]
fn a_new_version_that_fails_goes_and_the_one_before_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000_000_000));
    let config = ChainConfig { bindings: Vec::new(), instances_max: 1, ..ChainConfig::default() };
    let chains = LiveChain::load(config, dir.path(), Arc::<ManualClock>::clone(&clock)).unwrap();
    let fail = || {
        for _ in 0..6 {
            chains.current().validate(&Tenant::default(), &spans(3), clock.now_unix_nanos());
        }
    };
    let plugin = || chains.current().stats()[0].plugin.clone();
    let bad = || deny(json!({ "does": "trap" }));
    let hostile = component("test/hostile-validator");
    // Without another before it there is nothing to go back to.
    chains.install(bad(), &hostile).unwrap();
    fail();
    assert_eq!(chains.roll_back_failing(), [] as [&str; 0]);
    chains.remove("deny", false).unwrap();

    chains.install(deny(json!({ "services": ["a"] })), &component("examples/deny-service")).unwrap();
    chains.install(bad(), &hostile).unwrap();
    assert_eq!(chains.roll_back_failing(), [] as [&str; 0], "it has not failed yet");
    fail();
    assert_eq!(chains.roll_back_failing(), ["deny"]);
    assert!(plugin().starts_with("deny-service@") && chains.rolled_back() == 1, "{}", plugin());
    assert_eq!(chains.roll_back_failing(), [] as [&str; 0]);

    // One that did well for long is left alone, as others are.
    chains.install(bad(), &hostile).unwrap();
    clock.advance(NEW);
    fail();
    assert_eq!(chains.roll_back_failing(), [] as [&str; 0]);
    assert!(plugin().starts_with("hostile"), "{}", plugin());
}

#[test]
fn one_is_tried_out_and_then_enforced() {
    let dir = tempfile::tempdir().unwrap();
    let chains = load(dir.path()).unwrap();
    let tenant = Tenant::new("t").unwrap();
    let binding = deny(json!({ "services": ["service-1"] }));
    let refused = |chains: &LiveChain| {
        let verdicts = chains.current().validate(&tenant, &spans(9), 0);
        verdicts.rows.iter().filter(|row| **row > 0).count()
    };
    let bytes = component("examples/deny-service");
    chains.install(Binding { shadow: true, ..binding.clone() }, &bytes).unwrap();
    let digest = chains.current().validators_digest().to_owned();
    assert_eq!(refused(&chains), 0);
    let chains = load(dir.path()).unwrap();
    assert!(chains.current().has_shadows(&tenant, isinglass_model::kind::Signal::Traces), "after a restart");
    assert_eq!(chains.current().validators_digest(), digest, "label sets are not judged again");
    chains.promote("deny").unwrap();
    assert!(!chains.current().has_shadows(&tenant, isinglass_model::kind::Signal::Traces));
    assert_eq!(refused(&chains), 3);
    assert!(matches!(chains.promote("deny"), Err(ChainError::NotTriedOut { .. })));
    // One that is enforced is not found as one that is tried out, nor the other way round.
    assert!(matches!(chains.remove("deny", true), Err(ChainError::NotTriedOut { .. })));
    chains.remove("deny", false).unwrap();
    chains.install(Binding { shadow: true, ..binding.clone() }, &bytes).unwrap();
    chains.install(binding, &bytes).unwrap();
    assert_eq!(chains.installed().len(), 1, "the same bytes are tried out no longer");
}
