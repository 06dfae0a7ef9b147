//! How files are shared out between threads.
//!
//! DataFusion gives each thread as many files as the others, or as many bytes of one. Files are as
//! large as their day has rows: beside a day of which two minutes are there, another one was read by
//! one thread alone. And the bytes behind the last row group, filters and indexes of pages, are no
//! work: of a file with eight row groups the first thread got five. So threads get as many rows
//! each, as near as row groups let them.
//!
//! Where there is a thread for each file, no share has parts of two: a file is sorted, and so is a
//! part of it, and whoever needs the order of the table merges the shares. Then there may be more
//! shares than threads. Where there are more files than that, nothing is sorted anyway.
//!
//! Where an index says which rows are wanted, only those count, and no thread is woken for row groups
//! without any.

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

/// Where row groups begin is not known of a file whose footer is not in memory. Then it is taken to
/// be so many pieces of one size.
const PIECES: u64 = 16;

/// A row group of which few rows are wanted takes longer than those, because each of its columns gets
/// a reader. No less than so many rows, an estimate: for lines found by a token two row groups with
/// four pages took 5 ms and two with two pages 4.7.
const OPENED_ROWS: u64 = 16_384;

/// A file to be shared out.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    file: PartitionedFile,
    pieces: Vec<Piece>,
}

/// What lies from one byte of a file up to the next piece.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: u64,
    /// Rows, or what takes as long to read as so many.
    rows: u64,
}

impl Shared {
    /// A file of so many rows, of which these are wanted, or all.
    pub(super) fn new(
        file: PartitionedFile,
        rows: u64,
        footer: Option<&ParquetMetaData>,
        wanted: Option<&RowSelection>,
    ) -> Self {
        let pieces = match footer {
            Some(footer) => {
                let mut pieces: Vec<_> = footer.row_groups().iter().map(piece).collect();
                if let Some(wanted) = wanted {
                    keep_wanted(&mut pieces, wanted);
                }
                pieces
            }
            None => {
                let from = |piece| file.object_meta.size / PIECES * piece;
                (0..PIECES).map(|piece| Piece { from: from(piece), rows: rows.div_ceil(PIECES) }).collect()
            }
        };
        Self { file, pieces }
    }

    fn rows(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.rows).sum()
    }

    /// The pieces from one to another.
    fn part(&self, from: usize, to: usize) -> PartitionedFile {
        if (from, to) == (0, self.pieces.len()) {
            return self.file.clone();
        }
        let begin = if from == 0 { 0 } else { self.pieces[from].from };
        let end = self.pieces.get(to).map_or(self.file.object_meta.size, |next| next.from);
        self.file.clone().with_range(begin.cast_signed(), end.cast_signed())
    }
}

/// A row group, which a range of bytes has if it has the first one of its first column.
fn piece(group: &RowGroupMetaData) -> Piece {
    let column = group.column(0);
    let from = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    Piece { from: from.unsigned_abs(), rows: group.num_rows().unsigned_abs() }
}

/// Leaves only what is wanted in the pieces of a file.
fn keep_wanted(pieces: &mut [Piece], wanted: &RowSelection) {
    let mut selectors = wanted.iter().copied();
    let (mut left, mut selects) = (0, false);
    for piece in pieces {
        let (mut rows, mut found) = (piece.rows, 0);
        while rows > 0 {
            if left == 0 {
                let Some(next) = selectors.next() else { break };
                (left, selects) = (next.row_count as u64, !next.skip);
            }
            let taken = left.min(rows);
            found += if selects { taken } else { 0 };
            (rows, left) = (rows - taken, left - taken);
        }
        piece.rows = if found == 0 { 0 } else { found + OPENED_ROWS };
    }
}

