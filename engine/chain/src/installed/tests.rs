use serde_json::json;

use super::*;
use crate::config::World;

fn version(name: &str, digest: &str, at: i64) -> Version {
    let binding = Binding {
        source: Source::File(file_name(digest)),
        for_tenants: vec!["acme".to_owned()],
        ..Binding::builtin(name, World::Validator, json!({ "services": ["a"] }))
    };
    Version { digest: digest.to_owned(), installed_unix_ms: at, binding }
}

#[test]
fn what_comes_in_the_place_of_another_can_go_back_once() {
    let list = InstalledList::default().with(version("a", "01", 1)).with(version("b", "02", 2));
    let list = list.with(version("a", "03", 3));
    let digest =
        |list: &InstalledList, name: &str| list.get(name, false).map(|one| one.version.digest.clone());
    assert_eq!((digest(&list, "a"), list.plugins.len()), (Some("03".to_owned()), 2));
    // The same bytes with another configuration are no new version.
    let again = list.with(version("a", "03", 4));
    assert_eq!(again.get("a", false).unwrap().previous, list.get("a", false).unwrap().previous);
    let back = again.rolled_back("a").unwrap();
    assert_eq!(digest(&back, "a"), Some("01".to_owned()));
    assert!(back.rolled_back("a").is_none() && back.rolled_back("x").is_none());
    assert!(back.without("x", false).is_none());
    assert_eq!(digest(&back.without("a", false).unwrap(), "a"), None);
}

#[test]
fn one_that_is_tried_out_stands_beside_the_one_of_its_name() {
    let tried = |digest: &str, at| {
        let version = version("a", digest, at);
        Version { binding: Binding { shadow: true, ..version.binding }, ..version }
    };
    let list = InstalledList::default().with(version("a", "01", 1)).with(tried("02", 2)).with(tried("03", 3));
    let digests = |list: &InstalledList| {
        [false, true].map(|shadow| list.get("a", shadow).map(|one| one.version.digest.clone()))
    };
    assert_eq!(digests(&list), [Some("01".to_owned()), Some("03".to_owned())]);
    assert_eq!(digests(&list.without("a", true).unwrap()), [Some("01".to_owned()), None]);
    // Another component in the place of the enforced one leaves the trial alone, the same ends it.
    assert_eq!(digests(&list.with(version("a", "04", 4)))[1], Some("03".to_owned()));
    let promoted = list.with(version("a", "03", 4));
    assert_eq!(digests(&promoted), [Some("03".to_owned()), None]);
    assert_eq!(digests(&promoted.rolled_back("a").unwrap())[0], Some("01".to_owned()));
}

#[test]
fn a_list_is_read_as_it_was_written_and_names_its_components() {
    let dir = tempfile::tempdir().unwrap();
    let folder = InstalledFolder::of(dir.path());
    assert_eq!(folder.read().unwrap(), InstalledList::default());
    let digests = [b"one".as_slice(), b"two", b"three"].map(|bytes| folder.keep(bytes).unwrap());
    let list = InstalledList::default().with(version("a", &digests[0], 1)).with(version("a", &digests[1], 2));
    folder.write(&list).unwrap();
    assert_eq!(folder.read().unwrap(), list);
    let there = digests.each_ref().map(|digest| folder.component(digest).exists());
    assert_eq!(there, [true, true, false], "what nobody names is deleted");
    assert_eq!(std::fs::read(folder.component(&digests[0])).unwrap(), b"one");
}

/// The list as the first release wrote it.
#[test]
fn the_list_of_an_earlier_release() {
    let dir = tempfile::tempdir().unwrap();
    let folder = InstalledFolder::of(dir.path());
    std::fs::create_dir(dir.path().join("plugins")).unwrap();
    let path = dir.path().join("plugins/installed.json");
    std::fs::write(&path, include_str!("testdata/installed-1.json")).unwrap();
    let list = folder.read().unwrap();
    let one = list.get("deny", false).unwrap();
    assert_eq!(
        (one.version.installed_unix_ms, one.version.binding.world),
        (1_700_000_000_000, World::Validator)
    );
    assert_eq!(one.version.binding.for_tenants, ["acme"]);
    assert_eq!(one.previous.as_ref().unwrap().digest, "0b".repeat(32));
    let config = list.behind(&ChainConfig::default(), &folder).unwrap();
    let binding = config.bindings.last().unwrap();
    assert_eq!(binding.source, Source::File(folder.component(&"0a".repeat(32))));
    assert_eq!(binding.digest, Some(format!("sha256:{}", "0a".repeat(32))));
}

#[test]
fn a_list_of_another_format_or_none_at_all_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let folder = InstalledFolder::of(dir.path());
    std::fs::create_dir(dir.path().join("plugins")).unwrap();
    let check = |text: &str, want: &str| {
        std::fs::write(dir.path().join("plugins/installed.json"), text).unwrap();
        let error = folder.read().unwrap_err().to_string();
        assert!(error.contains("installed.json") && error.contains(want), "{error}");
    };
    check(r#"{ "format": 2, "plugins": [] }"#, "format 2, and 1 is known");
    check(r#"{ "format": 1 }"#, "plugins");
    check("{", "EOF");
    check(r#"{ "format": 1, "plugins": [], "x": 1 }"#, "unknown field `x`");
}

#[test]
fn a_name_of_the_configuration_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let list = InstalledList::default().with(version("validate", "01", 1));
    let error = list.behind(&ChainConfig::default(), &InstalledFolder::of(dir.path())).unwrap_err();
    assert!(error.to_string().contains("a binding of the configuration has its name"), "{error}");
}
