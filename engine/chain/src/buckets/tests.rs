use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

fn key(name: &str) -> Key {
    Key { tenant: Tenant::default(), binding: "a".into(), name: name.into() }
}

fn take(name: &str, per_second: f64, burst: f64, cost: f64) -> Take {
    Take { key: key(name), quota: Quota { per_second, burst }, cost }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn check(buckets: &Buckets, takes: &[Take], at: f64, expected: Option<Short>) {
    let why = buckets.take(takes, seconds(at)).err().map(|refused| refused.why);
    assert_eq!(why, expected.map(Why::Short), "at {at}");
}

#[test]
fn a_burst_passes_at_once_and_then_the_rate() {
    let buckets = Buckets::new(100);
    let items = |cost| vec![take("items", 10.0, 20.0, cost)];
    check(&buckets, &items(20.0), 0.0, None);
    check(&buckets, &items(1.0), 0.0, Some(Short::For(Duration::from_millis(100))));
    check(&buckets, &items(1.0), 0.1, None);
    check(&buckets, &items(20.0), 1.1, Some(Short::For(Duration::from_secs(1))));
    check(&buckets, &items(20.0), 2.1, None);
    // A full bucket holds no more than the burst, however long nobody takes.
    check(&buckets, &items(20.0), 1_000.0, None);
    check(&buckets, &items(5.0), 1_000.0, Some(Short::For(Duration::from_millis(500))));
}

#[test]
fn more_than_the_burst_never_passes() {
    let buckets = Buckets::new(100);
    check(&buckets, &[take("items", 10.0, 20.0, 20.1)], 5.0, Some(Short::Ever));
}

#[test]
fn retry_after_is_exact() {
    let buckets = Buckets::new(100);
    let items = [take("items", 3.0, 7.0, 7.0)];
    check(&buckets, &items, 0.0, None);
    let Err(Refused { why: Why::Short(Short::For(wait)), .. }) = buckets.take(&items, seconds(0.5)) else {
        panic!("must be short");
    };
    let ready = seconds(0.5) + wait;
    assert!(buckets.take(&items, ready - Duration::from_nanos(10)).is_err());
    assert!(buckets.take(&items, ready).is_ok());
}

#[test]
fn all_or_nothing_across_buckets() {
    let buckets = Buckets::new(100);
    let wide = |cost| take("wide", 1.0, 100.0, cost);
    let narrow = |cost| take("narrow", 1.0, 5.0, cost);
    check(&buckets, &[narrow(5.0)], 0.0, None);
    // `wide` has room, `narrow` does not: neither is charged.
    for _ in 0..50 {
        assert!(buckets.take(&[wide(10.0), narrow(1.0)], seconds(0.0)).is_err());
    }
    check(&buckets, &[wide(100.0)], 0.0, None);
}

#[test]
fn the_longest_wait_is_reported() {
    let buckets = Buckets::new(100);
    let both = [take("fast", 100.0, 1.0, 1.0), take("slow", 0.1, 1.0, 1.0)];
    assert!(buckets.take(&both, Duration::ZERO).is_ok());
    let refused = buckets.take(&both, Duration::ZERO).unwrap_err();
    assert_eq!(refused, Refused { take: 1, why: Why::Short(Short::For(Duration::from_secs(10))) });
}

#[test]
fn tenants_and_bindings_do_not_share() {
    let buckets = Buckets::new(100);
    let quota = Quota { per_second: 1.0, burst: 1.0 };
    let mine = Key { tenant: Tenant::new("a").unwrap(), binding: "a".into(), name: "items".into() };
    let others = [
        Key { tenant: Tenant::new("b").unwrap(), ..mine.clone() },
        Key { binding: "b".into(), ..mine.clone() },
        Key { name: "bytes".into(), ..mine.clone() },
    ];
    for key in others.into_iter().chain([mine.clone()]) {
        assert!(buckets.take(&[Take { key, quota, cost: 1.0 }], Duration::ZERO).is_ok());
    }
    assert!(buckets.take(&[Take { key: mine, quota, cost: 1.0 }], Duration::ZERO).is_err());
}

#[test]
fn full_buckets_make_room_and_others_do_not() {
    let buckets = Buckets::new(64);
    let at = |n: usize, now: f64| buckets.take(&[take(&n.to_string(), 1.0, 1.0, 1.0)], seconds(now));
    let taken = (0..10_000).filter(|n| at(*n, 0.0).is_ok()).count();
    assert_eq!(taken, 64, "one per shard");
    assert_eq!(at(20_000, 0.5).unwrap_err().why, Why::NoRoom);
    assert!(at(20_000, 1.5).is_ok());
    assert!(buckets.len() <= 64);
}

#[test]
fn extreme_numbers_saturate() {
    let buckets = Buckets::new(100);
    check(&buckets, &[take("a", 1e-300, 1.0, 1.0)], 0.0, None);
    assert!(buckets.take(&[take("a", 1e-300, 1.0, 1.0)], seconds(1e9)).is_err());
    check(&buckets, &[take("b", 1e300, 1e300, 1e300)], 0.0, None);
    check(&buckets, &[take("c", f64::MIN_POSITIVE, f64::MAX, f64::MAX)], 0.0, None);
}

#[test]
fn concurrent_takes_never_exceed() {
    let buckets = Arc::new(Buckets::new(100));
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let buckets = Arc::clone(&buckets);
            thread::spawn(move || {
                let a = take("a", 1_000.0, 5_000.0, 1.0);
                let b = take("b", 1_000.0, 4_000.0, 1.0);
                // Both orders, so that locks taken in the order given would deadlock.
                let takes = if worker % 2 == 0 { [a, b] } else { [b, a] };
                (0..2_000)
                    .filter(|step| buckets.take(&takes, Duration::from_micros(*step * 100)).is_ok())
                    .count()
            })
        })
        .collect();
    let taken: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    // `b` is the narrower: its burst and 0.2 s of its rate.
    assert!((4_000..=4_200).contains(&taken), "{taken}");
}

