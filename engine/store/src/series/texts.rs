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

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.get(at).unwrap_or_default())
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

    /// Those from a number on.
    pub(super) fn from(&self, number: usize) -> impl Iterator<Item = &str> {
        let (chunk, skipped) = (number / PER_CHUNK, number % PER_CHUNK);
        let sealed = self.sealed.iter().skip(chunk).map(Arc::as_ref);
        let tail = std::iter::once(&self.tail).skip(chunk.saturating_sub(self.sealed.len()));
        sealed.chain(tail).flat_map(Chunk::iter).skip(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!((copy.len(), copy.from(0).count(), copy.get(len as u32)), (len, len, None));
            assert!(copy.from(0).zip(0..).all(|(text, n)| text == n.to_string()));
        }
        for from in [0, 1, 511, 512, 513, 1_999, 2_000, 3_000] {
            assert_eq!(texts.from(from).next(), (from < 2_000).then(|| from.to_string()).as_deref());
            assert_eq!(texts.get(from as u32), (from < 2_000).then(|| from.to_string()).as_deref());
        }
    }
}
