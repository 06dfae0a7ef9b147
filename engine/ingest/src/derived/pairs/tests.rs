use std::collections::BTreeMap;

use isinglass_model::deltas::{DerivedKind, DerivedLabel, HalfKey, PairRule};
use proptest::prelude::*;

use super::*;

const WAIT_MS: u32 = 10_000;

fn metrics() -> Vec<DerivedMetric> {
    vec![
        DerivedMetric::new("pairs", DerivedKind::Counter, vec![]),
        DerivedMetric::new("failed", DerivedKind::Counter, vec![]),
        DerivedMetric::new("first", DerivedKind::Histogram, vec![1.0, 2.0]),
        DerivedMetric::new("second", DerivedKind::Histogram, vec![1.0, 2.0]),
        DerivedMetric::new("gap", DerivedKind::Histogram, vec![1.0, 2.0]),
        DerivedMetric::new("unpaired", DerivedKind::Counter, vec![]),
        DerivedMetric::new("dropped", DerivedKind::Counter, vec![]),
        DerivedMetric::new("seen", DerivedKind::Gauge, vec![]),
    ]
}

fn pairing(pending_max: u32) -> Pairing {
    let rules = [
        PairRule::Pairs,
        PairRule::Marked,
        PairRule::FirstValue,
        PairRule::SecondValue,
        PairRule::Gap,
        PairRule::Unpaired,
        PairRule::Dropped,
        PairRule::Presence,
    ];
    Pairing {
        wait_ms: WAIT_MS,
        pending_max,
        additions: rules.into_iter().zip(0..).collect(),
        exemplars: false,
    }
}

/// One side of a call.
#[derive(Debug, Clone)]
struct Side {
    key: u64,
    second: bool,
    service: u8,
    failed: bool,
    alone: bool,
    seconds: u8,
}