proptest! {
    /// In any window, no more passes than the burst and what came in meanwhile.
    #[test]
    fn never_more_than_burst_and_rate(
        per_second in 0.5_f64..1e6,
        burst_seconds in 0.01_f64..100.0,
        steps in prop::collection::vec((0.0_f64..2.0, 0.0_f64..1.5), 1..100),
    ) {
        let quota = Quota { per_second, burst: per_second * burst_seconds };
        let mut bucket = Bucket::default();
        let mut now = 0.0;
        let mut passed: Vec<(f64, f64)> = Vec::new();
        for (pause, share) in steps {
            now += pause;
            let cost = quota.burst * share;
            match bucket.take(&quota, cost, seconds(now)) {
                Ok(()) => passed.push((now, cost)),
                Err(Short::Ever) => prop_assert!(cost > quota.burst),
                // What the bucket says is when it passes.
                Err(Short::For(wait)) => {
                    let mut later = bucket;
                    prop_assert!(later.take(&quota, cost, seconds(now) + wait).is_ok());
                }
            }
        }
        for (at, (start, _)) in passed.iter().enumerate() {
            let mut sum = 0.0;
            for (time, cost) in &passed[at..] {
                sum += cost;
                let allowed = quota.burst + (time - start) * per_second;
                prop_assert!(sum <= allowed * (1.0 + 1e-9) + per_second * 1e-8, "{sum} > {allowed}");
            }
        }
    }

    /// A burst may be taken in any pieces.
    #[test]
    fn a_burst_in_pieces_passes_whole(per_second in 0.001_f64..1e9, pieces in 1_u32..500) {
        let quota = Quota { per_second, burst: f64::from(pieces) };
        let mut bucket = Bucket::default();
        for _ in 0..pieces {
            prop_assert!(bucket.take(&quota, 1.0, Duration::ZERO).is_ok());
        }
        // One more passes only if a token takes less than the clock can tell.
        let more = bucket.take(&quota, 1.0, Duration::ZERO).is_ok();
        prop_assert!(!more || per_second > 1e8);
    }
}
