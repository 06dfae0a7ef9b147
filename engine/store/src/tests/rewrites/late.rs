//! Samples that come late, again, or with another value, against a model: of each time of a
//! series the value that was accepted first stays, whatever is flushed, merged and killed
//! meanwhile, and every sample that goes is counted.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Few, so that most samples meet another one.
const SERIES: usize = 20;
const TIMES: i64 = 200;
const VALUES: [f64; 4] = [1.0, 2.5, -3.0, 1e-7];
/// Samples of one append.
const APPENDED: usize = 1_000;

#[derive(Debug, Clone)]
enum Step {
    Append { seed: u64 },
    Flush,
    Merge,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u64>().prop_map(|seed| Step::Append { seed }),
        3 => Just(Step::Flush),
        2 => Just(Step::Merge),
        1 => Just(Step::Kill),
    ];
    vec(step, 20..30)
}

/// What was accepted, and what merges have said.
#[derive(Default)]
struct Model {
    first: HashMap<(String, i64), f64>,
    accepted: u64,
    /// Of processes that are gone.
    dropped: u64,
}

impl Model {
    async fn append(&mut self, store: &Store, seed: u64) {
        let acme = tenant("a");
        let life = store.resolver(&acme).await.unwrap().life();
        let mut append = Append { life, ..Append::new(acme.clone()) };
        let mut known = Vec::new();
        for at in 0..SERIES {
            known.push(series(store, &acme, "up", &format!("i{at}")).await);
        }
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..APPENDED {
            let series = random.random_range(0..SERIES);
            let time = NOW_MS + random.random_range(0..TIMES) * 15_000;
            let value = VALUES[random.random_range(0..VALUES.len())];
            append.samples.push(known[series], time, value, 0);
            let id = isinglass_model::ids::series_id(&labels("up", &format!("i{series}"))).to_string();
            self.first.entry((id, time)).or_insert(value);
        }
        self.accepted += APPENDED as u64;
        store.append(append).await.unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> =
            self.first.iter().map(|((id, time), value)| format!("{id}@{time}={value}")).collect();
        rows.sort();
        rows
    }
}

fn dropped(store: &Store) -> u64 {
    let stats = store.stats();
    stats.merged_duplicates + stats.merged_conflicts
}

async fn run(steps: Vec<Step>) -> u64 {
    let (mut real, mut model) = (Real::new(StoreConfig::default()).await, Model::default());
    for step in steps {
        match step {
            Step::Append { seed } => model.append(&real.store, seed).await,
            Step::Flush => real.store.flush().await.unwrap(),
            Step::Merge => real.store.compact().await.unwrap(),
            Step::Kill => {
                model.dropped += dropped(&real.store);
                real = real.kill().await;
            }
        }
    }
    real.store.flush().await.unwrap();
    // Until a file of its own, too, has come to the last level.
    real.live(30).await;
    let (kept, wanted) = (real.rows(Kind::Samples).await, model.rows());
    let different = kept.iter().zip(&wanted).find(|(kept, wanted)| kept != wanted);
    assert_eq!((different, kept.len()), (None, wanted.len()), "kept, and accepted first");
    let gone = model.dropped + dropped(&real.store);
    assert_eq!(model.accepted, model.first.len() as u64 + gone, "accepted = kept + counted");
    model.accepted
}

/// Ten histories of ten thousand samples, about; `ISINGLASS_LATE_CASES=100` makes it a million.
#[test]
fn of_late_and_repeated_samples_the_first_accepted_stay() {
    let cases = std::env::var("ISINGLASS_LATE_CASES").map_or(10, |cases| cases.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let samples = std::sync::atomic::AtomicU64::new(0);
    let result = proptest::test_runner::TestRunner::new(config).run(&steps(), |steps| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let accepted = runtime.unwrap().block_on(run(steps));
        samples.fetch_add(accepted, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    });
    result.unwrap();
    eprintln!("{cases} histories, {} samples", samples.into_inner());
}
