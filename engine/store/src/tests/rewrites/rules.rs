//! Retention of single series and streams.

use super::*;
use crate::upkeep::{RetentionConfig, RetentionRule, RuleKind};

const D: u64 = 86_400_000;

fn rule(kind: RuleKind, matching: &str, keep: Keep) -> RetentionRule {
    RetentionRule { kind, tenant: "*".into(), matching: matching.into(), keep }
}

fn metrics(matching: &str, keep: Keep) -> RetentionRule {
    rule(RuleKind::Metrics, matching, keep)
}

async fn with(general: Option<Keep>, rules: Vec<RetentionRule>) -> Real {
    let all = KeepByKind { default: general, ..KeepByKind::default() };
    let real =
        Real::new(StoreConfig { retention: RetentionConfig { all, rules, ..Default::default() }, ..small() });
    let real = real.await;
    for hour in 0..3 {
        let time = NOW_MS + hour * 3_600_000;
        let append = sample_append(&real.store, &tenant("a"), time, &["debug", "x", "y"], 1.0).await;
        real.store.append(append).await.unwrap();
        real.append(&[format!("line {hour}")]).await;
        real.store.flush().await.unwrap();
    }
    real
}

/// Instances that have samples, with their number.
async fn instances(real: &Real) -> Vec<String> {
    let view = real.view().await;
    let mut found: std::collections::BTreeMap<String, usize> = Default::default();
    for row in rows_of_view(&view, Kind::Samples).await {
        let series = view.series().by_id(row.split_once('@').unwrap().0.parse().unwrap()).unwrap();
        *found.entry(series.labels.get("instance").unwrap().to_owned()).or_default() += 1;
    }
    found.into_iter().map(|(instance, samples)| format!("{instance} {samples}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_a_rule_go_when_they_are_too_old_and_files_are_read_once_for_it() {
    let real = with(None, vec![metrics(r#"{__name__=~"u.",instance=~"de.*"}"#, Keep::For(3 * D))]).await;
    real.live(70).await;
    assert_eq!(instances(&real).await, ["debug 3", "x 3", "y 3"]);
    real.live(30).await;
    assert_eq!(instances(&real).await, ["x 3", "y 3"]);
    assert_eq!(real.store.stats().expired_rows, 4, "three samples and the row of their series");
    let merges = real.store.stats().merges;
    let real = real.kill().await;
    real.live(200).await;
    assert_eq!((instances(&real).await, real.store.stats().merges), (vec!["x 3".into(), "y 3".into()], 0));
    assert!(merges <= 7, "{merges}: two levels of three tables, and two files for the rule");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_may_keep_for_longer_than_the_general_setting() {
    let real = with(Some(Keep::For(2 * D)), vec![metrics("{instance=\"x\"}", Keep::Forever)]).await;
    real.live(100).await;
    assert_eq!(instances(&real).await, ["x 3"]);
    // Its labels are there after a start as well.
    let real = real.kill().await;
    assert_eq!(instances(&real).await, ["x 3"]);
    assert_eq!(real.view().await.series().len(), 1);
    check(real.rows(Kind::Logs).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_that_matches_counts() {
    let rules = vec![
        metrics("up{instance=\"x\"}", Keep::For(9 * D)),
        metrics("up{instance=~\"x|y\"}", Keep::For(2 * D)),
        metrics("up{instance=\"y\"}", Keep::Forever),
        metrics("up{instance=\"nobody\"}", Keep::For(D)),
    ];
    let real = with(Some(Keep::For(5 * D)), rules).await;
    real.live(80).await;
    assert_eq!(instances(&real).await, ["debug 3", "x 3"]);
    real.live(80).await;
    assert_eq!(instances(&real).await, ["x 3"]);
    real.live(80).await;
    assert_eq!(instances(&real).await, Vec::<String>::new());
}

/// A file whose rows are all past everything goes without being read.
#[tokio::test(flavor = "multi_thread")]
async fn whole_files_go_whole() {
    let rules = vec![metrics("up{instance=\"nobody\"}", Keep::For(D))];
    let real = with(Some(Keep::For(4 * D)), rules).await;
    real.live(60).await;
    let (merges, bytes) = (real.store.stats().merges, real.store.stats().merged_bytes_out);
    real.objects.fail(Call::Get, Moment::Before, ".parquet", 0, 10_000);
    real.live(60).await;
    assert_eq!(instances(&real).await, Vec::<String>::new());
    assert_eq!(real.store.stats().merged_bytes_out, bytes);
    assert_eq!(real.store.stats().merges, merges + 3, "samples, series and log lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_by_service_and_labels() {
    let of = |matching: &str| rule(RuleKind::Logs, matching, Keep::For(2 * D));
    for (matching, left) in [("{service=\"shop\"}", 0), ("{service=~\"sh.*\"}", 0), ("{service=\"bar\"}", 3)]
    {
        let real = with(None, vec![of(matching)]).await;
        real.live(80).await;
        assert_eq!(real.rows(Kind::Logs).await.len(), left, "{matching}");
        assert_eq!(instances(&real).await, ["debug 3", "x 3", "y 3"]);
    }
}

#[tokio::test]
async fn a_bad_rule_refuses_to_start() {
    let mut config = small();
    config.retention.rules = vec![metrics("{a=~\"(\"}", Keep::For(D))];
    let (clock, disk) = (Arc::new(ManualClock::at(0)), Arc::new(SimDisk::default()));
    let tables = Arc::new(MemoryTables::default());
    let opened = Store::open_on(config, clock, Arc::new(NoObserver), disk, tables, None).await;
    let error = opened.unwrap_err().to_string();
    assert!(error.starts_with("store.retention.rules[0].match = \"{a=~\\\"(\\\"}\": pattern"), "{error}");
}
