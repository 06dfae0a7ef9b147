//! Columns that are written as they are.
//!
//! zstd makes nothing smaller of ids, which are noise, nor of the packed keys of a dictionary whose
//! values come in no order, nor of a column that has one value. Who reads a column that is
//! compressed makes two contexts of zstd for each of its row groups, which takes 20 µs on a virtual
//! machine: zstd asks the processor what it can do, and the hypervisor answers. A span that is read
//! whole has 39 columns. So what saves hardly a byte of a row is not compressed either: lists of
//! events, of which most spans have none, or a status that is nearly always the same.

use std::collections::HashMap;

use ::parquet::basic::Compression;
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use ::parquet::file::properties::WriterPropertiesBuilder;
use ::parquet::schema::types::ColumnPath;

use super::input::Opened;

/// What so many bytes of a column became tells what zstd makes of more of them.
const TELLING_BYTES: u64 = 64 << 10;

/// A byte for so many rows is not worth zstd.
const ROWS_PER_BYTE: u64 = 64;

/// Nor is what saves this part of all bytes, as long as all such columns together have no more than the
/// other.
const PART_OF_ALL: u64 = 500;
const PART_TOGETHER: u64 = 100;

/// Of what is written, columns of which zstd saved little in the inputs: 3 % of the column, or 0.2 %
/// of all columns and 1 % together.
pub(super) fn with_plain(properties: WriterPropertiesBuilder, opened: &[Opened]) -> WriterPropertiesBuilder {
    let groups: Vec<_> = opened.iter().flat_map(|file| file.parquet().row_groups()).collect();
    let rows = groups.iter().map(|group| group.num_rows().unsigned_abs()).sum();
    let (columns, all) = columns(&groups);
    let mut columns: Vec<_> = columns.iter().map(|(path, column)| (column.saves(rows), *path)).collect();
    columns.sort_unstable_by(|a, b| (a.0, a.1.parts()).cmp(&(b.0, b.1.parts())));
    worthless(&columns, all).iter().fold(properties, |properties, (_, path)| {
        properties.set_column_compression(ColumnPath::clone(path), Compression::UNCOMPRESSED)
    })
}

/// The columns that save least, of those that come with what zstd saves, ascending.
fn worthless<T>(columns: &[(u64, T)], all: u64) -> &[(u64, T)] {
    let mut together = 0;
    let count = columns.iter().take_while(|(saves, _)| {
        together = u64::saturating_add(together, *saves);
        saves.saturating_mul(PART_OF_ALL) <= all && together.saturating_mul(PART_TOGETHER) <= all
    });
    &columns[..count.count()]
}

/// Columns of row groups, and the bytes that all of them have as they are.
fn columns<'g>(groups: &[&'g RowGroupMetaData]) -> (HashMap<&'g ColumnPath, Sizes>, u64) {
    let mut columns: HashMap<_, Sizes> = HashMap::new();
    let mut all = 0;
    for chunk in groups.iter().flat_map(|group| group.columns()) {
        columns.entry(chunk.column_path()).or_default().add(chunk);
        all += chunk.compressed_size().unsigned_abs();
    }
    (columns, all)
}

/// Bytes of a column.
#[derive(Debug, Default)]
struct Sizes {
    /// Of what is compressed: before and after.
    before: u64,
    after: u64,
    /// Of what is not.
    plain: u64,
}

impl Sizes {
    fn add(&mut self, chunk: &ColumnChunkMetaData) {
        let bytes = chunk.uncompressed_size().unsigned_abs();
        if chunk.compression() == Compression::UNCOMPRESSED {
            self.plain += bytes;
        } else {
            self.before += bytes;
            self.after += chunk.compressed_size().unsigned_abs();
        }
    }

    /// Bytes that zstd saves among so many rows; none where that is little of the column itself.
    fn saves(&self, rows: u64) -> u64 {
        let bytes = self.before + self.plain;
        let is_telling = self.before >= TELLING_BYTES;
        // Or it was told when they were written.
        if bytes * ROWS_PER_BYTE <= rows || (!is_telling && self.before < self.plain) {
            return 0;
        }
        let saved = self.before.saturating_sub(self.after);
        if is_telling && saved * 100 <= self.before * 3 {
            return 0;
        }
        let of_all = u128::from(saved) * u128::from(bytes) / u128::from(self.before.max(1));
        u64::try_from(of_all).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 500,000 rows.
    fn check([before, after, plain]: [u64; 3], wanted: u64) {
        let sizes = Sizes { before, after, plain };
        assert_eq!(sizes.saves(500_000), wanted, "{sizes:?}");
    }

    #[test]
    fn noise_and_nothing_save_nothing() {
        check([4_000_000, 4_002_000, 0], 0);
        check([4_000_000, 3_880_000, 0], 0);
        check([4_000_000, 3_870_000, 0], 130_000);
        check([7_000, 9_000, 0], 0);
        check([0, 0, 7_000], 0);
        check([9_000, 9_100, 0], 0);
        check([9_000, 8_900, 0], 100);
    }

    #[test]
    fn what_was_told_once_holds_until_it_is_told_again() {
        check([0, 0, 4_000_000], 0);
        check([20_000, 10_000, 4_000_000], 0);
        check([80_000, 40_000, 4_000_000], 2_040_000);
        check([10_000, 5_000, 9_000], 9_500);
    }

    #[test]
    fn what_saves_least_is_worthless() {
        let check = |columns: &[u64], wanted: usize| {
            let columns: Vec<_> = columns.iter().map(|saves| (*saves, ())).collect();
            assert_eq!(worthless(&columns, 1_000_000).len(), wanted, "{columns:?}");
        };
        check(&[], 0);
        check(&[0, 0, 0], 3);
        check(&[0, 1_999, 2_000, 2_001], 3);
        check(&[1_500; 9], 6);
    }
}
