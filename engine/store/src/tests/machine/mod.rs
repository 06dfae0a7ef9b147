//! A machine that dies: at a given operation, by a kill or a power cut.
//!
//! Its log is on [`SimDisk`], its tables are in a folder of [`Recorder`]; both burn
//! one [`Fuse`]. A kill leaves what was written, synced or not, because the page
//! cache stays. A power cut leaves what was synced and, of the rest, some sectors and
//! some names, each by its own throw of a coin.

mod fuse;
mod recorder;

pub(crate) use fuse::{Death, Fate, Fuse, Operation};
pub(crate) use recorder::Recorder;

/// What a machine does not do although it says so: the mutants that the tests of
/// power cuts must catch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lies {
    /// Syncing a file does nothing.
    pub(crate) files: bool,
    /// Syncing a folder does nothing.
    pub(crate) folders: bool,
}

/// Throws of a coin, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Coin(pub(crate) u64);

impl Coin {
    pub(crate) fn throw(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

/// Bytes that a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;

/// What a file is after a power cut: all that was synced, and some sectors of the rest.
pub(crate) fn torn(durable: &[u8], volatile: &[u8], coin: &mut Coin) -> Vec<u8> {
    let mut bytes = durable.to_vec();
    if durable == volatile {
        return bytes;
    }
    // A file may have grown on the disk though what is in it is not there.
    if volatile.len() < bytes.len() || coin.throw() {
        bytes.resize(volatile.len(), 0);
    }
    for (at, sector) in volatile.chunks(SECTOR).enumerate() {
        let from = at * SECTOR;
        if from < bytes.len() && coin.throw() {
            let len = sector.len().min(bytes.len() - from);
            bytes[from..from + len].copy_from_slice(&sector[..len]);
        }
    }
    bytes
}
