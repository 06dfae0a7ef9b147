//! Series of a tenant: found again, bounded, with ids for ever.

use std::sync::Arc;

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{
    Fingerprint, Judgement, MetricMeta, Refusal, ResolveError, SeriesRef, SeriesResolver as _,
};
use isinglass_model::{Kind, ids};

use super::{Resolver, SeriesLimits, SeriesTable, series_rows};

fn labels(metric: &str, n: usize) -> LabelSet {
    let n = n.to_string();
    LabelSet::new(&mut [(METRIC_NAME, metric), ("n", &n)], Temporality::Unspecified).unwrap()
}

fn table(active_max: usize) -> (Arc<SeriesTable>, Resolver) {
    let table = Arc::new(SeriesTable::new(42, active_max));
    (Arc::clone(&table), Resolver::new(table, crate::Life::default()))
}

#[test]
fn a_label_set_is_one_series_under_any_fingerprint() {
    let (table, mut resolver) = table(100);
    let first = resolver.intern(Fingerprint(1), labels("up", 1)).unwrap();
    let again = resolver.intern(Fingerprint(2), labels("up", 1)).unwrap();
    assert_eq!(first, again);
    assert_eq!(resolver.lookup(Fingerprint(2)), Some(first.clone()));
    assert_eq!(resolver.lookup(Fingerprint(3)), None);
    assert_eq!(resolver.labels_of(first.series), Some(labels("up", 1)));
    assert_eq!(table.ids(first.series), (ids::metric_id("up"), ids::series_id(&labels("up", 1))));
    assert_eq!(table.len(), 1);
}

#[test]
fn of_two_label_sets_with_one_hash_the_later_takes_the_next_free_id() {
    let (table, mut resolver) = table(100);
    let wanted = ids::series_id(&labels("up", 1));
    table.restore(wanted, labels("other", 1));
    table.restore(wanted + 1, labels("other", 2));
    let clash = resolver.intern(Fingerprint(1), labels("up", 1)).unwrap();
    assert_eq!(table.ids(clash.series).1, wanted + 2);
    assert_eq!(table.by_id(wanted + 2), Some(clash.series));
}

#[test]
fn each_metric_has_a_cap_of_its_own() {
    let (table, mut resolver) = table(100);
    table.restore(1, labels("old", 1));
    resolver.limit(SeriesLimits { total: 5, per_metric: 2, ..SeriesLimits::NONE });
    let mut add = |metric, n: usize, fingerprint| {
        resolver.intern(Fingerprint(fingerprint), labels(metric, n)).map(|_| ()).map_err(|e| e.to_string())
    };
    for n in 0..2 {
        add("up", n, n as u128).unwrap();
    }
    let full = "metric \"up\" has 2 series, which is its limit (max_series_per_metric)";
    assert_eq!(add("up", 2, 2), Err(full.to_owned()));
    // What was read back counts when it is sent again, and is never refused.
    add("old", 2, 3).unwrap();
    add("old", 1, 4).unwrap();
    assert!(add("old", 3, 5).is_err());
    add("down", 1, 6).unwrap();
    let full = "the tenant has 5 series, which is its limit (max_series_per_user)";
    assert_eq!(add("down", 2, 7), Err(full.to_owned()));
    add("up", 1, 8).unwrap();
}

#[test]
fn the_cap_counts_series_that_senders_add() {
    let (table, mut resolver) = table(2);
    table.restore(1, labels("old", 1));
    table.restore(2, labels("old", 2));
    table.restore(3, labels("old", 3));
    for n in 0..2 {
        resolver.intern(Fingerprint(n), labels("up", n as usize)).unwrap();
    }
    let error = resolver.intern(Fingerprint(9), labels("up", 9)).unwrap_err();
    assert_eq!(error, ResolveError::TooManySeries { limit: 2 });
    // What is known stays known.
    resolver.intern(Fingerprint(10), labels("up", 1)).unwrap();
    resolver.intern(Fingerprint(11), labels("old", 3)).unwrap();
}

#[test]
fn verdicts_hold_under_one_digest() {
    let (_, mut resolver) = table(100);
    let keep = resolver.intern(Fingerprint(1), labels("up", 1)).unwrap().series;
    let reject = resolver.intern(Fingerprint(2), labels("up", 2)).unwrap().series;
    let refusal = Arc::new(Refusal {
        reason: "label_invalid".into(),
        message: "no".into(),
        plugin: "validate".into(),
        digest: "d1".into(),
    });
    let rejected = Judgement::Reject(refusal);
    resolver.judge(&[(keep, Judgement::Keep), (reject, rejected.clone())], "d1");
    assert_eq!(resolver.lookup(Fingerprint(1)).unwrap().judgement, Judgement::Keep);
    assert_eq!(resolver.lookup(Fingerprint(2)).unwrap().judgement, rejected);
    resolver.judge(&[(keep, Judgement::Keep)], "d2");
    assert_eq!(resolver.judgement(keep), Judgement::Keep);
    assert_eq!(resolver.judgement(reject), Judgement::Pending);
}

