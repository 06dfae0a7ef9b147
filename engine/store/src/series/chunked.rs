//! A vector in chunks: growing it copies no more than one of them.

/// Elements a chunk. A vector of a million would be moved as a whole, milliseconds
/// during which nobody else could look at the index.
const PER_CHUNK: usize = 1 << 10;

pub(super) struct Chunked<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunked<T> {
    pub(super) fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1);
        full * PER_CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / PER_CHUNK)?.get(at % PER_CHUNK)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.chunks.get_mut(at / PER_CHUNK)?.get_mut(at % PER_CHUNK)
    }

    pub(super) fn push(&mut self, value: T) {
        if self.chunks.last().is_none_or(|last| last.len() == PER_CHUNK) {
            // The first grows, so that a handful of elements costs no more than itself.
            let room = if self.chunks.is_empty() { 0 } else { PER_CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_found_again() {
        let mut list = Chunked::default();
        for n in 0..5_000_usize {
            assert_eq!((list.len(), list.get(n)), (n, None));
            list.push(n);
        }
        *list.get_mut(3_000).unwrap() += 1;
        assert_eq!(
            (list.get(2_999), list.get(3_000), list.get(4_999)),
            (Some(&2_999), Some(&3_001), Some(&4_999))
        );
    }
}
