//! Centroids of one group: how many become fewer, and what they say about a percentile.
//!
//! The t-digest of DataFusion's `approx_percentile_cont` on a slice, so that groups need no
//! object of their own: the same bound on the weight of a centroid and the same interpolation,
//! and therefore the same answer wherever neither has put values together.

/// Values that lie close together: their mean, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Centroid {
    pub(super) mean: f64,
    pub(super) weight: f64,
}

/// Least and greatest value, which centroids forget. NaN is above all numbers and, if its sign
/// bit is set, below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Extremes {
    pub(super) fn of(value: f64) -> Self {
        Self { min: value, max: value }
    }

    pub(super) fn and(self, other: Self) -> Self {
        let min = if other.min.total_cmp(&self.min).is_lt() { other.min } else { self.min };
        let max = if other.max.total_cmp(&self.max).is_gt() { other.max } else { self.max };
        Self { min, max }
    }
}

/// Share of the weight that the first `k` of `most` centroids may hold: few at both ends, where
/// percentiles are asked for, many in the middle.
fn share(k: usize, most: usize) -> f64 {
    let part = k as f64 / most as f64;
    if part >= 0.5 {
        let rest = 1.0 - part;
        1.0 - 2.0 * rest * rest
    } else {
        2.0 * part * part
    }
}

/// Puts sorted centroids together until there are at most `most`; these are the first ones of
/// the slice then, sorted. Returns how many they are.
pub(super) fn compress(centroids: &mut [Centroid], most: usize) -> usize {
    let Some(first) = centroids.first() else { return 0 };
    let count: f64 = centroids.iter().map(|centroid| centroid.weight).sum();
    let (mut open, mut before, mut kept, mut k) = (*first, first.weight, 0, 1);
    for at in 1..centroids.len() {
        let next = centroids[at];
        before += next.weight;
        // The last one takes all that is left, whatever rounding says.
        if k >= most || before <= share(k, most) * count {
            open = together(open, next);
        } else {
            centroids[kept] = open;
            (open, kept, k) = (next, kept + 1, k + 1);
        }
    }
    centroids[kept] = open;
    // Rounding can change the order of two means that are nearly equal.
    centroids[..=kept].sort_by(|a, b| a.mean.total_cmp(&b.mean));
    kept + 1
}

fn together(a: Centroid, b: Centroid) -> Centroid {
    let weight = a.weight + b.weight;
    Centroid { mean: (a.mean * a.weight + b.mean * b.weight) / weight, weight }
}

/// The value below which the share `q` of all values lies, by sorted centroids; `None` of none.
pub(super) fn quantile(centroids: &[Centroid], extremes: Extremes, q: f64) -> Option<f64> {
    let last = centroids.len().checked_sub(1)?;
    if q <= 0.0 {
        return Some(extremes.min);
    }
    if q >= 1.0 {
        return Some(extremes.max);
    }
    let rank = q * centroids.iter().map(|centroid| centroid.weight).sum::<f64>();
    let (at, before) = if q > 0.5 { from_above(centroids, rank) } else { from_below(centroids, rank) };
    let mean = |at: usize| centroids[at].mean;
    // Between the neighbours values are taken to lie evenly.
    let (slope, min, max) = match at {
        _ if last == 0 => (0.0, extremes.min, extremes.max),
        0 => (mean(1) - mean(0), extremes.min, mean(1)),
        _ if at == last => (mean(at) - mean(at - 1), mean(at - 1), extremes.max),
        _ => ((mean(at + 1) - mean(at - 1)) / 2.0, mean(at - 1), mean(at + 1)),
    };
    let value = mean(at) + ((rank - before) / centroids[at].weight - 0.5) * slope;
    if min.is_nan() || max.is_nan() {
        return Some(value);
    }
    Some(value.clamp(min.min(max), max.max(min)))
}

/// The centroid that holds a rank, and the weight before it.
fn from_below(centroids: &[Centroid], rank: f64) -> (usize, f64) {
    let mut before = 0.0;
    for (at, centroid) in centroids.iter().enumerate() {
        if rank < before + centroid.weight {
            return (at, before);
        }
        before += centroid.weight;
    }
    (centroids.len() - 1, before)
}

/// The same, found from the other end: a rank on a border belongs to the upper one.
fn from_above(centroids: &[Centroid], rank: f64) -> (usize, f64) {
    let mut before: f64 = centroids.iter().map(|centroid| centroid.weight).sum();
    for (at, centroid) in centroids.iter().enumerate().rev() {
        before -= centroid.weight;
        if rank >= before {
            return (at, before);
        }
    }
    (0, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn singles(values: impl IntoIterator<Item = f64>) -> Vec<Centroid> {
        values.into_iter().map(|mean| Centroid { mean, weight: 1.0 }).collect()
    }

    #[test]
    fn centroids_become_at_most_as_many_as_wanted_and_keep_all_weight() {
        for (values, most) in [(1, 1), (10, 1), (10, 3), (201, 100), (10_000, 100), (10_000, 7)] {
            let mut centroids = singles((0..values).map(f64::from));
            let kept = compress(&mut centroids, most);
            assert!(kept <= most, "{kept} of at most {most}");
            let weight: f64 = centroids[..kept].iter().map(|centroid| centroid.weight).sum();
            assert_eq!(weight, f64::from(values));
            assert!(centroids[..kept].is_sorted_by(|a, b| a.mean <= b.mean));
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(compress(&mut [], 100), 0);
        assert_eq!(quantile(&[], Extremes::of(f64::NAN), 0.5), None);
    }

    #[test]
    fn the_ends_are_the_extremes() {
        let mut centroids = singles((0..1_000).map(f64::from));
        let kept = compress(&mut centroids, 5);
        let extremes = Extremes::of(0.0).and(Extremes::of(999.0));
        assert_eq!(quantile(&centroids[..kept], extremes, 0.0), Some(0.0));
        assert_eq!(quantile(&centroids[..kept], extremes, 1.0), Some(999.0));
    }
}
