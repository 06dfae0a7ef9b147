//! Where the writer writes to.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};

/// Bytes that one checksum covers.
const PIECE_BYTES: usize = 1 << 20;

/// Collects a file in pieces of 1 MiB, each with its CRC-32C. Parquet pages
/// have no checksums of their own as parquet-rs writes them.
#[derive(Debug, Default)]
pub(in crate::files) struct Sink {
    done: Vec<Bytes>,
    crc32c: Vec<u32>,
    size: u64,
    piece: BytesMut,
}

impl Sink {
    /// The pieces that are complete, to be sent on while others follow.
    pub(in crate::files) fn take_done(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.done)
    }

    /// The pieces that were not taken, the size in bytes and the checksums of all.
    pub(in crate::files) fn finish(mut self) -> (Vec<Bytes>, u64, Vec<u32>) {
        self.close_piece();
        (self.done, self.size, self.crc32c)
    }

    fn close_piece(&mut self) {
        if !self.piece.is_empty() {
            let piece = self.piece.split().freeze();
            self.crc32c.push(crc32c::crc32c(&piece));
            self.size += piece.len() as u64;
            self.done.push(piece);
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve(PIECE_BYTES.min(self.crc32c.len().max(1) * (PIECE_BYTES / 16)));
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
        let mut pieces = sink.take_done();
        let (rest, size, crcs) = sink.finish();
        pieces.extend(rest);
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
