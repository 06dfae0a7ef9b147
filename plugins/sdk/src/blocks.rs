//! Loops over columns, a block at a time: the host interrupts plugins at loop
//! ends, so that a loop of few, large steps is up to twice as fast as one of
//! many small ones.

/// Values per step.
const BLOCK: usize = 16;

/// Calls `found` for every index whose value is over `limit`.
#[inline]
pub fn each_over(values: &[u32], limit: u32, mut found: impl FnMut(usize)) {
    each_block(
        values,
        |block| block.iter().any(|value| *value > limit),
        |at, value| {
            if value > limit {
                found(at);
            }
        },
    );
}

/// Calls `found` for every index whose value is below `low` or above `high`.
#[inline]
pub fn each_outside(values: &[i64], low: i64, high: i64, mut found: impl FnMut(usize, i64)) {
    each_block(
        values,
        |block| block.iter().any(|value| *value < low || *value > high),
        |at, value| {
            if value < low || value > high {
                found(at, value);
            }
        },
    );
}

/// Looks closer at the blocks that `suspect` points out.
#[inline]
fn each_block<T: Copy>(values: &[T], suspect: impl Fn(&[T]) -> bool, mut look: impl FnMut(usize, T)) {
    let (blocks, rest) = values.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        if suspect(block) {
            block.iter().enumerate().for_each(|(at, value)| look(number * BLOCK + at, *value));
        }
    }
    let done = blocks.len() * BLOCK;
    rest.iter().enumerate().for_each(|(at, value)| look(done + at, *value));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(values in proptest::collection::vec(0_u32..100, 0..100), limit in 0_u32..100) {
            let mut found = Vec::new();
            each_over(&values, limit, |at| found.push(at));
            let plain: Vec<usize> = (0..values.len()).filter(|at| values[*at] > limit).collect();
            prop_assert_eq!(found, plain);
        }

        #[test]
        fn finds_both_sides(values in proptest::collection::vec(-50_i64..50, 0..100), low in -50_i64..0, high in 0_i64..50) {
            let mut found = Vec::new();
            each_outside(&values, low, high, |at, value| found.push((at, value)));
            let outside = |at: &usize| !(low..=high).contains(&values[*at]);
            let plain: Vec<_> = (0..values.len()).filter(outside).map(|at| (at, values[at])).collect();
            prop_assert_eq!(found, plain);
        }
    }
}
