//! Rows of metrics that take the place of others: of each table all of them or none, whatever
//! fails or dies when.

use isinglass_model::batch::{ExemplarBatch, HistogramRow, SampleBatch};
use serde_json::json;

use super::*;
use crate::replay::{DraftRows, Gap, ReplacedRows};

const STEP_MS: i64 = 15_000;

async fn samples(real: &Real, metric: &str, instance: &str, times: std::ops::Range<i64>) {
    let acme = tenant("a");
    let life = real.store.resolver(&acme).await.unwrap().life();
    let mut append = Append { life, ..Append::new(acme.clone()) };
    let of = series(&real.store, &acme, metric, instance).await;
    for at in times {
        let time_ms = NOW_MS + at * STEP_MS;
        append.samples.push(of, time_ms, at as f64, NOW_MS - 1);
        append.histograms.rows.push(histogram(of, time_ms, at as f64));
        push_exemplar(&mut append.exemplars, of, time_ms, at as u8);
    }
    real.store.append(append).await.unwrap();
}

fn histogram(series: SeriesRef, time_ms: i64, sum: f64) -> HistogramRow {
    HistogramRow {
        series,
        time_ms,
        start_ms: NOW_MS - 1,
        count: Some(6.0),
        sum: Some(sum),
        schema: 3,
        zero_threshold: 1e-9,
        zero_count: 1.0,
        positive_spans: vec![(-2, 2), (3, 1)],
        positive_buckets: vec![1.0, 2.0, 2.0],
        negative_spans: Vec::new(),
        negative_buckets: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: "unknown",
        float: true,
        min: None,
        max: None,
    }
}

fn push_exemplar(exemplars: &mut ExemplarBatch, series: SeriesRef, time_ms: i64, id: u8) {
    exemplars.series.push(series);
    exemplars.time_ms.push(time_ms);
    exemplars.value.push(0.25);
    exemplars.trace_id.push(Some([id; 16]));
    exemplars.span_id.push(Some([id; 8]));
    exemplars.attributes.push(Vec::new());
}

const TABLES: [Kind; 3] = [Kind::Samples, Kind::Histograms, Kind::Exemplars];

/// All rows of all three tables.
async fn all_rows(real: &Real) -> [Vec<String>; 3] {
    [real.rows(TABLES[0]).await, real.rows(TABLES[1]).await, real.rows(TABLES[2]).await]
}

/// Three metrics over two days, in files of several levels and in memory.
async fn filled(real: &Real) {
    for day in 0..2 {
        let from = day * 86_400_000 / STEP_MS;
        for metric in ["up", "down", "calls"] {
            for instance in ["a", "b"] {
                samples(real, metric, instance, from..from + 50).await;
            }
        }
        real.store.flush().await.unwrap();
        samples(real, "up", "a", from + 50..from + 60).await;
    }
}

fn gap() -> Gap {
    // From the first day into the second.
    Gap { metrics: vec!["up".to_owned()], time_ms: NOW_MS + 10 * STEP_MS..NOW_MS + 86_400_000 + 20 * STEP_MS }
}

async fn replaced(real: &Real) -> Result<ReplacedRows, StoreError> {
    let acme = tenant("a");
    real.store.flush().await?;
    let resolver = real.store.resolver(&acme).await?;
    let mut draft = real.store.draft(&acme, &resolver).await?;
    for part in 0..2 {
        let mut rows = DraftRows::default();
        for instance in ["a", "new"] {
            let of = series(&real.store, &acme, "up", instance).await;
            for at in 0..10 {
                let time = gap().time_ms.start + part * 86_400_000 + at * 1_000;
                rows.samples.push(of, time, 0.5, gap().time_ms.start);
                rows.histograms.rows.push(histogram(of, time, 0.5));
                push_exemplar(&mut rows.exemplars, of, time, 0xff);
            }
        }
        draft.add(rows).await?;
    }
    draft.commit(gap(), json!({ "plugin": "x" })).await
}

fn of_samples(samples: SampleBatch) -> DraftRows {
    DraftRows { samples, ..DraftRows::default() }
}

/// What is there before and after, where nothing fails.
async fn expected() -> ([Vec<String>; 3], [Vec<String>; 3]) {
    let real = Real::new(StoreConfig::default()).await;
    filled(&real).await;
    let before = all_rows(&real).await;
    let done = replaced(&real).await.unwrap();
    let after = all_rows(&real).await;
    let of_tables = [done.samples, done.histograms.unwrap(), done.exemplars.unwrap()];
    for ((before, after), done) in before.iter().zip(&after).zip(of_tables) {
        assert_eq!(before.len() as u64 - done.removed + done.added, after.len() as u64);
        assert_eq!((done.added, done.removed), (40, 50 + 40 + 20 + 20));
    }
    (before, after)
}

#[tokio::test(flavor = "multi_thread")]
async fn others_stay_and_it_is_there_after_a_restart() {
    let (before, after) = expected().await;
    let real = Real::new(StoreConfig::default()).await;
    filled(&real).await;
    replaced(&real).await.unwrap();
    let day = |time: i64| time.div_euclid(86_400_000_000);
    for kind in TABLES {
        let times: Vec<_> = real.files(kind).await.into_iter().map(|file| file.time).collect();
        assert!(times.iter().flatten().all(|(first, last)| day(*first) == day(*last)), "no file spans days");
    }
    let real = real.kill().await;
    assert_eq!(all_rows(&real).await, after);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    // Twice is once, and merges keep it.
    replaced(&real).await.unwrap();
    real.store.compact().await.unwrap();
    assert_eq!(all_rows(&real).await, after);
    let new = real.view().await.series().metric("up").unwrap();
    assert_eq!(new.series, 3, "the series that came is known after a restart");
}

