//! The one thread that writes and deletes files of the disk tier.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;

use super::folder::{Folder, OnDisk};
use super::{Counts, Index, PieceId, Room};

/// What the thread is told to do, in this order.
#[derive(Debug)]
pub(super) enum Order {
    Write(PieceId, Bytes),
    /// A piece that is out of the index.
    Remove(PieceId),
    /// All pieces of these files.
    Forget(Vec<u128>),
    /// Say when everything before is done.
    Tell(Sender<()>),
}

/// The state of the thread.
pub(super) struct Writer {
    pub(super) folder: Folder,
    /// The folder whose volume is asked for its room.
    pub(super) root: PathBuf,
    pub(super) index: Arc<Index>,
    pub(super) counts: Arc<Counts>,
    /// What the index threw out, since it was last looked at.
    pub(super) leaving: Receiver<PieceId>,
    /// Which pieces of a file are on the disk.
    pub(super) files: HashMap<u128, Vec<u64>, RandomState>,
    /// Nothing is written with less than twice as much free, all is deleted below it.
    pub(super) free_min: u64,
    pub(super) room: Room,
    pub(super) look_every: Duration,
    /// Since a write failed, until the next look at the disk.
    pub(super) paused: bool,
    pub(super) _lock: File,
    /// Dropped last: the folder is free.
    pub(super) _ended: Sender<()>,
}

impl Writer {
    /// Takes in what was found and does what it is told until nobody can tell it any more.
    pub(super) fn run(mut self, found: Vec<OnDisk>, orders: &Receiver<Order>) {
        for piece in found {
            self.take_in(piece.id, piece.bytes);
        }
        let mut next_look = Instant::now() + self.look_every;
        loop {
            match orders.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(order) => self.follow(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next_look {
                self.look();
                next_look = Instant::now() + self.look_every;
            }
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Write(id, content) => {
                self.write(id, &content);
                self.counts.queue_bytes.fetch_sub(content.len() as u64, Ordering::AcqRel);
            }
            Order::Remove(id) => self.remove(id),
            Order::Forget(files) => files.into_iter().for_each(|file| self.forget(file)),
            Order::Tell(done) => drop(done.send(())),
        }
    }

    fn write(&mut self, id: PieceId, content: &[u8]) {
        if self.index.contains(id) {
            return;
        }
        if self.paused || !self.has_room() {
            self.counts.skipped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match self.folder.write(id, content) {
            // A piece has at most 1 MiB.
            Ok(()) => self.take_in(id, content.len() as u32),
            Err(error) => {
                self.counts.write_failures.fetch_add(1, Ordering::Relaxed);
                self.paused = true;
                let pause_s = self.look_every.as_secs();
                tracing::warn!(%error, pause_s, "writing to the disk cache failed, it pauses");
            }
        }
    }

    /// Enters a piece that is on the disk, and deletes what has to go for it.
    fn take_in(&mut self, id: PieceId, bytes: u32) {
        self.files.entry(id.file).or_default().push(id.number);
        self.index.put(id, bytes);
        while let Ok(gone) = self.leaving.try_recv() {
            self.remove(gone);
        }
    }

    fn remove(&mut self, id: PieceId) {
        if let Some(numbers) = self.files.get_mut(&id.file) {
            numbers.retain(|number| *number != id.number);
            if numbers.is_empty() {
                self.files.remove(&id.file);
            }
        }
        self.delete(id);
    }

    fn forget(&mut self, file: u128) {
        for number in self.files.remove(&file).unwrap_or_default() {
            let id = PieceId { file, number };
            self.index.remove(id);
            self.delete(id);
        }
    }

    fn delete(&self, id: PieceId) {
        match self.folder.remove(id) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a file of the disk cache cannot be deleted");
            }
            _ => {}
        }
    }

    /// Whether the disk has room for more. If it does not say, there is none.
    fn has_room(&self) -> bool {
        (self.room)(&self.root).is_ok_and(|space| space.free >= self.free_min.saturating_mul(2))
    }

    /// Asks the disk for its room, now and then. A cache is the last thing that a
    /// full disk needs.
    fn look(&mut self) {
        self.paused = false;
        let full = (self.room)(&self.root).is_ok_and(|space| space.free < self.free_min);
        if full && !self.files.is_empty() {
            tracing::warn!("the disk is nearly full, the disk cache is deleted");
            for file in self.files.keys().copied().collect::<Vec<_>>() {
                self.forget(file);
            }
        }
    }
}
