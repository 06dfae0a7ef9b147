//! A folder of which it is known what the disk has of it.
//!
//! Changes are made to a real folder, so that all that reads it is the real thing, and
//! noted: which bytes of a file were synced, which names of a folder were. From the
//! notes another folder is made that is what a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Coin, Fuse, Lies, Operation, torn};
use crate::files::local::changes::{Changes, Writable};

/// The folder; clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    root: PathBuf,
    notes: Arc<Mutex<Notes>>,
    fuse: Arc<Mutex<Fuse>>,
    lies: Lies,
}

#[derive(Debug, Default, Clone)]
struct Notes {
    files: Vec<Bytes>,
    folders: BTreeMap<PathBuf, Names>,
}

#[derive(Debug, Default, Clone)]
struct Bytes {
    durable: Vec<u8>,
    volatile: Vec<u8>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Debug, Default, Clone)]
struct Names {
    durable: BTreeMap<String, Node>,
    volatile: BTreeMap<String, Node>,
    /// Renames since the last sync: both names change or none does.
    renames: Vec<(String, String)>,
}

impl Recorder {
    /// Of an empty folder that is there.
    pub(crate) fn new(root: &Path, fuse: Fuse, lies: Lies) -> Self {
        let root = root.canonicalize().unwrap();
        let notes = Notes { files: Vec::new(), folders: BTreeMap::from([(root.clone(), Names::default())]) };
        Self { root, notes: Arc::new(Mutex::new(notes)), fuse: Arc::new(Mutex::new(fuse)), lies }
    }

    /// Puts another fuse in, also for who writes to it already.
    pub(crate) fn plug(&self, fuse: &Fuse) {
        *self.fuse.lock() = fuse.clone();
    }

    /// The process was killed: a new one finds what was written, and the disk still
    /// lacks what was not synced.
    pub(crate) fn kill(&self, fuse: Fuse) -> Self {
        self.fuse.lock().blow();
        let notes = Arc::new(Mutex::new(self.notes.lock().clone()));
        Self { root: self.root.clone(), notes, fuse: Arc::new(Mutex::new(fuse)), lies: self.lies }
    }

    /// The power failed: what is left is made in `root`, an empty folder.
    pub(crate) fn cut_power(&self, root: &Path, fuse: Fuse, coin: &mut Coin) -> Self {
        self.fuse.lock().blow();
        let after = Self::new(root, fuse, self.lies);
        let notes = self.notes.lock();
        after.restore(&notes, &self.root, &after.root.clone(), coin);
        drop(notes);
        after
    }

    fn restore(&self, from: &Notes, old: &Path, new: &Path, coin: &mut Coin) {
        let Some(names) = from.folders.get(old) else { return };
        let mut kept = BTreeMap::new();
        for (name, node) in names.after_cut(coin) {
            let path = new.join(&name);
            match node {
                Node::Folder => {
                    std::fs::create_dir(&path).unwrap();
                    self.notes.lock().folders.insert(path.clone(), Names::default());
                    self.restore(from, &old.join(&name), &path, coin);
                    kept.insert(name, Node::Folder);
                }
                Node::File(at) => {
                    let bytes = torn(&from.files[at].durable, &from.files[at].volatile, coin);
                    std::fs::write(&path, &bytes).unwrap();
                    let mut notes = self.notes.lock();
                    notes.files.push(Bytes { durable: bytes.clone(), volatile: bytes });
                    kept.insert(name, Node::File(notes.files.len() - 1));
                }
            }
        }
        let names = Names { durable: kept.clone(), volatile: kept, renames: Vec::new() };
        self.notes.lock().folders.insert(new.to_owned(), names);
    }

    fn around<T>(
        &self,
        operation: Operation,
        path: &Path,
        deed: impl FnOnce(&mut Notes) -> io::Result<T>,
    ) -> io::Result<T> {
        let what = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        let fuse = self.fuse.lock().clone();
        fuse.around(operation, &what, || deed(&mut self.notes.lock()))
    }
}