/// Shares of files for so many threads. Files of fewer bytes, all together, stay whole.
pub(super) fn shares(mut files: Vec<Shared>, threads: usize, split_bytes_min: u64) -> Vec<FileGroup> {
    let bytes: u64 = files.iter().map(|file| file.file.object_meta.size).sum();
    let rows: u64 = files.iter().map(Shared::rows).sum();
    if bytes < split_bytes_min || threads < 2 {
        return FileGroup::new(files.into_iter().map(|file| file.file).collect()).split_files(threads);
    }
    files.sort_by(|a, b| a.file.path().cmp(b.file.path()));
    if files.len() > threads {
        return cut(&files, threads as u64);
    }
    let share = rows.div_ceil(threads as u64).max(1);
    let parts = |file: &Shared| ((file.rows() + share / 2) / share).max(1);
    files.iter().flat_map(|file| cut(std::slice::from_ref(file), parts(file))).collect()
}

/// So many shares of files one behind the other, each cut at the piece that is next to where they
/// were even. None is empty, and none has only what nobody wants if another has more.
fn cut(files: &[Shared], count: u64) -> Vec<FileGroup> {
    let all: u64 = files.iter().map(Shared::rows).sum();
    let (mut groups, mut group) = (Vec::new(), Vec::new());
    let (mut before, mut made, mut gathered) = (0, 1, 0);
    for file in files {
        let mut from = 0;
        for (at, piece) in file.pieces.iter().enumerate() {
            // Where the share under way ends if all are even.
            let end = u64::try_from(u128::from(all) * u128::from(made) / u128::from(count)).unwrap_or(all);
            let is_even = before + piece.rows / 2 >= end;
            if made < count && is_even && gathered > 0 && before < all {
                group.extend((from < at).then(|| file.part(from, at)));
                groups.push(FileGroup::new(std::mem::take(&mut group)));
                (from, made, gathered) = (at, made + 1, 0);
            }
            before += piece.rows;
            gathered += piece.rows;
        }
        group.push(file.part(from, file.pieces.len()));
    }
    groups.extend((!group.is_empty()).then(|| FileGroup::new(group)));
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file of row groups with so many rows, ten bytes a row, and as many bytes behind them.
    fn file(at: usize, groups: &[u64]) -> Shared {
        let mut from = 0;
        let mut piece = |rows: &u64| {
            let piece = Piece { from: from + 4, rows: *rows };
            from += 10 * rows;
            piece
        };
        let pieces = groups.iter().map(&mut piece).collect();
        Shared { file: PartitionedFile::new(format!("{at:04}"), 2 * from), pieces }
    }

    /// The row groups of each share, as (file, row group).
    fn shared(files: &[&[u64]], threads: usize) -> Vec<Vec<(usize, usize)>> {
        let files: Vec<Shared> = files.iter().enumerate().map(|(at, groups)| file(at, groups)).collect();
        let groups_of = |part: &PartitionedFile| {
            let at: usize = part.path().as_ref().parse().unwrap();
            let (from, to) = part.range();
            let inside = |piece: &Piece| (from..to).contains(&piece.from);
            let pieces = files[at].pieces.iter().enumerate().filter(|(_, piece)| inside(piece));
            pieces.map(|(group, _)| (at, group)).collect::<Vec<_>>()
        };
        let shares = shares(files.clone(), threads, 100);
        shares.iter().map(|share| share.iter().flat_map(groups_of).collect()).collect()
    }

    fn check(files: &[&[u64]], threads: usize, wanted: &[&[(usize, usize)]]) {
        assert_eq!(shared(files, threads), wanted, "{files:?} between {threads}");
    }

    #[test]
    fn one_file_is_split() {
        check(&[&[9, 9, 9, 9]], 2, &[&[(0, 0), (0, 1)], &[(0, 2), (0, 3)]]);
        check(&[&[9, 9, 9, 9]], 3, &[&[(0, 0)], &[(0, 1), (0, 2)], &[(0, 3)]]);
        check(&[&[9, 1, 1, 1, 6]], 2, &[&[(0, 0)], &[(0, 1), (0, 2), (0, 3), (0, 4)]]);
    }

    #[test]
    fn nobody_is_woken_for_nothing() {
        check(&[&[0, 9, 0, 0]], 2, &[&[(0, 0), (0, 1), (0, 2), (0, 3)]]);
        check(&[&[0, 9, 0, 9]], 2, &[&[(0, 0), (0, 1)], &[(0, 2), (0, 3)]]);
        check(&[&[9, 9, 0, 0]], 2, &[&[(0, 0)], &[(0, 1), (0, 2), (0, 3)]]);
    }

    #[test]
    fn rows_that_are_wanted() {
        let select = RowSelection::from_consecutive_ranges([5..6, 10..12, 19..25].into_iter(), 40);
        let mut pieces = [10, 5, 5, 10, 10].map(|rows| Piece { from: 0, rows });
        keep_wanted(&mut pieces, &select);
        assert_eq!(pieces.map(|piece| piece.rows.saturating_sub(OPENED_ROWS)), [1, 2, 1, 5, 0]);
        assert_eq!(pieces[4].rows, 0);
    }

    #[test]
    fn a_large_file_beside_a_small_one_is_split() {
        check(&[&[3], &[50, 50]], 2, &[&[(0, 0)], &[(1, 0)], &[(1, 1)]]);
        check(&[&[60], &[20, 20]], 2, &[&[(0, 0)], &[(1, 0), (1, 1)]]);
    }

    #[test]
    fn many_files_are_read_one_after_the_other() {
        check(&[&[10], &[10], &[40, 40]], 2, &[&[(0, 0), (1, 0), (2, 0)], &[(2, 1)]]);
    }

    #[test]
    fn little_stays_whole() {
        check(&[&[1, 1], &[2]], 2, &[&[(0, 0), (0, 1)], &[(1, 0)]]);
        check(&[&[100, 100]], 1, &[&[(0, 0), (0, 1)]]);
        check(&[], 2, &[]);
    }

    #[test]
    fn a_file_without_a_footer_is_split_by_bytes() {
        let file = PartitionedFile::new("a", 1_600);
        let shares = shares(vec![Shared::new(file, 1_000, None, None)], 2, 100);
        let ranges: Vec<_> =
            shares.iter().flat_map(|share| share.iter().map(PartitionedFile::range)).collect();
        assert_eq!(ranges, [(0, 800), (800, 1_600)]);
    }

    fn rows_of_files() -> impl Strategy<Value = Vec<Vec<u64>>> {
        let groups = proptest::collection::vec(prop_oneof![1 => Just(0), 3 => 1_u64..1_000], 1..9);
        let wanted = groups.prop_filter("no row is wanted", |groups| groups.iter().any(|rows| *rows > 0));
        proptest::collection::vec(wanted, 0..8)
    }

    proptest! {
        #[test]
        fn every_row_group_is_in_one_share(files in rows_of_files(), threads in 1_usize..9) {
            let given: Vec<&[u64]> = files.iter().map(Vec::as_slice).collect();
            let shares = shared(&given, threads);
            let found: Vec<_> = shares.iter().flatten().copied().collect();
            let all = |(file, groups): (usize, &Vec<u64>)| (0..groups.len()).map(move |group| (file, group)).collect::<Vec<_>>();
            let wanted: Vec<_> = files.iter().enumerate().flat_map(all).collect();
            prop_assert_eq!(found, wanted);
            let rows = |share: &[(usize, usize)]| share.iter().map(|(file, group)| files[*file][*group]).sum::<u64>();
            prop_assert!(shares.iter().all(|share| rows(share) > 0));
            prop_assert!(shares.len() <= threads + files.len().min(threads));
        }

        #[test]
        fn no_share_is_far_from_even(files in rows_of_files(), threads in 2_usize..9) {
            let given: Vec<&[u64]> = files.iter().map(Vec::as_slice).collect();
            let all: u64 = files.iter().flatten().sum();
            let largest = files.iter().flatten().copied().max().unwrap_or(0);
            prop_assume!(20 * all >= 100);
            // A file that is not split has up to one and a half shares, and a cut may be half a row
            // group from where it should be, at both ends.
            let most = all.div_ceil(threads as u64) * 3 / 2 + largest + 1;
            for share in shared(&given, threads) {
                let rows: u64 = share.iter().map(|(file, group)| files[*file][*group]).sum();
                prop_assert!(rows <= most, "{} of {}", rows, most);
            }
        }
    }
}
