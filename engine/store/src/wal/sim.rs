//! A disk that forgets what was not synced.
//!
//! Each file has what the disk holds and what the system believes. A power cut keeps, of
//! what was not synced, some sectors and not others, and some names and not others.
//! Writes and syncs fail on demand; with a [`Fuse`] it dies at a given operation.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::disk::{Disk, LogFile};
use crate::tests::machine::{Coin, Fuse, Lies, Operation, torn};

#[derive(Default, Clone)]
struct Inode {
    durable: Vec<u8>,
    volatile: Vec<u8>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    durable_names: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    /// Renames since the last sync of the folder: both names change or none does.
    renames: Vec<(String, String)>,
    aside: BTreeMap<String, Vec<u8>>,
    fuse: Fuse,
    lies: Lies,
    dead: bool,
    faults: Faults,
    syncs: u64,
}

/// What shall go wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Faults {
    /// So many of the next writes fail.
    pub(crate) writes: u32,
    /// So many of the next syncs of a file fail.
    pub(crate) syncs: u32,
    /// So many of the next writes behind a header fail.
    pub(crate) batches: u32,
    /// New files find no space.
    pub(crate) full: bool,
    /// Each sync takes so long.
    pub(crate) sync_takes: Duration,
}

/// The disk; clones are one disk.
#[derive(Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// A disk of a machine that dies, and of one that lies.
    pub(crate) fn of(fuse: Fuse, lies: Lies) -> Self {
        let disk = Self::default();
        disk.plug(fuse, lies);
        disk
    }

    /// Puts it into another machine.
    pub(crate) fn plug(&self, fuse: Fuse, lies: Lies) {
        let mut state = self.state.lock();
        (state.fuse, state.lies) = (fuse, lies);
    }

    /// Sets what goes wrong from now on.
    pub(crate) fn faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// So many of the next batches fail, headers of segments do not.
    pub(crate) fn fail_batches(&self, batches: u32) {
        self.faults(Faults { batches, ..Faults::default() });
    }

    /// Syncs of files so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Damaged bytes that were set aside.
    pub(crate) fn set_aside_names(&self) -> Vec<String> {
        self.state.lock().aside.keys().cloned().collect()
    }

    /// The process is killed: what it wrote is in the page cache and stays.
    pub(crate) fn kill(&self) -> Self {
        let mut old = self.state.lock();
        old.dead = true;
        let state = State {
            inodes: old.inodes.clone(),
            durable_names: old.durable_names.clone(),
            names: old.names.clone(),
            renames: old.renames.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The power fails: the old disk takes nothing more, the new one has what was synced
    /// and, decided by `seed`, parts of the rest.
    pub(crate) fn cut_power(&self, seed: u64) -> Self {
        let mut old = self.state.lock();
        old.dead = true;
        let coin = &mut Coin(seed);
        let names = names_after_cut(&old, coin);
        let inodes = old.inodes.iter().map(|inode| {
            let bytes = torn(&inode.durable, &inode.volatile, coin);
            Inode { durable: bytes.clone(), volatile: bytes }
        });
        let inodes = inodes.collect();
        let state = State { inodes, durable_names: names.clone(), names, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state.lock();
        state.names.get(name).map(|inode| state.inodes[*inode].volatile.clone()).unwrap_or_default()
    }

    /// A disk that holds these files.
    pub(crate) fn holding(files: &[(String, Vec<u8>)]) -> Self {
        let disk = Self::default();
        let mut state = disk.state.lock();
        for (at, (name, bytes)) in files.iter().enumerate() {
            state.inodes.push(Inode { durable: bytes.clone(), volatile: bytes.clone() });
            state.names.insert(name.clone(), at);
            state.durable_names.insert(name.clone(), at);
        }
        drop(state);
        disk
    }

    /// Something that changes the disk.
    fn change<R>(
        &self,
        operation: Operation,
        name: &str,
        work: impl FnOnce(&mut State) -> io::Result<R>,
    ) -> io::Result<R> {
        self.with(|state| {
            let fuse = state.fuse.clone();
            fuse.around(operation, &format!("wal/{name}"), || work(state))
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        let mut state = self.state.lock();
        if state.dead {
            return Err(io::Error::other("this machine is off"));
        }
        work(&mut state)
    }

    fn file(&self, inode: usize) -> Box<dyn LogFile> {
        Box::new(SimFile { disk: self.clone(), inode })
    }
}

/// Of each name that changed since the last sync either the old or the new meaning.
fn names_after_cut(old: &State, coin: &mut Coin) -> BTreeMap<String, usize> {
    let mut names = old.durable_names.clone();
    let mut thrown: BTreeMap<&str, bool> = BTreeMap::new();
    for (from, to) in &old.renames {
        let throw = coin.throw();
        thrown.insert(from, throw);
        thrown.insert(to, throw);
    }
    let all: BTreeSet<&String> = old.durable_names.keys().chain(old.names.keys()).collect();
    for name in all {
        let now = old.names.get(name);
        if old.durable_names.get(name) == now
            || !thrown.get(name.as_str()).copied().unwrap_or_else(|| coin.throw())
        {
            continue;
        }
        match now {
            Some(inode) => names.insert(name.clone(), *inode),
            None => names.remove(name),
        };
    }
    names
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.with(|state| {
            let size = |inode: &usize| state.inodes[*inode].volatile.len() as u64;
            Ok(state.names.iter().map(|(name, inode)| (name.clone(), size(inode))).collect())
        })
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        let inode = self.change(Operation::Create, name, |state| {
            if state.faults.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let zeros = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
            state.inodes.push(Inode { durable: zeros.clone(), volatile: zeros });
            state.names.insert(name.to_owned(), state.inodes.len() - 1);
            Ok(state.inodes.len() - 1)
        })?;
        Ok(self.file(inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let inode = self.with(|state| state.names.get(name).copied().ok_or_else(not_found))?;
        Ok(self.file(inode))
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.with(|state| {
            let inode = state.names.get(name).copied().ok_or_else(not_found)?;
            let bytes = &state.inodes[inode].volatile;
            Ok(bytes[..bytes.len().min(bytes_max)].to_vec())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Operation::Rename, to, |state| {
            let inode = state.names.remove(from).ok_or_else(not_found)?;
            state.names.insert(to.to_owned(), inode);
            state.renames.push((from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(Operation::Unlink, name, |state| {
            state.names.remove(name).map(|_| ()).ok_or_else(not_found)
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.change(Operation::SyncFolder, "", |state| {
            if !state.lies.folders {
                state.durable_names = state.names.clone();
                state.renames.clear();
            }
            Ok(())
        })
    }

    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| {
            state.aside.insert(name.to_owned(), bytes.to_vec());
            Ok(())
        })
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl LogFile for SimFile {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(Operation::Write, "segment", |state| {
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let inode = &mut state.inodes[self.inode];
            let failing = state.faults.writes > 0 || (at > 0 && state.faults.batches > 0);
            state.faults.writes = state.faults.writes.saturating_sub(1);
            state.faults.batches = state.faults.batches.saturating_sub(u32::from(at > 0));
            // A write that fails may have come half way.
            let written = if failing { bytes.len() / 2 } else { bytes.len() };
            let end = at + written;
            if inode.volatile.len() < end {
                inode.volatile.resize(end, 0);
            }
            inode.volatile[at..end].copy_from_slice(&bytes[..written]);
            if failing { Err(io::Error::other("write error")) } else { Ok(()) }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let takes = self.disk.with(|state| Ok(state.faults.sync_takes))?;
        if !takes.is_zero() {
            std::thread::sleep(takes);
        }
        self.disk.change(Operation::Sync, "segment", |state| {
            state.syncs += 1;
            if state.faults.syncs > 0 {
                state.faults.syncs -= 1;
                // As Linux does it: the pages count as clean after, though they are not there.
                return Err(io::Error::other("sync error"));
            }
            if !state.lies.files {
                let inode = &mut state.inodes[self.inode];
                inode.durable.clone_from(&inode.volatile);
            }
            Ok(())
        })
    }
}
