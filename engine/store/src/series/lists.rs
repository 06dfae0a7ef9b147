//! The labels of each series as a list of numbers.

use isinglass_model::labels::Temporality;

/// Lists a chunk.
const PER_CHUNK: usize = 1 << 10;

/// Lists in the order of their coming, packed.
#[derive(Default)]
pub(super) struct Lists {
    chunks: Vec<Chunk>,
}

#[derive(Default)]
struct Chunk {
    numbers: Vec<u32>,
    ends: Vec<u32>,
    temporality: Vec<Temporality>,
}

impl Lists {
    pub(super) fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1);
        full * PER_CHUNK + self.chunks.last().map_or(0, |last| last.ends.len())
    }

    /// Adds a list; its position.
    pub(super) fn push(&mut self, numbers: impl Iterator<Item = u32>, temporality: Temporality) -> u32 {
        let position = u32::try_from(self.len()).unwrap_or(u32::MAX);
        if position as usize % PER_CHUNK == 0 {
            if let Some(full) = self.chunks.last_mut() {
                full.numbers.shrink_to_fit();
                full.ends.shrink_to_fit();
                full.temporality.shrink_to_fit();
            }
            self.chunks.push(Chunk::default());
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.numbers.extend(numbers);
            chunk.ends.push(u32::try_from(chunk.numbers.len()).unwrap_or(u32::MAX));
            chunk.temporality.push(temporality);
        }
        position
    }

    /// The list at a position, empty if there is none.
    pub(super) fn get(&self, position: u32) -> (&[u32], Temporality) {
        let (chunk, at) = (position as usize / PER_CHUNK, position as usize % PER_CHUNK);
        self.chunks.get(chunk).and_then(|chunk| chunk.get(at)).unwrap_or_default()
    }
}

impl Chunk {
    fn get(&self, at: usize) -> Option<(&[u32], Temporality)> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        let numbers = self.numbers.get(start as usize..*self.ends.get(at)? as usize)?;
        Some((numbers, *self.temporality.get(at)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_found_again() {
        let mut lists = Lists::default();
        for n in 0..5_000_u32 {
            assert_eq!(lists.push(n..n + n % 4, Temporality::Delta), n);
        }
        assert_eq!(lists.len(), 5_000);
        for n in 0..5_000_u32 {
            let wanted: Vec<u32> = (n..n + n % 4).collect();
            assert_eq!(lists.get(n), (wanted.as_slice(), Temporality::Delta));
        }
        assert_eq!(lists.get(5_000), (&[][..], Temporality::Unspecified));
    }
}
