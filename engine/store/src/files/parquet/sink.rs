//! Where the writer writes to.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};

/// Bytes that one checksum covers.
const PIECE_BYTES: usize = 1 << 20;

/// Collects a file in pieces of 1 MiB, each with its CRC-32C. Parquet pages
/// have no checksums of their own as parquet-rs writes them.
#[derive(Debug, Default)]
pub(super) struct Sink {
    done: Vec<Bytes>,
    crc32c: Vec<u32>,
    piece: BytesMut,
}

impl Sink {
    /// The pieces, the size in bytes and the checksums.
    pub(super) fn finish(mut self) -> (Vec<Bytes>, u64, Vec<u32>) {
        self.close_piece();
        let size = self.done.iter().map(|piece| piece.len() as u64).sum();
        (self.done, size, self.crc32c)
    }

    fn close_piece(&mut self) {
        if !self.piece.is_empty() {
            let piece = self.piece.split().freeze();
            self.crc32c.push(crc32c::crc32c(&piece));
            self.done.push(piece);
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve(PIECE_BYTES.min(self.done.len().max(1) * (PIECE_BYTES / 16)));
        }
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.close_piece();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(len: usize) {
        let bytes: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
        let mut sink = Sink::default();
        for part in bytes.chunks(300_007) {
            sink.write_all(part).unwrap();
        }
        let (pieces, size, crcs) = sink.finish();
        assert_eq!(size, len as u64);
        assert_eq!(pieces.concat(), bytes);
        assert_eq!(crcs, bytes.chunks(PIECE_BYTES).map(crc32c::crc32c).collect::<Vec<_>>());
    }

    #[test]
    fn pieces_and_checksums() {
        for len in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 17] {
            check(len);
        }
    }
}
