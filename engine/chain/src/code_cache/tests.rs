use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::builtin;
use crate::engine::{Sandbox, Settings};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("isinglass-code-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn entries(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX)).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

const DIGEST: [u8; 32] = [7; 32];

fn compiled(engine: &Engine) -> Component {
    Component::from_binary(engine, builtin::component("rate-limit").unwrap()).unwrap()
}

#[test]
fn what_was_kept_is_found_again_and_by_nobody_else() {
    let folder = Folder::new();
    let engine = Sandbox::new(1, Settings::of([])).unwrap().engine;
    let cache = CodeCache::open(&folder.0).unwrap();
    assert!(cache.get(&engine, &DIGEST).is_none());
    cache.put(&engine, &DIGEST, &compiled(&engine)).unwrap();
    assert!(cache.get(&engine, &DIGEST).is_some());
    assert!(cache.get(&engine, &[8; 32]).is_none(), "another component");
    let again = CodeCache::open(&folder.0).unwrap();
    assert!(again.get(&engine, &DIGEST).is_some(), "another process");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.0.join("secret"))), (0o700, 0o600));
    let mut other = again.clone();
    other.secret[0] ^= 1;
    assert!(other.get(&engine, &DIGEST).is_none(), "a foreign entry");
}

#[test]
fn an_entry_under_another_name_is_not_believed() {
    let folder = Folder::new();
    let engine = Sandbox::new(1, Settings::of([])).unwrap().engine;
    let cache = CodeCache::open(&folder.0).unwrap();
    cache.put(&engine, &DIGEST, &compiled(&engine)).unwrap();
    let other = cache.path(&key(&engine, &[8; 32]));
    fs::copy(&folder.entries()[0], &other).unwrap();
    assert!(cache.get(&engine, &[8; 32]).is_none());
}

#[test]
fn damage_is_noticed_and_repaired() {
    let folder = Folder::new();
    let engine = Sandbox::new(1, Settings::of([])).unwrap().engine;
    let cache = CodeCache::open(&folder.0).unwrap();
    cache.put(&engine, &DIGEST, &compiled(&engine)).unwrap();
    let path = folder.entries().remove(0);
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert!(cache.get(&engine, &DIGEST).is_none(), "{} bytes", bytes.len());
    };
    for at in [0, 8, 40, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        check(&damaged);
    }
    for bytes in [0, 7, 8, 39, 40, whole.len() - 1] {
        check(&whole[..bytes]);
    }
    cache.put(&engine, &DIGEST, &compiled(&engine)).unwrap();
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
    assert!(cache.get(&engine, &DIGEST).is_some());
}

/// `docs/formats/plugin-code.md`, byte by byte.
#[test]
fn the_layout_is_as_documented() {
    let folder = Folder::new();
    let engine = Sandbox::new(1, Settings::of([])).unwrap().engine;
    let cache = CodeCache::open(&folder.0).unwrap();
    let component = compiled(&engine);
    cache.put(&engine, &DIGEST, &component).unwrap();
    let bytes = fs::read(&folder.entries()[0]).unwrap();
    assert_eq!(&bytes[..8], b"ISGCODE1");
    assert_eq!(bytes[8..40], cache.mac(&key(&engine, &DIGEST), &bytes[40..]));
    assert_eq!(bytes[40..], component.serialize().unwrap());
}

/// Key and text of RFC 4231, test case 2, with zeros after: what Python's `hmac` says of them.
#[test]
fn the_mac_is_hmac_sha256() {
    let mut cache = CodeCache { folder: PathBuf::new(), secret: [0; 32] };
    cache.secret[..4].copy_from_slice(b"Jefe");
    let mac = cache.mac(b"what do ya want for nothing?\0\0\0\0", b"");
    assert_eq!(hex(&mac), "733e03185f9a9dcc4df0c2beeeacb82f0db51073b56011b0654070290b5f8d43");
}

#[test]
fn a_folder_that_others_may_write_is_refused() {
    let folder = Folder::new();
    drop(CodeCache::open(&folder.0).unwrap());
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).unwrap();
    let error = CodeCache::open(&folder.0).unwrap_err().to_string();
    assert!(error.contains("can be written by others"), "{error}");
}

#[test]
fn a_broken_secret_is_replaced_and_old_entries_are_foreign() {
    let folder = Folder::new();
    let engine = Sandbox::new(1, Settings::of([])).unwrap().engine;
    CodeCache::open(&folder.0).unwrap().put(&engine, &DIGEST, &compiled(&engine)).unwrap();
    fs::write(folder.0.join("secret"), b"short").unwrap();
    let cache = CodeCache::open(&folder.0).unwrap();
    assert!(cache.get(&engine, &DIGEST).is_none());
    cache.put(&engine, &DIGEST, &compiled(&engine)).unwrap();
    assert!(cache.get(&engine, &DIGEST).is_some());
    assert_eq!(folder.entries().len(), 1);
}
