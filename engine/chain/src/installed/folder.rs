//! The folder: components, and the list of what is installed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{FORMAT, InstalledList, file_name};
use crate::component::hex;
use crate::error::ChainError;

const LIST: &str = "installed.json";
/// A list of so many bytes is none that was written here.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// The folder of installed plugins. One process uses it at a time: it lies in a data folder that
/// is locked.
#[derive(Debug, Clone)]
pub struct InstalledFolder(PathBuf);

impl InstalledFolder {
    /// In a data folder; it is made when something is installed.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("plugins"))
    }

    /// Path of a component.
    pub fn component(&self, digest: &str) -> PathBuf {
        self.0.join(file_name(digest))
    }

    /// What is installed; nothing where there is no list.
    pub fn read(&self) -> Result<InstalledList, ChainError> {
        let path = self.0.join(LIST);
        let failed = |source| ChainError::Installed { path: path.clone(), source };
        let text = match read_bounded(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(InstalledList::default()),
            Err(error) => return Err(failed(error)),
        };
        let list: InstalledList = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        if list.format != FORMAT {
            let message = format!("it has format {}, and {FORMAT} is known", list.format);
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Ok(list)
    }

    /// Keeps a component and says what its hash is. It is synced when this returns.
    pub fn keep(&self, component: &[u8]) -> Result<String, ChainError> {
        let digest = hex(&Sha256::digest(component));
        let path = self.component(&digest);
        let failed = |source| ChainError::Installed { path: path.clone(), source };
        fs::create_dir_all(&self.0).map_err(failed)?;
        // One that is there may be damaged, and is replaced.
        self.replace(&path, component).map_err(failed)?;
        Ok(digest)
    }

    /// Replaces the list, and then deletes components that it does not name.
    pub fn write(&self, list: &InstalledList) -> Result<(), ChainError> {
        let path = self.0.join(LIST);
        let failed = |source| ChainError::Installed { path: path.clone(), source };
        fs::create_dir_all(&self.0).map_err(failed)?;
        let mut text = serde_json::to_vec_pretty(list).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.replace(&path, &text).map_err(failed)?;
        if let Err(error) = self.forget_others(list) {
            tracing::warn!(%error, folder = %self.0.display(), "components that nobody uses were not deleted");
        }
        Ok(())
    }

    /// Written aside, synced and renamed: a reader sees all of it or what was there.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let aside = path.with_extension("tmp");
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        // Both the file's name and, the first time, the folder's.
        File::open(&self.0)?.sync_all()?;
        self.0.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    fn forget_others(&self, list: &InstalledList) -> io::Result<()> {
        let named: BTreeSet<_> = list.plugins.iter().flat_map(|one| one.digests()).map(file_name).collect();
        for entry in fs::read_dir(&self.0)? {
            let name = PathBuf::from(entry?.file_name());
            let ours = name.extension().is_some_and(|extension| extension == "wasm" || extension == "tmp");
            if ours && !named.contains(&name) {
                fs::remove_file(self.0.join(name))?;
            }
        }
        Ok(())
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > LIST_BYTES_MAX {
        let message = format!("it has {bytes} bytes, the limit is {LIST_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    fs::read(path)
}
