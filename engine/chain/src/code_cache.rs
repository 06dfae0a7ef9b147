//! Machine code of components, kept on disk: compiling a large one takes minutes, reading it
//! back milliseconds.
//!
//! What is here is derived and may be deleted at any time; the format is described in
//! `docs/formats/plugin-code.md`. Machine code runs outside of every sandbox, so an entry is
//! believed only with a MAC under a secret that lies beside it and that nobody else can read.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::component::hex;

/// Its name within a data folder.
pub const CODE_FOLDER: &str = "plugin-code";

const MAGIC: &[u8; 8] = b"ISGCODE1";
const MAC_BYTES: usize = 32;
const SECRET_BYTES: usize = 32;
/// The most that an entry may have; code is some three times its component.
const ENTRY_BYTES_MAX: u64 = 512 << 20;
/// The most that all entries together may have.
const FOLDER_BYTES_MAX: u64 = 1 << 30;
const SUFFIX: &str = "code";

/// A folder of compiled components.
#[derive(Debug, Clone)]
pub(crate) struct CodeCache {
    folder: PathBuf,
    secret: [u8; SECRET_BYTES],
}

impl CodeCache {
    /// Opens the folder, which is made if it is absent. Nobody else may write into it.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let found = fs::metadata(folder)?;
        if found.mode() & 0o022 != 0 || found.uid() != rustix::process::geteuid().as_raw() {
            let text = format!("{} can be written by others; chmod 700 it", folder.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(Self { folder: folder.to_owned(), secret: secret(&folder.join("secret"))? })
    }

    /// The code of a component, if it is here and whole. What is damaged or foreign is not.
    pub(crate) fn get(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let key = key(engine, digest);
        let bytes = read(&self.path(&key)).ok()?;
        let code = self.opened(&key, &bytes)?;
        // SAFETY: the MAC says that this process, or another one of the same user with the secret
        // of this folder, wrote exactly these bytes under this key, and it wrote what
        // `Component::serialize` gave. The key holds wasmtime's version and configuration.
        unsafe { Component::deserialize(engine, code) }.ok()
    }

    /// Keeps the code of a component.
    pub(crate) fn put(&self, engine: &Engine, digest: &[u8; 32], component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(|error| io::Error::other(format!("{error:#}")))?;
        if code.len() as u64 > ENTRY_BYTES_MAX {
            return Ok(());
        }
        self.make_room(code.len() as u64)?;
        let key = key(engine, digest);
        let path = self.path(&key);
        // Two processes that write the same entry at once may spoil it, which its MAC then tells.
        let draft = path.with_extension("draft");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        let written =
            [&MAGIC[..], &self.mac(&key, &code), &code].into_iter().try_for_each(|part| file.write_all(part));
        written.and_then(|()| fs::rename(&draft, &path)).inspect_err(|_| drop(fs::remove_file(&draft)))
    }

    fn path(&self, key: &[u8; 32]) -> PathBuf {
        self.folder.join(hex(key)).with_extension(SUFFIX)
    }

    fn opened<'a>(&self, key: &[u8; 32], bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (mac, code) = bytes.strip_prefix(MAGIC)?.split_at_checked(MAC_BYTES)?;
        let wanted = self.mac(key, code);
        // All bytes are looked at, so that the time tells nothing.
        let differ = mac.iter().zip(wanted).fold(0, |all, (got, wanted)| all | (got ^ wanted));
        (differ == 0).then_some(code)
    }

    /// HMAC-SHA256 (RFC 2104) of the key and the code.
    fn mac(&self, key: &[u8; 32], code: &[u8]) -> [u8; MAC_BYTES] {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            block.iter_mut().zip(self.secret).for_each(|(at, secret)| *at ^= secret);
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(key).chain_update(code).finalize();
        Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
    }

    /// Removes the entries that were written first, until `bytes` more fit.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if entry.path().extension().is_some_and(|suffix| suffix == SUFFIX) {
                entries.push((found.modified()?, found.len(), entry.path()));
            }
        }
        entries.sort_unstable();
        let mut total = entries.iter().map(|(_, bytes, _)| bytes).sum::<u64>() + bytes;
        for (_, bytes, path) in entries {
            if total <= FOLDER_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

/// Of what the code depends on: the component, wasmtime and how it is set up, the machine.
fn key(engine: &Engine, digest: &[u8; 32]) -> [u8; 32] {
    struct Bytes(Sha256);
    impl Hasher for Bytes {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }
    let mut bytes = Bytes(Sha256::new().chain_update(digest));
    engine.precompile_compatibility_hash().hash(&mut bytes);
    bytes.0.finalize().into()
}

/// The secret of the folder. One that is absent or cut off is made anew; entries under an old one
/// are not believed any more.
fn secret(path: &Path) -> io::Result<[u8; SECRET_BYTES]> {
    match known_secret(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => fs::remove_file(path)?,
        result => return result,
    }
    let mut secret = [0; SECRET_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    drop(fs::remove_file(&draft));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(&secret)?;
    // Of several processes that begin together, the secret of the first one counts.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => known_secret(path),
        result => result.map(|()| secret),
    }
}

fn known_secret(path: &Path) -> io::Result<[u8; SECRET_BYTES]> {
    let bytes = read(path)?;
    <[u8; SECRET_BYTES]>::try_from(&bytes[..]).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// A regular file of this user, not larger than an entry may be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > ENTRY_BYTES_MAX || found.uid() != rustix::process::geteuid().as_raw()
    {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
    file.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
