//! Looking at a few rows all over the inputs.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use object_store::ObjectStore;

use super::sample::Sample;
use crate::files::Result;
use crate::files::merge::input::Opened;
use crate::files::merge::worker::Worker;

/// Rows that are looked at in one place.
const SPOT_ROWS: usize = 512;

/// From one place to the next where there is no bound on their number: four in a row group of
/// logs, so that of its sixteen pages twelve stay shut.
const STRIDE_ROWS: usize = 32 << 10;

/// Places of few rows, as far as there are so many.
const SPOTS_MIN: usize = 16;

/// Places of many rows. What stands in a twentieth of the rows is met in six of them.
const SPOTS_MAX: usize = 128;

/// Looks at some rows of the map `column` of all inputs. A row group whose map does not fit
/// into `room` bytes is passed over.
pub(in crate::files::merge) async fn sample(
    objects: &Arc<dyn ObjectStore>,
    worker: &Worker,
    inputs: &[Opened],
    column: &str,
    room: usize,
) -> Result<Sample> {
    let rows: Vec<usize> = inputs.iter().flat_map(|input| input.row_groups()).collect();
    let mut spots = spots(&rows).into_iter();
    let mut sample = Sample::default();
    for input in inputs {
        for (group, spots) in (0..input.row_groups().count()).zip(spots.by_ref()) {
            let looked_at: usize = spots.iter().map(Range::len).sum();
            if looked_at == 0 {
                continue;
            }
            let mut decoder = input.glance(group, column, spots, room)?;
            sample.rows += looked_at as u64;
            while let Some(next) = decoder.take() {
                let Some((next, rows)) = input.decode(objects, worker, next).await? else { break };
                decoder = Some(next);
                count(&mut sample, &rows, column).map_err(|problem| input.damaged(problem))?;
            }
        }
    }
    Ok(sample)
}

fn count(sample: &mut Sample, rows: &RecordBatch, column: &str) -> Result<(), String> {
    let map = rows.column_by_name(column).and_then(|array| array.as_map_opt());
    let map = map.ok_or_else(|| format!("column {column} is no map"))?;
    debug_assert_eq!(map.len(), rows.num_rows());
    sample.push(map)
}

/// Which rows of each row group are looked at: as far apart from each other over all of them.
fn spots(row_groups: &[usize]) -> Vec<Vec<Range<usize>>> {
    let all: usize = row_groups.iter().sum();
    let stride = STRIDE_ROWS.min(all / SPOTS_MIN).max(all.div_ceil(SPOTS_MAX)).max(SPOT_ROWS);
    let mut spot = (stride - SPOT_ROWS) / 2;
    let mut start = 0;
    let of_group = |rows: &usize| {
        let end = start + rows;
        let mut spots = Vec::new();
        while spot < end {
            let rows = spot.max(start) - start..end.min(spot + SPOT_ROWS) - start;
            spots.extend(Some(rows).filter(|rows| !rows.is_empty()));
            if spot + SPOT_ROWS > end {
                break;
            }
            spot += stride;
        }
        start = end;
        spots
    };
    row_groups.iter().map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(row_groups: &[usize], want: &[&[Range<usize>]]) {
        assert_eq!(spots(row_groups), want);
    }

    #[test]
    fn few_rows_are_all_looked_at() {
        check(&[], &[]);
        check(&[0, 3, 0], &[&[], &[0..3], &[]]);
        check(&[10, 1_000], &[&[0..10], &[0..502, 502..1_000]]);
    }

    #[test]
    fn of_many_rows_some_everywhere() {
        for of_group in spots(&[128 << 10; 8]) {
            assert_eq!(of_group.len(), 4);
            assert!(of_group.iter().all(|spot| spot.len() == SPOT_ROWS));
            assert!(of_group.windows(2).all(|pair| pair[1].start - pair[0].start == STRIDE_ROWS));
        }
    }

    proptest! {
        #[test]
        fn they_are_in_order_and_bounded(groups in prop::collection::vec(0_usize..3_000_000, 0..40)) {
            let spots = spots(&groups);
            prop_assert_eq!(spots.len(), groups.len());
            let all: usize = groups.iter().sum();
            let mut looked_at = 0;
            for (rows, spots) in groups.iter().zip(&spots) {
                prop_assert!(spots.iter().all(|spot| spot.start < spot.end && spot.end <= *rows));
                prop_assert!(spots.windows(2).all(|pair| pair[0].end <= pair[1].start));
                looked_at += spots.iter().map(Range::len).sum::<usize>();
            }
            prop_assert!(looked_at <= SPOTS_MAX * SPOT_ROWS);
            prop_assert!(looked_at >= all.min((SPOTS_MIN - 1) * SPOT_ROWS), "{} of {}", looked_at, all);
        }
    }
}
