//! Pieces as bytes: each is a line of JSON; behind the line of an object stand its bytes.

use bytes::{Buf as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{Manifest, Object, Piece};
use crate::StoreError;

/// Longest line: a manifest has about 150 bytes a file.
const LINE_BYTES_MAX: usize = 1 << 30;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Plan { files: u64, bytes: u64 },
    Object(Object),
    Known(Object),
    Done(Box<Manifest>),
    Failed(String),
}

/// The bytes of a piece.
pub fn encode(piece: Piece) -> Result<Bytes, StoreError> {
    let line = match piece {
        Piece::Bytes(bytes) => return Ok(bytes),
        Piece::Plan { files, bytes } => Line::Plan { files, bytes },
        Piece::Object(object) => Line::Object(object),
        Piece::Known(object) => Line::Known(object),
        Piece::Done(manifest) => Line::Done(manifest),
        Piece::Failed(reason) => Line::Failed(reason),
    };
    let mut text = serde_json::to_vec(&line).map_err(|error| StoreError::Internal(error.to_string()))?;
    text.push(b'\n');
    Ok(text.into())
}

/// Bytes back to pieces, however they are cut.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: BytesMut,
    /// Of the object that is being read.
    left: u64,
    /// So much of a line that has not ended was looked at.
    searched: usize,
}

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next piece, if there is enough of it.
    pub fn next(&mut self) -> Result<Option<Piece>, StoreError> {
        if self.left > 0 {
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.waiting.len());
            self.left -= count as u64;
            return Ok((count > 0).then(|| Piece::Bytes(self.waiting.split_to(count).freeze())));
        }
        let Some(end) = self.waiting[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.waiting.len();
            let too_long = self.searched > LINE_BYTES_MAX;
            return if too_long { Err(damaged("a line does not end")) } else { Ok(None) };
        };
        let line = self.waiting.split_to(self.searched + end);
        self.waiting.advance(1);
        self.searched = 0;
        let line = serde_json::from_slice(&line).map_err(|error| damaged(&error.to_string()))?;
        Ok(Some(match line {
            Line::Plan { files, bytes } => Piece::Plan { files, bytes },
            Line::Object(object) => {
                self.left = object.bytes;
                Piece::Object(object)
            }
            Line::Known(object) => Piece::Known(object),
            Line::Done(manifest) => Piece::Done(manifest),
            Line::Failed(reason) => Piece::Failed(reason),
        }))
    }
}

fn damaged(reason: &str) -> StoreError {
    StoreError::damaged("stream of a backup", reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces() -> Vec<Piece> {
        let content = Bytes::from_static(b"some bytes\nand more");
        vec![
            Piece::Plan { files: 1, bytes: 2 },
            Piece::Object(Object::of("wal/a", &content)),
            Piece::Bytes(content),
            Piece::Known(Object::of("tables/b", b"x")),
            Piece::Object(Object::of("tables/empty", b"")),
            Piece::Done(Box::new(Manifest::new(7))),
            Piece::Failed("a reason\nof two lines".to_owned()),
        ]
    }

    /// Neighbouring bytes as one piece.
    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut all: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (all.last_mut(), piece) {
                (Some(Piece::Bytes(before)), Piece::Bytes(more)) => {
                    *before = [&before[..], &more[..]].concat().into();
                }
                (_, piece) => all.push(piece),
            }
        }
        all
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(cuts in prop::collection::vec(1..60_usize, 1..40)) {
            let bytes: Vec<u8> = pieces().into_iter().flat_map(|piece| encode(piece).unwrap()).collect();
            let (mut decoder, mut found, mut rest) = (Decoder::default(), Vec::new(), &bytes[..]);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                decoder.push(now);
                rest = later;
                while let Some(piece) = decoder.next().unwrap() {
                    found.push(piece);
                }
            }
            prop_assert_eq!(joined(found), pieces());
        }
    }

    #[test]
    fn what_is_no_piece_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(b"{\"nothing\":1}\n");
        assert!(decoder.next().unwrap_err().to_string().starts_with("damaged stream of a backup"));
    }
}