#[test]
fn refused_label_sets_are_forgotten_when_they_take_too_much_room() {
    let (table, mut resolver) = table(1_000);
    let long = "x".repeat(100_000);
    let refusal = Refusal {
        reason: "label_value_too_long".into(),
        message: String::new(),
        plugin: String::new(),
        digest: String::new(),
    };
    let rejected = Judgement::Reject(Arc::new(refusal));
    let stored = table.restore(5, labels("old", 1));
    resolver.judge(&[(stored, rejected.clone())], "d");
    let mut refs = Vec::new();
    for n in 0..200 {
        let n_text = n.to_string();
        let set = LabelSet::new(
            &mut [(METRIC_NAME, "up"), ("long", &long), ("n", &n_text)],
            Temporality::Unspecified,
        );
        let known = resolver.intern(Fingerprint(n), set.unwrap()).unwrap();
        resolver.judge(&[(known.series, rejected.clone())], "d");
        // The text of this refusal can still be written.
        assert_eq!(resolver.labels_of(known.series).unwrap().metric(), "up");
        refs.push(known.series);
    }
    let bytes: usize =
        table.chunks(0..table.len()).flatten().map(|series| series.labels.as_bytes().len()).sum();
    assert!(bytes < 5 << 20, "{bytes} bytes of labels");
    assert!(refs.iter().all(|series| resolver.judgement(*series) == rejected));
    assert_eq!(resolver.lookup(Fingerprint(0)).unwrap().judgement, rejected);
    assert_eq!(resolver.labels_of(stored), Some(labels("old", 1)));
    // A forgotten one that comes in other words is a new series.
    let set =
        LabelSet::new(&mut [(METRIC_NAME, "up"), ("long", &long), ("n", "0")], Temporality::Unspecified);
    assert_ne!(resolver.intern(Fingerprint(1_000), set.unwrap()).unwrap().series, refs[0]);
}

#[test]
fn metadata_of_a_family_is_that_of_its_metrics() {
    let (table, mut resolver) = table(100);
    let series = resolver.intern(Fingerprint(1), labels("latency_bucket", 1)).unwrap().series;
    assert!(table.metric("latency_bucket").is_none(), "its labels may still be refused");
    table.mark_stored(series);
    let meta = MetricMeta { metric_type: "histogram".into(), unit: "s".into(), help: "how long".into() };
    resolver.describe("latency", &meta);
    assert_eq!(*table.metric("latency_bucket").unwrap().meta, meta);
    assert!(table.metric("latency").is_none(), "a family without series is no metric");
    let own = MetricMeta { metric_type: "counter".into(), ..meta };
    resolver.describe("latency_bucket", &own);
    assert_eq!(*table.metric("latency_bucket").unwrap().meta, own);
}

#[test]
fn many_series_from_many_threads() {
    let (table, _) = table(100_000);
    std::thread::scope(|scope| {
        for thread in 0..4_u128 {
            let table = Arc::clone(&table);
            scope.spawn(move || {
                let mut resolver = Resolver::new(table, crate::Life::default());
                for n in 0..5_000_usize {
                    let known =
                        resolver.intern(Fingerprint(thread << 64 | n as u128), labels("up", n)).unwrap();
                    assert_eq!(
                        resolver.lookup(Fingerprint(thread << 64 | n as u128)).unwrap().series,
                        known.series
                    );
                }
            });
        }
    });
    assert_eq!(table.len(), 5_000);
    for (at, series) in table.chunks(0..table.len()).flatten().enumerate() {
        assert_eq!(series.series.0 as usize, at);
        assert_eq!(table.ids(series.series).1, series.series_id);
    }
}

#[test]
fn rows_have_the_columns_of_the_table() {
    let (table, mut resolver) = table(10);
    let series = resolver.intern(Fingerprint(1), labels("up", 1)).unwrap().series;
    let rows = series_rows(&table, &[(series, 3), (series, 4)]).unwrap();
    assert_eq!(rows.num_rows(), 2);
    let columns = &isinglass_model::tables::Table::of(Kind::Series).columns;
    assert_eq!(rows.num_columns(), columns.len());
    assert!(series_rows(&table, &[(SeriesRef(99), 1)]).is_err());
}
