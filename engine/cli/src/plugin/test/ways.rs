//! The ways in which the rows of a case are shown: a plugin is a pure function of rows, so neither
//! where a batch is cut nor the order of rows may change what it says.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// How often the rows are cut at other places, in each order.
const CUTS: u64 = 3;

/// What is wrong where another way gives another answer.
pub(super) const DEPENDS: &str =
    "the answer depends on how rows are cut or ordered, which no plugin may do; shown";

/// A way to show rows.
#[derive(Debug)]
pub(super) struct Way {
    /// In words, for when it fails.
    pub(super) name: String,
    /// Numbers of rows by batch.
    pub(super) batches: Vec<Vec<usize>>,
}

/// All ways for so many rows; the first is the plain one. The same seed gives the same ways.
pub(super) fn all(rows: usize, seed: u64) -> Vec<Way> {
    let given: Vec<usize> = (0..rows).collect();
    let mut shuffled = given.clone();
    shuffled.shuffle(&mut StdRng::seed_from_u64(seed));
    let mut ways = vec![Way { name: "as given".to_owned(), batches: vec![given.clone()] }];
    if rows > 1 {
        ways.push(Way { name: format!("in another order (seed {seed})"), batches: vec![shuffled.clone()] });
        for cut in 0..CUTS {
            for (order, name) in [(&given, "cut"), (&shuffled, "in another order and cut")] {
                let mut random = StdRng::seed_from_u64(seed ^ (cut + 1) << 32);
                let batches = cut_at_random(order, &mut random);
                let sizes: Vec<_> = batches.iter().map(|batch| batch.len().to_string()).collect();
                ways.push(Way {
                    name: format!("{name} into {} rows (seed {seed})", sizes.join(" + ")),
                    batches,
                });
            }
        }
    }
    ways
}

fn cut_at_random(rows: &[usize], random: &mut StdRng) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        // Never all of them at first: that is the plain way.
        let most = if batches.is_empty() { rest.len() - 1 } else { rest.len() };
        let (batch, others) = rest.split_at(random.random_range(1..=most.max(1)));
        batches.push(batch.to_vec());
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_shows_every_row_once() {
        for rows in [0, 1, 2, 3, 10, 100] {
            let ways = all(rows, 7);
            assert_eq!(ways.len(), if rows > 1 { 8 } else { 1 });
            for way in &ways {
                let mut shown = way.batches.concat();
                shown.sort_unstable();
                assert_eq!(shown, (0..rows).collect::<Vec<_>>(), "{}", way.name);
            }
            assert!(ways.iter().skip(2).all(|way| way.batches.len() > 1));
            let again: Vec<_> = all(rows, 7).into_iter().map(|way| way.batches).collect();
            assert_eq!(again, ways.into_iter().map(|way| way.batches).collect::<Vec<_>>());
        }
    }
}
