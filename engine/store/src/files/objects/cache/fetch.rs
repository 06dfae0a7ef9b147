//! Fetching what was claimed: from the disk, then from the store, each piece compared.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStore, Result};

use super::disk::{DiskTier, Found};
use super::flights::{Claim, Landed};
use super::ranges::{part, piece_range, pieces_of, runs};
use super::{BlockCache, PieceId, file_id};
use crate::files::objects::damaged_object;
use crate::tables::DataFile;

/// Requests of one read at the same time.
const GETS_AT_ONCE: usize = 8;

/// A file of which it is known what must be in it.
#[derive(Debug)]
pub(in crate::files::objects) struct Source {
    pub(super) path: Path,
    pub(super) file: u128,
    size_bytes: u64,
    sums: Arc<[u32]>,
}

impl Source {
    /// `None` for a file without checksums.
    pub(in crate::files::objects) fn new(file: &DataFile) -> Option<Self> {
        let sums = Arc::clone(file.crc32c.as_ref()?);
        let (path, size_bytes) = (file.path.clone(), file.size_bytes);
        Some(Self { file: file_id(&path), path, size_bytes, sums })
    }

    pub(super) fn id(&self, number: u64) -> PieceId {
        PieceId { file: self.file, number }
    }

    pub(super) fn place(&self, number: u64) -> Range<u64> {
        piece_range(number, self.size_bytes)
    }

    /// Whether this is what the commit says of the piece.
    fn is_right(&self, number: u64, content: &[u8]) -> bool {
        let place = self.place(number);
        content.len() as u64 == place.end - place.start
            && self.sums.get(number as usize) == Some(&crc32c::crc32c(content))
    }
}

impl BlockCache {
    /// Lands all pieces of a claim.
    pub(super) async fn fetch(
        &self,
        objects: &Arc<dyn ObjectStore>,
        source: &Source,
        claim: &Claim,
        kept: &BTreeSet<u64>,
    ) {
        if let Some(disk) = self.disk.get() {
            let look = |number| self.look_on_disk(disk, source, claim, number);
            stream::iter(claim.left()).for_each_concurrent(GETS_AT_ONCE, look).await;
        }
        let missing = runs(&claim.left(), source.size_bytes, self.rule.get_bytes_max);
        let fetch = |run| self.fetch_run(objects, source, claim, kept, run);
        stream::iter(missing).for_each_concurrent(GETS_AT_ONCE, fetch).await;
    }

    /// Lands a piece if the disk has it.
    async fn look_on_disk(&self, disk: &DiskTier, source: &Source, claim: &Claim, number: u64) {
        let (id, place) = (source.id(number), source.place(number));
        let content = match disk.get(id, place.end - place.start).await {
            Found::Nothing => return,
            Found::Piece(content) if source.is_right(number, &content) => content,
            Found::Piece(_) | Found::Damaged => {
                disk.damaged(id);
                return;
            }
        };
        disk.hit();
        self.checked_bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        self.memory.put(id, content.clone());
        claim.land(number, Ok((place, content)));
    }

    /// Lands the pieces of a run with what the store answers, unless nobody waits any more.
    async fn fetch_run(
        &self,
        objects: &Arc<dyn ObjectStore>,
        source: &Source,
        claim: &Claim,
        kept: &BTreeSet<u64>,
        run: Range<u64>,
    ) {
        let numbers = pieces_of(&run);
        if claim.give_up(numbers.clone()) {
            return;
        }
        self.misses.fetch_add(numbers.end - numbers.start, Ordering::Relaxed);
        let content = match self.get_run(objects, source, &run).await {
            Ok(content) => content,
            Err(error) => {
                return numbers.for_each(|number| claim.land(number, Err(Arc::clone(&error))));
            }
        };
        self.checked_bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        let piece = |number| part(&run, &content, &source.place(number));
        let is_right = |number| source.is_right(number, &piece(number));
        let sound = numbers.clone().all(is_right);
        for number in numbers {
            let landed = match sound {
                // The whole run, so that a range over several pieces needs no copy.
                true => Ok((run.clone(), content.clone())),
                false => self.verified(objects, source, piece(number), number).await,
            };
            if let Ok((place, content)) = &landed
                && kept.contains(&number)
            {
                self.keep(source.id(number), &part(place, content, &source.place(number)));
            }
            claim.land(number, landed);
        }
    }

    /// All bytes of a run, not compared yet.
    async fn get_run(
        &self,
        objects: &Arc<dyn ObjectStore>,
        source: &Source,
        run: &Range<u64>,
    ) -> Result<Bytes, Arc<Error>> {
        let content = get(objects, &source.path, run).await.map_err(Arc::new)?;
        if content.len() as u64 != run.end - run.start {
            let end = run.start + content.len() as u64;
            return Err(self.damaged(source, &format!("it ends at byte {end} of {}", source.size_bytes)));
        }
        Ok(content)
    }

    /// A piece, compared. One that differs is read once more, because a transfer can err, too.
    async fn verified(
        &self,
        objects: &Arc<dyn ObjectStore>,
        source: &Source,
        piece: Bytes,
        number: u64,
    ) -> Landed {
        let place = source.place(number);
        if source.is_right(number, &piece) {
            return Ok((place, piece));
        }
        let again = get(objects, &source.path, &place).await.map_err(Arc::new)?;
        if !source.is_right(number, &again) {
            let problem = format!("bytes {} to {} do not have their checksum", place.start, place.end);
            return Err(self.damaged(source, &problem));
        }
        tracing::warn!(path = %source.path, ?place, "a read erred, its repetition did not");
        Ok((place, again))
    }

    fn keep(&self, id: PieceId, content: &[u8]) {
        let content = Bytes::copy_from_slice(content);
        if let Some(disk) = self.disk.get() {
            disk.put(id, content.clone());
        }
        self.memory.put(id, content);
    }

    fn damaged(&self, source: &Source, problem: &str) -> Arc<Error> {
        self.damaged.fetch_add(1, Ordering::Relaxed);
        Arc::new(damaged_object(&source.path, problem))
    }
}

/// One request.
async fn get(objects: &Arc<dyn ObjectStore>, path: &Path, range: &Range<u64>) -> Result<Bytes> {
    let found = objects.get_ranges(path, std::slice::from_ref(range)).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}
