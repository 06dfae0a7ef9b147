//! Row groups of a file that come out even.
//!
//! Who reads a file shares its row groups out between threads, and the question takes as long as the
//! thread that has the most rows. Groups that are filled one after the other leave the last one with
//! whatever is left: of a million rows in groups of 128 Ki two threads get 524 and 476 thousand.
//!
//! Pages end where they are full, to the row. The writer looks whether one is full after each 1,024
//! rows of what it is handed, so pages of 8,192 rows came out with up to 9,200, each at places of its
//! own: a block of the index of tokens lay in two pages of each column, and both were decompressed.

use std::ops::Range;

use super::input::Opened;
use crate::files::parquet::Sizes;

/// Row groups are of even number, so that two threads have as many each.
const THREADS: usize = 2;

/// What is still to come of a merge, as far as the footers of its inputs tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// No fewer than will be written.
    rows: usize,
    bytes: u64,
}

impl Ahead {
    pub(super) fn of(opened: &[Opened]) -> Self {
        Self {
            rows: opened.iter().flat_map(Opened::row_groups).sum(),
            bytes: opened.iter().map(|file| file.source.size_bytes).sum(),
        }
    }

    /// Rows that all go into one file.
    pub(super) fn of_rows(rows: usize) -> Self {
        Self { rows, bytes: 0 }
    }

    /// Rows of the next file, if it is closed at so many bytes and rows go on as the inputs have
    /// them.
    fn of_file(&self, file_bytes: u64) -> usize {
        let share = u128::from(file_bytes) * self.rows as u128 / u128::from(self.bytes.max(1));
        self.rows.min(usize::try_from(share).unwrap_or(usize::MAX))
    }

    /// So many rows are written.
    pub(super) fn pass(&mut self, rows: usize) {
        let bytes = u128::from(self.bytes) * rows.min(self.rows) as u128 / self.rows.max(1) as u128;
        self.bytes -= u64::try_from(bytes).unwrap_or(self.bytes);
        self.rows = self.rows.saturating_sub(rows);
    }
}

/// Where the row groups of one file end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    rows: usize,
    count: usize,
    sizes: Sizes,
    /// Rows that are written, and the row where the group under way ends.
    at: usize,
    end: usize,
}

impl Groups {
    pub(super) fn new(sizes: Sizes, ahead: &Ahead, file_bytes: u64) -> Self {
        let rows = ahead.of_file(file_bytes);
        let count = match rows.div_ceil(sizes.page).div_ceil(sizes.pages()) {
            0 | 1 => 1,
            more => more.next_multiple_of(THREADS),
        };
        let mut groups = Self { rows, count, sizes, at: 0, end: 0 };
        groups.end = groups.end_after(0);
        groups
    }

    /// The end of the group that begins at a row: a multiple of a page's rows, which blocks of the
    /// index of tokens have, too. Rows beyond those that were expected go on in groups of full size.
    fn end_after(&self, from: usize) -> usize {
        let even = |group: usize| {
            let end = (self.rows as u128 * group as u128).div_ceil(self.count as u128);
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            (end + self.sizes.page / 2) / self.sizes.page * self.sizes.page
        };
        let full = from + self.sizes.pages() * self.sizes.page;
        // The last one takes what there is.
        (1..self.count).map(even).find(|end| *end > from).unwrap_or(full).min(full)
    }

    /// Cuts a batch that is written next where pages and groups end: each piece, and whether a group
    /// ends with it.
    pub(super) fn cut(&mut self, rows: usize) -> Vec<(Range<usize>, bool)> {
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < rows {
            let page_end = (self.at / self.sizes.page + 1) * self.sizes.page;
            let to = rows.min(from + self.end.min(page_end) - self.at);
            self.at += to - from;
            let ends = self.at == self.end;
            if ends {
                self.end = self.end_after(self.at);
            }
            pieces.push((from..to, ends));
            from = to;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOGS: Sizes = Sizes { row_group: 128 << 10, page: 8_192 };

    fn groups(rows: usize) -> Groups {
        Groups::new(LOGS, &Ahead { rows, bytes: 1 }, 1)
    }

    /// Rows of the groups that so many rows are written to, in batches.
    fn written(mut groups: Groups, rows: usize, batch: usize) -> Vec<usize> {
        let (mut ends, mut at) = (Vec::new(), 0);
        let mut last = 0;
        while at < rows {
            let size = batch.min(rows - at);
            let pieces = groups.cut(size);
            assert_eq!(pieces.iter().map(|(rows, _)| rows.len()).sum::<usize>(), size);
            for (piece, ends_here) in pieces {
                let page = |row: usize| row / LOGS.page;
                assert_eq!(page(at + piece.start), page(at + piece.end - 1), "{piece:?} from {at}");
                if ends_here {
                    ends.push(at + piece.end - last);
                    last = at + piece.end;
                }
            }
            at += size;
        }
        ends.extend((last < rows).then_some(rows - last));
        ends
    }

    #[test]
    fn a_million_lines_are_halves_of_one_size() {
        let groups = written(groups(1_000_000), 1_000_000, 5_000);
        assert_eq!(groups.len(), 8);
        assert_eq!(groups[..4].iter().sum::<usize>(), 61 * 8_192);
        assert!(groups.iter().all(|rows| *rows <= 128 << 10 && *rows >= 14 * 8_192), "{groups:?}");
    }

    #[test]
    fn few_rows_are_one_group() {
        assert_eq!(written(groups(100_000), 100_000, 9_999), [100_000]);
        assert!(written(groups(0), 0, 1).is_empty());
    }

    #[test]
    fn the_number_of_groups_is_even() {
        assert_eq!(written(groups(300_000), 300_000, 8_192), [73_728, 73_728, 73_728, 78_816]);
    }

    #[test]
    fn files_are_closed_where_they_are_full() {
        let mut ahead = Ahead { rows: 1_000_000, bytes: 40_000_000 };
        assert_eq!(ahead.of_file(10_000_000), 250_000);
        ahead.pass(500_000);
        assert_eq!((ahead.rows, ahead.bytes), (500_000, 20_000_000));
        assert_eq!(ahead.of_file(u64::MAX), 500_000);
        ahead.pass(600_000);
        assert_eq!((ahead.rows, ahead.bytes), (0, 0));
    }

    proptest! {
        #[test]
        fn no_group_is_too_large_whatever_was_expected(
            expected in 0_usize..3_000_000,
            rows in 0_usize..3_000_000,
            batch in 1_usize..200_000,
        ) {
            let written = written(groups(expected), rows, batch);
            prop_assert_eq!(written.iter().sum::<usize>(), rows);
            let full = written.len().saturating_sub(1);
            prop_assert!(written.iter().all(|rows| *rows <= 128 << 10));
            prop_assert!(written[..full].iter().all(|rows| rows % 8_192 == 0));
        }
    }
}
