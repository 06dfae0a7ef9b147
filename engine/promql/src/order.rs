//! Sorting that can be ended.

use std::cmp::Ordering;

use crate::error::Result;

/// Items that are sorted or merged before somebody asks whether to go on.
const UNCHECKED: usize = 1_024;

/// Sorts as `slice::sort_by` does, and asks `check` now and then whether to go on.
pub(crate) fn sorted_by<T>(
    items: Vec<T>,
    compare: impl Fn(&T, &T) -> Ordering,
    check: impl Fn() -> Result<()>,
) -> Result<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::with_capacity(items.len().div_ceil(UNCHECKED));
    let mut rest = items.into_iter();
    loop {
        check()?;
        let mut run: Vec<T> = rest.by_ref().take(UNCHECKED).collect();
        if run.is_empty() {
            break;
        }
        run.sort_by(&compare);
        runs.push(run);
    }
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pairs = runs.into_iter();
        while let Some(one) = pairs.next() {
            merged.push(match pairs.next() {
                Some(other) => merge(one, other, &compare, &check)?,
                None => one,
            });
        }
        runs = merged;
    }
    Ok(runs.pop().unwrap_or_default())
}

/// Of equal items those of the first come first.
fn merge<T>(
    one: Vec<T>,
    other: Vec<T>,
    compare: &impl Fn(&T, &T) -> Ordering,
    check: &impl Fn() -> Result<()>,
) -> Result<Vec<T>> {
    let mut merged = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    loop {
        if merged.len() % UNCHECKED == 0 {
            check()?;
        }
        let second = match (one.peek(), other.peek()) {
            (Some(first), Some(second)) => compare(second, first) == Ordering::Less,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => return Ok(merged),
        };
        merged.extend(if second { other.next() } else { one.next() });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::EvalError;

    /// Pairs of which only the first part counts, in an order that is no order.
    fn shuffled(count: usize) -> Vec<(usize, usize)> {
        (0..count).map(|at| (at.wrapping_mul(0x9e37_79b9) % 1_000, at)).collect()
    }

    #[test]
    fn the_order_is_that_of_a_stable_sort() {
        for count in [0, 1, UNCHECKED, UNCHECKED + 1, 5 * UNCHECKED + 7] {
            let mut wanted = shuffled(count);
            wanted.sort_by_key(|one| one.0);
            let got = sorted_by(shuffled(count), |one, other| one.0.cmp(&other.0), || Ok(())).unwrap();
            assert_eq!(got, wanted);
        }
    }

    #[test]
    fn it_ends_when_it_is_told_to() {
        let asked = Cell::new(0);
        let check = || {
            asked.set(asked.get() + 1);
            if asked.get() > 3 { Err(EvalError::internal("ended")) } else { Ok(()) }
        };
        assert!(sorted_by(shuffled(100_000), Ord::cmp, check).is_err());
        assert_eq!(asked.get(), 4);
    }
}