impl Names {
    /// Of each name that changed since the last sync either the old or the new meaning.
    fn after_cut(&self, coin: &mut Coin) -> BTreeMap<String, Node> {
        let mut all = self.durable.clone();
        let mut thrown: BTreeMap<&str, bool> = BTreeMap::new();
        for (from, to) in &self.renames {
            let throw = coin.throw();
            thrown.insert(from, throw);
            thrown.insert(to, throw);
        }
        let changed: BTreeSet<&String> = self.durable.keys().chain(self.volatile.keys()).collect();
        for name in changed.into_iter().filter(|name| self.durable.get(*name) != self.volatile.get(*name)) {
            if !thrown.get(name.as_str()).copied().unwrap_or_else(|| coin.throw()) {
                continue;
            }
            match self.volatile.get(name) {
                Some(node) => all.insert(name.clone(), *node),
                None => all.remove(name),
            };
        }
        all
    }
}

impl Notes {
    /// The folder of a path and the name in it.
    fn names(&mut self, path: &Path) -> io::Result<(&mut Names, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let names = self.folders.get_mut(folder).ok_or(io::ErrorKind::NotFound)?;
        Ok((names, name.to_owned()))
    }

    fn node(&mut self, path: &Path) -> io::Result<Node> {
        let (names, name) = self.names(path)?;
        names.volatile.get(&name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Changes for Recorder {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.around(Operation::MakeFolder, folder, |notes| {
            std::fs::create_dir(folder)?;
            let (names, name) = notes.names(folder)?;
            names.volatile.insert(name, Node::Folder);
            notes.folders.insert(folder.to_owned(), Names::default());
            Ok(())
        })
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn Writable>> {
        self.around(Operation::Create, file, |notes| {
            let real = std::fs::OpenOptions::new().write(true).create_new(true).open(file)?;
            let at = notes.files.len();
            let (names, name) = notes.names(file)?;
            names.volatile.insert(name, Node::File(at));
            notes.files.push(Bytes::default());
            let path = file.to_owned();
            Ok(Box::new(Recorded { real, at, path, folder: self.clone() }) as Box<dyn Writable>)
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.around(Operation::Link, to, |notes| {
            std::fs::hard_link(from, to)?;
            let node = notes.node(from)?;
            let (names, name) = notes.names(to)?;
            names.volatile.insert(name, node);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.around(Operation::Rename, to, |notes| {
            std::fs::rename(from, to)?;
            let node = notes.node(from)?;
            let (names, old) = notes.names(from)?;
            names.volatile.remove(&old);
            let (names, new) = notes.names(to)?;
            names.volatile.insert(new.clone(), node);
            names.renames.push((old, new));
            Ok(())
        })
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.around(Operation::Unlink, file, |notes| {
            std::fs::remove_file(file)?;
            let (names, name) = notes.names(file)?;
            names.volatile.remove(&name);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.around(Operation::SyncFolder, folder, |notes| {
            if !self.lies.folders
                && let Some(names) = notes.folders.get_mut(folder)
            {
                names.durable = names.volatile.clone();
                names.renames.clear();
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Recorded {
    real: std::fs::File,
    at: usize,
    path: PathBuf,
    folder: Recorder,
}

impl Writable for Recorded {
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.folder.around(Operation::Write, &self.path, |notes| {
            self.real.write_all_at(bytes, at)?;
            let file = &mut notes.files[self.at].volatile;
            let (from, to) = (at as usize, at as usize + bytes.len());
            file.resize(file.len().max(to), 0);
            file[from..to].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.folder.around(Operation::Sync, &self.path, |notes| {
            if !self.folder.lies.files {
                let file = &mut notes.files[self.at];
                file.durable.clone_from(&file.volatile);
            }
            Ok(())
        })
    }
}
