//! How a batch is cut into calls.
//!
//! A request may hold 64 MiB; a guest has 64 MiB of memory in all. So that no
//! sender can make a plugin fail by the size of a batch alone, a plugin is shown
//! at most so many rows and bytes at a time. Plugins are pure functions of rows,
//! so this changes no answer.

use std::ops::Range;

use crate::columns::Prepared;

/// Bounds of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallSize {
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: usize,
}

/// Cuts `rows` rows of `columns` into ranges within `size`; a single row over
/// the size is a call of its own.
pub(crate) fn cuts(rows: usize, columns: &[(u16, &Prepared)], size: CallSize) -> Vec<Range<usize>> {
    if columns.is_empty() {
        // Nothing but the number of rows is shown.
        return vec![0..rows];
    }
    let large: Vec<_> = columns.iter().filter_map(|(_, c)| c.large_dictionary().map(|d| (*c, d))).collect();
    let values: usize = large.iter().map(|(_, (_, values))| values.data.len()).sum();
    if rows <= size.rows_max && bytes(columns, &(0..rows)) + values <= size.bytes_max {
        return vec![0..rows];
    }
    let mut seen: Vec<Vec<u32>> = large.iter().map(|(_, (_, values))| vec![0; values.len()]).collect();
    let mut cuts = Vec::new();
    let mut start = 0;
    while start < rows {
        let mut end = rows.min(start + size.rows_max);
        if !large.is_empty() {
            end = until_values(&large, &mut seen, start..end, size.bytes_max / 2, cuts.len() as u32 + 1);
        }
        let room = if large.is_empty() { size.bytes_max } else { size.bytes_max / 2 };
        end = until_bytes(columns, start..end, room);
        cuts.push(start..end);
        start = end;
    }
    cuts
}

fn bytes(columns: &[(u16, &Prepared)], rows: &Range<usize>) -> usize {
    columns.iter().map(|(_, column)| column.bytes_of(rows)).sum()
}

/// The longest start of `rows` whose columns have at most `bytes_max` bytes.
fn until_bytes(columns: &[(u16, &Prepared)], rows: Range<usize>, bytes_max: usize) -> usize {
    let (mut fits, mut end) = (rows.start + 1, rows.end);
    while fits < end {
        let middle = fits + (end - fits).div_ceil(2);
        match bytes(columns, &(rows.start..middle)) <= bytes_max {
            true => fits = middle,
            false => end = middle - 1,
        }
    }
    fits
}

type Large<'a> = (&'a Prepared, (&'a arrow_buffer::ScalarBuffer<u32>, &'a crate::columns::Text));

/// The longest start of `rows` that uses at most `bytes_max` bytes of distinct
/// values of large dictionaries. `seen` marks values by the number of the cut.
fn until_values(
    large: &[Large<'_>],
    seen: &mut [Vec<u32>],
    rows: Range<usize>,
    bytes_max: usize,
    cut: u32,
) -> usize {
    let mut used = 0;
    for row in rows.clone() {
        for ((column, (keys, values)), seen) in large.iter().zip(&mut *seen) {
            for entry in column.entries_in(&(row..row + 1)) {
                let key = keys[entry] as usize;
                if let Some(mark) = seen.get_mut(key).filter(|mark| **mark != cut) {
                    *mark = cut;
                    used += values.value(key).len() + 4;
                }
            }
        }
        if used > bytes_max && row > rows.start {
            return row;
        }
    }
    rows.end
}

#[cfg(test)]
mod tests;