/// The n-th call fails, once or from then on, before or after the deed, and the process dies.
#[tokio::test(flavor = "multi_thread")]
async fn any_failure_leaves_all_or_nothing() {
    let (before, after) = expected().await;
    let (mut failed, mut landed, mut partly) = (0, 0, 0);
    for (call, moment) in
        [(Call::Put, Moment::Before), (Call::Put, Moment::After), (Call::Get, Moment::Before)]
    {
        // Once, or from then on.
        for (nth, times) in [0, 1, 3]
            .into_iter()
            .chain((8..41).step_by(3))
            .map(|nth| (nth, if nth % 2 == 0 { 1 } else { 1_000 }))
        {
            let case = format!("{call:?} {moment:?} from {nth} for {times}");
            let real = Real::new(StoreConfig::default()).await;
            filled(&real).await;
            real.store.flush().await.unwrap();
            real.objects.fail(call, moment, "", nth, times);
            let done = replaced(&real).await;
            let real = real.kill().await;
            let rows = all_rows(&real).await;
            let is_new: Vec<bool> = rows.iter().zip(&after).map(|(rows, after)| rows == after).collect();
            for ((rows, before), is_new) in rows.iter().zip(&before).zip(&is_new) {
                let all_or_nothing = *is_new || (done.is_err() && rows == before);
                assert!(all_or_nothing, "{case}: {done:?}, {} rows", rows.len());
            }
            assert!(is_new.is_sorted_by(|a, b| a >= b), "{case}: one table after the other, {is_new:?}");
            // The table that the error is about may have the rows nevertheless, those before it have.
            let of_error = done.as_ref().err().map(|error| match error {
                StoreError::Partly { kind: Kind::Histograms, .. } => 1,
                StoreError::Partly { .. } => 2,
                _ => 0,
            });
            assert!(is_new[..of_error.unwrap_or(3)].iter().all(|is_new| *is_new), "{case}: {done:?}");
            failed += u32::from(done.is_err());
            landed += u32::from(of_error.is_some_and(|at| is_new[at]));
            partly += u32::from(is_new[0] && !is_new[2]);
            replaced(&real).await.unwrap();
            assert_eq!(all_rows(&real).await, after, "{case}");
        }
    }
    assert!(
        failed > 10 && landed > 0 && partly > 0,
        "{failed} failed, of these {landed} had landed and {partly} in part"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_and_merges_meanwhile_lose_nothing() {
    let real = Real::new(StoreConfig::default()).await;
    filled(&real).await;
    let acme = tenant("a");
    let resolver = real.store.resolver(&acme).await.unwrap();
    let mut draft = real.store.draft(&acme, &resolver).await.unwrap();
    let mut batch = SampleBatch::default();
    batch.push(series(&real.store, &acme, "up", "a").await, gap().time_ms.start, 0.5, 0);
    draft.add(of_samples(batch)).await.unwrap();
    real.store.flush().await.unwrap();
    let before = real.rows(Kind::Samples).await.len();
    samples(&real, "down", "a", 100_000..100_007).await;
    real.store.compact().await.unwrap();
    let store = real.store.clone();
    let other = tokio::spawn(async move { store.compact().await });
    let done = draft.commit(gap(), json!({})).await.unwrap().samples;
    other.await.unwrap().unwrap();
    let rows = real.rows(Kind::Samples).await.len();
    assert_eq!(rows as u64, before as u64 + 7 - done.removed + done.added);
    real.live(30).await;
    assert_eq!(real.rows(Kind::Samples).await.len(), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_tenant_that_is_deleted_nothing_comes_back() {
    let real = Real::new(StoreConfig::default()).await;
    filled(&real).await;
    let acme = tenant("a");
    let resolver = real.store.resolver(&acme).await.unwrap();
    let mut draft = real.store.draft(&acme, &resolver).await.unwrap();
    let mut batch = SampleBatch::default();
    batch.push(series(&real.store, &acme, "up", "a").await, gap().time_ms.start, 0.5, 0);
    draft.add(of_samples(batch)).await.unwrap();
    real.store.delete_tenant(&acme).await.unwrap();
    let error = draft.commit(gap(), json!({})).await.unwrap_err();
    assert!(error.to_string().contains("deleted meanwhile"), "{error}");
    assert!(real.rows(Kind::Samples).await.is_empty());
    assert!(real.kill().await.rows(Kind::Samples).await.is_empty());
}

/// A draft that is given up leaves no file behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_seen_by_nobody() {
    let real = Real::new(StoreConfig::default()).await;
    filled(&real).await;
    real.store.flush().await.unwrap();
    let before = real.rows(Kind::Samples).await;
    let acme = tenant("a");
    let files = real.store.core.flusher.files.list(&acme, Kind::Samples).await.unwrap().len();
    let resolver = real.store.resolver(&acme).await.unwrap();
    let mut draft = real.store.draft(&acme, &resolver).await.unwrap();
    let mut batch = SampleBatch::default();
    batch.push(series(&real.store, &acme, "up", "a").await, gap().time_ms.start, 0.5, 0);
    draft.add(of_samples(batch)).await.unwrap();
    assert_eq!(real.store.core.flusher.files.list(&acme, Kind::Samples).await.unwrap().len(), files + 1);
    assert_eq!(real.rows(Kind::Samples).await, before);
    draft.abandon().await;
    assert_eq!(real.store.core.flusher.files.list(&acme, Kind::Samples).await.unwrap().len(), files);
}