fn key(number: u64) -> HalfKey {
    let mut key = HalfKey::default();
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn name(service: u8) -> String {
    format!("service-{service}")
}

fn halves(sides: &[Side]) -> Halves {
    let column = |name: &str, value: &dyn Fn(&Side) -> String| DerivedLabel {
        name: name.to_owned(),
        keys: (0..).take(sides.len()).collect(),
        values: sides.iter().map(value).collect(),
    };
    let of = |second: bool| {
        move |side: &Side| if side.second == second { name(side.service) } else { String::new() }
    };
    let flags = |side: &Side| {
        u8::from(side.second) * Halves::SECOND
            | u8::from(side.failed) * Halves::MARKED
            | u8::from(side.alone) * Halves::ALONE
    };
    Halves {
        rows: (0..).take(sides.len()).collect(),
        keys: sides.iter().map(|side| key(side.key)).collect(),
        flags: sides.iter().map(flags).collect(),
        values: sides.iter().map(|side| side.seconds.into()).collect(),
        times: sides.iter().map(|side| i64::from(side.seconds) * 1_000_000_000).collect(),
        weights: Vec::new(),
        sets: (0..).take(sides.len()).collect(),
        set_count: sides.len() as u32,
        labels: vec![column("client", &of(false)), column("server", &of(true))],
        alone: vec![column("server", &|side| if side.second { String::new() } else { "peer".into() })],
    }
}

/// Everything that was added, by metric and labels.
type Sums = BTreeMap<(String, Vec<(String, String)>), (f64, Vec<f64>)>;

fn add(sums: &mut Sums, joined: &Joined) {
    let metrics = metrics();
    for deltas in &joined.deltas {
        for increments in &deltas.increments {
            let metric = &metrics[usize::from(increments.metric)];
            let width = metric.classic_buckets();
            for series in 0..deltas.series as usize {
                let label = |label: &DerivedLabel| (label.name.clone(), label.of(series).to_owned());
                let labels = deltas.labels.iter().map(label).filter(|(_, value)| !value.is_empty());
                let sum = sums.entry((metric.name.clone(), labels.collect())).or_default();
                match metric.kind {
                    DerivedKind::Gauge => sum.0 = increments.values[series],
                    _ => sum.0 += increments.values[series],
                }
                sum.1.resize(width, 0.0);
                let counts = &increments.buckets[series * width..][..width];
                sum.1.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
    }
    sums.retain(|_, (value, buckets)| *value != 0.0 || buckets.iter().any(|count| *count != 0.0));
}

/// Runs batches, each at its second.
fn run(pending_max: u32, batches: &[(u64, Vec<Side>)]) -> Sums {
    let (mut pairs, mut sums) = (Pairs::default(), Sums::new());
    for (at, sides) in batches {
        let joined = pairs.take(
            &pairing(pending_max),
            &metrics(),
            &halves(sides),
            &|_, _| None,
            Duration::from_secs(*at),
        );
        add(&mut sums, &joined);
    }
    add(&mut sums, &pairs.drain(&pairing(pending_max), &metrics()));
    assert_eq!(pairs.len(), 0);
    sums
}

fn value(sums: &Sums, metric: &str, client: &str, server: &str) -> f64 {
    let labels = [("client", client), ("server", server)].into_iter().filter(|(_, value)| !value.is_empty());
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    sums.get(&(metric.to_owned(), labels)).map_or(0.0, |(value, _)| *value)
}

fn side(key: u64, second: bool, service: u8) -> Side {
    Side { key, second, service, failed: false, alone: false, seconds: 1 }
}

#[test]
fn two_sides_are_an_edge_in_any_order() {
    let (client, server) = (side(1, false, 1), Side { failed: true, seconds: 3, ..side(1, true, 2) });
    for batches in [
        vec![(0, vec![client.clone(), server.clone()])],
        vec![(0, vec![server.clone()]), (10, vec![client.clone()])],
    ] {
        let sums = run(10, &batches);
        let of = |metric| value(&sums, metric, "service-1", "service-2");
        assert_eq!(
            [of("pairs"), of("failed"), of("first"), of("second"), of("gap")],
            [1.0, 1.0, 1.0, 3.0, 2.0]
        );
        assert_eq!(of("seen"), 1.0);
        assert_eq!(sums.len(), 6, "{sums:?}");
    }
}

#[test]
fn what_was_kept_apart_for_nothing_is_as_if_it_had_not_been() {
    let (metrics, pairing) = (metrics(), pairing(10));
    let (mut before, mut later, mut sums) = (Pairs::default(), Pairs::default(), Sums::new());
    let take = |pairs: &mut Pairs, sides: &[Side], at: u64, sums: &mut Sums| {
        let now = Duration::from_secs(at);
        add(sums, &pairs.take(&pairing, &metrics, &halves(sides), &|_, _| None, now));
    };
    take(&mut before, &[side(1, false, 1), side(2, false, 2)], 0, &mut sums);
    take(&mut later, &[side(2, true, 3), side(3, true, 4)], 1, &mut sums);
    assert_eq!(sums.len(), 0);
    add(&mut sums, &before.absorb(later, &pairing, &metrics));
    assert_eq!((value(&sums, "pairs", "service-2", "service-3"), before.len()), (1.0, 2));
    // The wait of both goes on from when they came.
    add(&mut sums, &before.expire(&pairing, &metrics, Duration::from_millis(10_500)));
    assert_eq!((value(&sums, "unpaired", "service-1", ""), before.len()), (1.0, 1));
    take(&mut before, &[side(3, false, 5)], 11, &mut sums);
    assert_eq!(value(&sums, "pairs", "service-5", "service-4"), 1.0);
}

#[test]
fn after_the_wait_a_half_is_alone() {
    let peer = Side { alone: true, ..side(1, false, 1) };
    let batches = [(0, vec![peer, side(2, false, 3)]), (11, vec![side(1, true, 2)])];
    let sums = run(10, &batches);
    assert_eq!(value(&sums, "pairs", "service-1", "peer"), 1.0);
    assert_eq!(value(&sums, "first", "service-1", "peer"), 1.0);
    assert_eq!(value(&sums, "second", "service-1", "peer"), 0.0);
    assert_eq!(value(&sums, "unpaired", "service-3", ""), 1.0);
    assert_eq!(value(&sums, "unpaired", "", "service-2"), 1.0);
    assert_eq!(value(&sums, "pairs", "service-1", "service-2"), 0.0);
}

#[test]
fn what_has_no_place_is_dropped_and_counted() {
    let batch =
        vec![side(1, false, 1), side(2, false, 1), side(3, false, 1), side(1, true, 2), side(4, true, 2)];
    let sums = run(2, &[(0, batch)]);
    assert_eq!(value(&sums, "dropped", "service-1", ""), 1.0);
    // A half that ends another's wait needs no place, and makes one.
    assert_eq!(value(&sums, "pairs", "service-1", "service-2"), 1.0);
    assert_eq!(value(&sums, "unpaired", "", "service-2"), 1.0);
}

#[test]
fn halves_of_one_key_queue_up() {
    let batch =
        [(0, vec![side(1, false, 1); 3]), (1, vec![side(1, true, 2); 2]), (2, vec![side(1, true, 2); 2])];
    let sums = run(10, &batch);
    assert_eq!(value(&sums, "pairs", "service-1", "service-2"), 3.0);
    assert_eq!(value(&sums, "unpaired", "", "service-2"), 1.0);
}

#[test]
fn label_sets_that_nobody_has_are_forgotten() {
    let mut pairs = Pairs::default();
    for number in 0..1_000 {
        let sides = [side(number, false, (number % 250) as u8), side(number, true, (number / 5) as u8)];
        pairs.take(&pairing(4), &metrics(), &halves(&sides), &|_, _| None, Duration::ZERO);
        assert!(pairs.sets.len() <= 4 + 2, "{}", pairs.sets.len());
    }
}

/// All sides of all batches at once, pair by pair.
fn naive(sides: &[Side]) -> Sums {
    let mut sums = Sums::new();
    let mut all = sides.to_vec();
    while let Some(one) = all.pop() {
        let other = all.iter().position(|other| other.key == one.key && other.second != one.second);
        let other = other.map(|at| all.remove(at));
        let (first, second) = match one.second {
            true => (other.as_ref(), Some(&one)),
            false => (Some(&one), other.as_ref()),
        };
        let mut labels = Vec::new();
        labels.extend(first.map(|side| ("client".to_owned(), name(side.service))));
        labels.extend(second.map(|side| ("server".to_owned(), name(side.service))));
        let mut add = |metric: &str, labels: &[(String, String)], value: f64, bucket: Option<usize>| {
            let sum = sums.entry((metric.to_owned(), labels.to_vec())).or_default();
            sum.0 += value;
            if let Some(bucket) = bucket {
                sum.1.resize(3, 0.0);
                sum.1[bucket] += 1.0;
            }
        };
        if second.is_none() && one.alone {
            labels.push(("server".to_owned(), "peer".to_owned()));
        } else if other.is_none() && !one.alone {
            add("unpaired", &labels, 1.0, None);
            continue;
        }
        add("pairs", &labels, 1.0, None);
        if one.failed || other.as_ref().is_some_and(|other| other.failed) {
            add("failed", &labels, 1.0, None);
        }
        let bucket = |seconds: u8| Some(usize::from(seconds.saturating_sub(1).min(2)));
        if let Some(side) = first {
            add("first", &labels, side.seconds.into(), bucket(side.seconds));
        }
        if let Some(side) = second {
            add("second", &labels, side.seconds.into(), bucket(side.seconds));
        }
        if let (Some(first), Some(second)) = (first, second)
            && second.seconds >= first.seconds
            && first.seconds > 0
        {
            let gap = second.seconds - first.seconds;
            add("gap", &labels, gap.into(), bucket(gap));
        }
        sums.insert(("seen".to_owned(), labels), (1.0, Vec::new()));
    }
    sums.retain(|_, (value, buckets)| *value != 0.0 || buckets.iter().any(|count| *count != 0.0));
    sums
}

fn any_side() -> impl Strategy<Value = Side> {
    (0_u64..40, any::<bool>(), 0_u8..4, any::<bool>(), any::<bool>(), 0_u8..4).prop_map(
        |(key, second, service, failed, alone, seconds)| {
            // One of each key and side, or which of them make a pair would depend on their order.
            Side { key, second, service, failed, alone, seconds }
        },
    )
}

proptest! {
    #[test]
    fn any_order_and_split_gives_the_same_edges(
        sides in proptest::collection::vec(any_side(), 0..60).prop_shuffle(),
        cuts in proptest::collection::vec(0_usize..60, 0..6),
    ) {
        let mut seen = std::collections::HashSet::new();
        let mut sides = sides;
        sides.retain(|side| seen.insert((side.key, side.second)));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(sides.len())).collect();
        cuts.sort_unstable();
        let mut batches = Vec::new();
        let mut from = 0;
        for (second, cut) in (0..).zip(cuts.into_iter().chain([sides.len()])) {
            batches.push((second, sides[from..cut].to_vec()));
            from = cut;
        }
        prop_assert_eq!(run(1_000, &batches), naive(&sides));
    }
}
