//! Verified pieces of files, the last few of them.
//!
//! A read of some bytes takes in the whole pieces around them, because a checksum covers a
//! piece. What lies around is mostly asked for next: the footer before the page index, one
//! column after the other.

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;
use object_store::path::Path;
use parking_lot::Mutex;

/// Bytes held; on average the half of it, since small files have small pieces.
const BYTES_MAX: usize = 16 << 20;

/// Pieces held.
const PIECES_MAX: usize = 1_024;

/// The cache. Shared by all queries.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    pieces: HashMap<Path, Vec<Piece>, RandomState>,
    count: usize,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Piece {
    number: u64,
    content: Bytes,
    last_use: u64,
}

impl Pieces {
    /// A piece that was put in before.
    pub(super) fn get(&self, path: &Path, number: u64) -> Option<Bytes> {
        let mut held = self.held.lock();
        held.uses += 1;
        let now = held.uses;
        let piece = held.pieces.get_mut(path)?.iter_mut().find(|piece| piece.number == number)?;
        piece.last_use = now;
        Some(piece.content.clone())
    }

    /// Keeps a copy, so that a piece does not keep the larger read alive that it came with.
    pub(super) fn put(&self, path: &Path, number: u64, content: &[u8]) {
        let mut held = self.held.lock();
        held.uses += 1;
        let now = held.uses;
        if held.pieces.get(path).is_some_and(|pieces| pieces.iter().any(|piece| piece.number == number)) {
            return;
        }
        while held.count >= PIECES_MAX || (held.count > 0 && held.bytes + content.len() > BYTES_MAX) {
            held.drop_oldest();
        }
        held.count += 1;
        held.bytes += content.len();
        let piece = Piece { number, content: Bytes::copy_from_slice(content), last_use: now };
        held.pieces.entry_ref(path).or_default().push(piece);
    }

    /// Forgets a file.
    pub(super) fn forget(&self, path: &Path) {
        let mut held = self.held.lock();
        let gone = held.pieces.remove(path).unwrap_or_default();
        held.count -= gone.len();
        held.bytes -= gone.iter().map(|piece| piece.content.len()).sum::<usize>();
    }
}

impl Held {
    fn drop_oldest(&mut self) {
        let oldest = self.pieces.iter().flat_map(|(path, pieces)| {
            pieces.iter().enumerate().map(move |(at, piece)| (piece.last_use, path, at))
        });
        let Some((_, path, at)) = oldest.min_by_key(|(last_use, ..)| *last_use) else { return };
        let path = path.clone();
        let Some(pieces) = self.pieces.get_mut(&path) else { return };
        self.bytes -= pieces.swap_remove(at).content.len();
        self.count -= 1;
        if pieces.is_empty() {
            self.pieces.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_go_first() {
        let pieces = Pieces::default();
        let path = Path::from("a");
        let content = vec![7_u8; 1 << 20];
        for number in 0..16 {
            pieces.put(&path, number, &content);
        }
        assert!(pieces.get(&path, 0).is_some());
        pieces.put(&path, 16, &content);
        assert!(pieces.get(&path, 0).is_some());
        assert!(pieces.get(&path, 1).is_none());
        assert!(pieces.get(&path, 16).is_some());
        assert_eq!(pieces.held.lock().bytes, 16 << 20);
        pieces.forget(&path);
        let held = pieces.held.lock();
        assert_eq!((held.bytes, held.count), (0, 0));
    }

    #[test]
    fn many_small_ones_are_bounded_too() {
        let pieces = Pieces::default();
        for file in 0..(2 * PIECES_MAX) {
            pieces.put(&Path::from(file.to_string()), 0, b"x");
        }
        assert_eq!(pieces.held.lock().count, PIECES_MAX);
        assert_eq!(pieces.held.lock().pieces.len(), PIECES_MAX);
    }
}
