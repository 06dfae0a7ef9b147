//! Texts that only come, of which a reader takes a copy for the price of the last chunk.
//!
//! The distinct values of a label stand one after the other in memory, so that an
//! expression runs over a million of them in the time that their bytes take to pass by,
//! and it does so over a copy, without a lock.

use std::sync::Arc;

/// Texts a chunk. A reader copies one chunk at most.
const PER_CHUNK: usize = 512;

/// The texts, numbered in the order of their coming.
#[derive(Default, Clone)]
pub(super) struct Texts {
    /// Full ones. The outer `Arc` is copied on write while a reader has it.
    sealed: Arc<Vec<Arc<Chunk>>>,
    tail: Chunk,
}

#[derive(Default, Clone)]
struct Chunk {
    bytes: String,
    ends: Vec<u32>,
}

impl Chunk {
    fn get(&self, at: usize) -> Option<&str> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.bytes.get(start as usize..*self.ends.get(at)? as usize)
    }

    /// Those from one on.
    fn run(&self, first: u32, at: usize) -> Run<'_> {
        let at = at.min(self.ends.len());
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Run { first, start, bytes: &self.bytes, ends: &self.ends[at..] }
    }
}

/// Some texts that stand one after the other.
pub(super) struct Run<'a> {
    /// The number of the first.
    first: u32,
    /// Where it begins, and where all end, in bytes that may begin with others.
    start: u32,
    bytes: &'a str,
    ends: &'a [u32],
}

impl<'a> Run<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn number(&self, at: usize) -> u32 {
        self.first + at as u32
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a str> {
        let start = at.checked_sub(1).map_or(Some(self.start), |before| self.ends.get(before).copied())?;
        self.bytes.get(start as usize..*self.ends.get(at)? as usize)
    }

    /// All texts.
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.bytes.as_bytes()[self.start as usize..]
    }

    /// Where in [`Self::bytes`] a text ends.
    pub(super) fn end(&self, at: usize) -> usize {
        self.ends.get(at).map_or(self.bytes.len(), |end| *end as usize) - self.start as usize
    }

    /// The text that has a byte of [`Self::bytes`], which is not before a known one.
    pub(super) fn value_with(&self, byte: usize, known: usize) -> usize {
        let byte = byte + self.start as usize;
        known + self.ends[known..].partition_point(|end| *end as usize <= byte)
    }
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.sealed.len() * PER_CHUNK + self.tail.ends.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&str> {
        let (chunk, at) = (number as usize / PER_CHUNK, number as usize % PER_CHUNK);
        match self.sealed.get(chunk) {
            Some(sealed) => sealed.get(at),
            None if chunk == self.sealed.len() => self.tail.get(at),
            None => None,
        }
    }

    /// Adds a text; its number.
    pub(super) fn push(&mut self, text: &str) -> u32 {
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.tail.bytes.push_str(text);
        self.tail.ends.push(u32::try_from(self.tail.bytes.len()).unwrap_or(u32::MAX));
        if self.tail.ends.len() == PER_CHUNK {
            let mut full = std::mem::take(&mut self.tail);
            full.bytes.shrink_to_fit();
            full.ends.shrink_to_fit();
            Arc::make_mut(&mut self.sealed).push(Arc::new(full));
        }
        number
    }

    /// Those from a number on, some at a time.
    pub(super) fn runs(&self, number: usize) -> impl Iterator<Item = Run<'_>> {
        let (chunk, skipped) = (number / PER_CHUNK, number % PER_CHUNK);
        let sealed = self.sealed.iter().map(Arc::as_ref).skip(chunk);
        let tail = std::iter::once(&self.tail).skip(chunk.saturating_sub(self.sealed.len()));
        let firsts = std::iter::successors(Some(number), |first| Some((first / PER_CHUNK + 1) * PER_CHUNK));
        sealed.chain(tail).zip(firsts).map(move |(chunk, first)| {
            let at = if first == number { skipped } else { 0 };
            chunk.run(u32::try_from(first).unwrap_or(u32::MAX), at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts from a number on, with their numbers, and whether the bytes are theirs.
    fn all(texts: &Texts, from: usize) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        for run in texts.runs(from) {
            let some: Vec<&str> = (0..run.len()).filter_map(|at| run.get(at)).collect();
            assert_eq!(some.concat().as_bytes(), run.bytes());
            let mut start = 0;
            for (at, text) in some.iter().enumerate() {
                assert!(
                    (start..run.end(at)).all(|byte| [0, at / 2, at]
                        .into_iter()
                        .all(|known| run.value_with(byte, known) == at))
                );
                assert_eq!(run.end(at) - start, text.len());
                start = run.end(at);
                all.push((run.number(at), (*text).to_owned()));
            }
        }
        all
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut texts = Texts::default();
        let mut copies = Vec::new();
        for n in 0..2_000_u32 {
            assert_eq!(texts.push(&n.to_string()), n);
            if n % 300 == 0 {
                copies.push((n as usize + 1, texts.clone()));
            }
        }
        for (len, copy) in copies {
            assert_eq!((copy.len(), all(&copy, 0).len(), copy.get(len as u32)), (len, len, None));
            assert!(all(&copy, 0).into_iter().zip(0..).all(|(text, n)| text == (n, n.to_string())));
        }
        for from in [0, 1, 511, 512, 513, 1_999, 2_000, 3_000] {
            let wanted: Vec<_> = (from as u32..2_000).map(|n| (n, n.to_string())).collect();
            assert_eq!(all(&texts, from), wanted);
            assert_eq!(texts.get(from as u32), (from < 2_000).then(|| from.to_string()).as_deref());
        }
    }
}
