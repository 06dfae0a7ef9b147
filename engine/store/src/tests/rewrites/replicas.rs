//! Two Prometheus servers of one configuration: their series become one when they are merged.

use super::*;
use crate::upkeep::HaConfig;

const STEP_MS: i64 = 15_000;
const STEPS: i64 = 40;
/// The first replica writes nothing in these steps.
const GAP: std::ops::Range<i64> = 10..20;

fn config() -> StoreConfig {
    let ha = HaConfig {
        cluster_label: "cluster".into(),
        replica_label: "__replica__".into(),
        failover_ms: 30_000,
    };
    let mut config = small();
    config.compaction.ha = ha;
    config
}

fn of_replica<'a>(instance: &'a str, replica: &'a str) -> LabelSet {
    let mut labels =
        [(METRIC_NAME, "up"), ("cluster", "eu"), ("__replica__", replica), ("instance", instance)];
    LabelSet::new(&mut labels, Temporality::Unspecified).unwrap()
}

/// What both replicas saw of some instances, in files; values say who wrote a sample: 1 or 2.
async fn scraped(real: &Real, instances: &[&str]) {
    for (replica, offset, value) in [("a", 0, 1.0), ("b", 5_000, 2.0)] {
        let mut resolver = real.store.resolver(&tenant("a")).await.unwrap();
        let mut append = Append { life: resolver.life(), ..Append::new(tenant("a")) };
        for instance in instances {
            let series = resolver.intern_labels(of_replica(instance, replica)).unwrap().series;
            for step in (0..STEPS).filter(|step| replica == "b" || !GAP.contains(step)) {
                append.samples.push(series, NOW_MS + step * STEP_MS + offset, value, 0);
            }
        }
        real.store.append(append).await.unwrap();
        real.store.flush().await.unwrap();
    }
}

/// Time since the first, who wrote it, and labels of each sample.
async fn samples(real: &Real) -> Vec<(i64, f64, String)> {
    let view = real.view().await;
    let rows = rows_of_view(&view, Kind::Samples).await;
    let mut samples: Vec<_> = rows
        .iter()
        .map(|row| {
            let (id, rest) = row.split_once('@').unwrap();
            let (time, value) = rest.split_once('=').unwrap();
            let series = view.series().by_id(id.parse().unwrap()).expect("a sample has its series");
            (time.parse::<i64>().unwrap() - NOW_MS, value.parse().unwrap(), series.labels.to_string())
        })
        .collect();
    samples.sort_by(|a, b| (a.0, &a.2).partial_cmp(&(b.0, &b.2)).unwrap());
    samples
}

async fn check_merged(real: &Real, instances: usize) {
    let samples = samples(real).await;
    for (time, by, labels) in &samples {
        assert!(!labels.contains("__replica__") && labels.contains("cluster=\"eu\""), "{labels}");
        let step = time / STEP_MS;
        // The second takes over, and the first waits for its turn when it comes back.
        match step {
            before if before < GAP.start => assert_eq!(*by, 1.0, "step {step}"),
            after if after > GAP.start + 2 => assert_eq!(*by, 2.0, "step {step}"),
            _ => {}
        }
    }
    let of_one: Vec<i64> = samples.iter().step_by(instances).map(|(time, ..)| *time).collect();
    assert_eq!(of_one.len() * instances, samples.len());
    let apart = of_one.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(apart.clone().all(|ms| (STEP_MS - 5_000..=STEP_MS + 20_000).contains(&ms)), "{of_one:?}");
    assert!(of_one[0] == 0 && of_one[of_one.len() - 1] >= (STEPS - 1) * STEP_MS);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_one_with_a_gap_become_one_series() {
    let real = Real::new(config()).await;
    scraped(&real, &["x", "y"]).await;
    assert_eq!(samples(&real).await.len() as i64, 2 * (2 * STEPS - (GAP.end - GAP.start)));
    real.live(5).await;
    assert_eq!(real.files(Kind::Samples).await[0].level, 1);
    check_merged(&real, 2).await;
    let real = real.kill().await;
    check_merged(&real, 2).await;
    // The day is over; what is one already stays as it is.
    let merged = samples(&real).await;
    real.live(30).await;
    assert_eq!(real.files(Kind::Samples).await[0].level, 2);
    assert_eq!(samples(&real.kill().await).await, merged);
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_no_replica_stay_as_they_are() {
    let real = Real::new(config()).await;
    for value in [1.0, 2.0] {
        let append = sample_append(&real.store, &tenant("a"), NOW_MS + value as i64, &["x"], value).await;
        real.store.append(append).await.unwrap();
        real.store.flush().await.unwrap();
    }
    let before = samples(&real).await;
    real.store.compact().await.unwrap();
    assert_eq!(samples(&real).await, before);
}

/// Without the setting nothing is renamed.
#[tokio::test(flavor = "multi_thread")]
async fn off_unless_configured() {
    let real = Real::new(small()).await;
    scraped(&real, &["x"]).await;
    let before = samples(&real).await;
    real.store.compact().await.unwrap();
    assert_eq!(samples(&real).await, before);
}

/// The object store fails at its n-th put and the process dies: no file ever refers to a
/// series that has no row.
#[tokio::test(flavor = "multi_thread")]
async fn a_common_series_is_there_before_its_samples() {
    for moment in [Moment::Before, Moment::After] {
        for skip in 0..6 {
            let real = Real::new(config()).await;
            scraped(&real, &["x"]).await;
            real.objects.fail(Call::Put, moment, "", skip, 10_000);
            let _ = real.store.core.upkeep.compact().await;
            let real = real.kill().await;
            let found = samples(&real).await;
            let whole = (2 * STEPS - (GAP.end - GAP.start)) as usize;
            assert!(found.len() == whole || found.iter().all(|(.., labels)| !labels.contains("__replica__")));
            real.store.compact().await.unwrap();
            check_merged(&real, 1).await;
        }
    }
}
