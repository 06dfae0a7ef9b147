//! Pieces of files, runs of them, and cutting ranges out of what is there.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::PIECE_BYTES;

/// Numbers of the pieces that a range touches.
pub(super) fn pieces_of(range: &Range<u64>) -> Range<u64> {
    range.start / PIECE_BYTES..range.end.div_ceil(PIECE_BYTES)
}

/// Where a piece lies in a file of this size.
pub(super) fn piece_range(number: u64, size: u64) -> Range<u64> {
    number * PIECE_BYTES..((number + 1) * PIECE_BYTES).min(size)
}

/// Ascending piece numbers as ranges of bytes: neighbours together, up to `bytes_max`.
pub(super) fn runs(numbers: &[u64], size: u64, bytes_max: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        let place = piece_range(*number, size);
        match runs.last_mut() {
            Some(last) if last.end == place.start && place.end - last.start <= bytes_max => {
                last.end = place.end;
            }
            _ => runs.push(place),
        }
    }
    runs
}

/// What lies at `wanted`, out of `content`, which lies at `place` around it.
pub(super) fn part(place: &Range<u64>, content: &Bytes, wanted: &Range<u64>) -> Bytes {
    content.slice((wanted.start - place.start) as usize..(wanted.end - place.start) as usize)
}

/// A range out of what was found, which has all of it; a copy only where it is in parts.
pub(super) fn cut(range: &Range<u64>, found: &[(Range<u64>, Bytes)]) -> Bytes {
    let around = |place: &Range<u64>| place.start <= range.start && range.end <= place.end;
    if let Some((place, content)) = found.iter().find(|(place, _)| around(place)) {
        return part(place, content, range);
    }
    let mut whole = BytesMut::with_capacity((range.end - range.start) as usize);
    let mut at = range.start;
    while at < range.end {
        let here = found.iter().filter(|(place, _)| place.contains(&at));
        let Some((place, content)) = here.max_by_key(|(place, _)| place.end) else { break };
        let end = place.end.min(range.end);
        whole.extend_from_slice(&part(place, content, &(at..end)));
        at = end;
    }
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run_up_to_the_bound() {
        let check = |numbers: &[u64], size_mib: u64, max_mib: u64, want: &[Range<u64>]| {
            let mib = |range: &Range<u64>| range.start << 20..range.end << 20;
            let want: Vec<_> = want.iter().map(mib).collect();
            assert_eq!(runs(numbers, size_mib << 20, max_mib << 20), want, "{numbers:?}");
        };
        check(&[], 10, 8, &[]);
        check(&[0, 1, 2], 10, 8, &[0..3]);
        check(&[0, 2, 3], 10, 8, &[0..1, 2..4]);
        check(&[0, 1, 2, 3, 4], 10, 2, &[0..2, 2..4, 4..5]);
        assert_eq!(runs(&[1], (1 << 20) + 5, 8 << 20), [1 << 20..(1 << 20) + 5]);
    }

    #[test]
    fn a_range_is_cut_out_of_overlapping_parts() {
        let file: Vec<u8> = (0..100).collect();
        let at = |range: Range<u64>| {
            let content = Bytes::copy_from_slice(&file[range.start as usize..range.end as usize]);
            (range, content)
        };
        let found = [at(40..60), at(0..30), at(20..45), at(55..100)];
        for range in [0..100_u64, 5..25, 41..59, 29..46, 99..100] {
            assert_eq!(cut(&range, &found), file[range.start as usize..range.end as usize], "{range:?}");
        }
    }
}
