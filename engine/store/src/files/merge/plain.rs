//! Columns that are written as they are.
//!
//! zstd makes nothing smaller of ids, which are noise, nor of the packed keys of a dictionary whose
//! values come in no order, nor of a column that has one value. Who reads a column that is
//! compressed makes two contexts of zstd for each of its row groups, which takes 20 µs on a virtual
//! machine: zstd asks the processor what it can do, and the hypervisor answers. A span that is read
//! whole has 39 columns.

use ::parquet::basic::Compression;
use ::parquet::file::metadata::RowGroupMetaData;
use ::parquet::file::properties::WriterPropertiesBuilder;
use ::parquet::schema::types::ColumnPath;
use isinglass_model::tables::Table;

use super::input::Opened;

/// What so many bytes of a column became tells what zstd makes of more of them.
const TELLING_BYTES: u64 = 64 << 10;

/// A byte for so many rows is not worth zstd.
const ROWS_PER_BYTE: u64 = 64;

/// Of what is written, columns of the table that zstd left as large in the inputs, at 97 % and more.
pub(super) fn with_plain(
    properties: WriterPropertiesBuilder,
    table: &Table,
    opened: &[Opened],
) -> WriterPropertiesBuilder {
    let groups: Vec<_> = opened.iter().flat_map(|file| file.parquet().row_groups()).collect();
    let plain = table.columns.iter().filter(|column| Sizes::of(&groups, column.name).are_plain());
    plain.fold(properties, |properties, column| {
        let path = ColumnPath::new(vec![column.name.to_owned()]);
        properties.set_column_compression(path, Compression::UNCOMPRESSED)
    })
}

/// Bytes of a column at the top.
#[derive(Debug, Default)]
struct Sizes {
    rows: u64,
    /// Of what is compressed: before and after.
    before: u64,
    after: u64,
    /// Of what is not.
    plain: u64,
}

impl Sizes {
    fn of(groups: &[&RowGroupMetaData], name: &str) -> Self {
        let mut sizes = Self::default();
        for group in groups {
            sizes.rows += group.num_rows().unsigned_abs();
            let chunk = group.columns().iter().find(|chunk| chunk.column_path().parts() == [name]);
            let Some(chunk) = chunk else { continue };
            let bytes = chunk.uncompressed_size().unsigned_abs();
            if chunk.compression() == Compression::UNCOMPRESSED {
                sizes.plain += bytes;
            } else {
                sizes.before += bytes;
                sizes.after += chunk.compressed_size().unsigned_abs();
            }
        }
        sizes
    }

    fn are_plain(&self) -> bool {
        if (self.before + self.plain) * ROWS_PER_BYTE <= self.rows {
            return true;
        }
        if self.before >= TELLING_BYTES {
            self.after * 100 >= self.before * 97
        } else {
            // It was told when they were written.
            self.plain >= TELLING_BYTES
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: u64, [before, after, plain]: [u64; 3], wanted: bool) {
        assert_eq!(
            Sizes { rows, before, after, plain }.are_plain(),
            wanted,
            "{rows} {before} {after} {plain}"
        );
    }

    #[test]
    fn noise_and_nothing_are_plain() {
        check(500_000, [4_000_000, 4_002_000, 0], true);
        check(500_000, [4_000_000, 3_880_000, 0], true);
        check(500_000, [4_000_000, 3_870_000, 0], false);
        check(500_000, [7_000, 9_000, 0], true);
        check(500_000, [0, 0, 7_000], true);
        check(500_000, [9_000, 9_100, 0], false);
    }

    #[test]
    fn what_was_told_once_holds_until_it_is_told_again() {
        check(500_000, [0, 0, 4_000_000], true);
        check(500_000, [20_000, 10_000, 4_000_000], true);
        check(500_000, [80_000, 40_000, 4_000_000], false);
        check(500_000, [0, 0, 9_000], false);
    }
}
