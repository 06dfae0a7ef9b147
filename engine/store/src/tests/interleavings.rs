//! Random interleavings: whatever happens, an acknowledged row is seen exactly once, and a
//! row whose append failed at most once.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wal::sim::Faults;

#[derive(Debug, Clone)]
enum Step {
    Append {
        tenant: usize,
        rows: usize,
    },
    Samples {
        tenant: usize,
        series: usize,
    },
    Resend,
    Flush,
    FailingFlush {
        after: bool,
        skip: usize,
    },
    /// A view is taken and looked at again at the end.
    Hold {
        tenant: usize,
    },
    /// Two in a row end all writing until the next start.
    FailingSyncs {
        count: u32,
    },
    FailingWrite,
    Kill,
    CutPower {
        seed: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 1..20_usize).prop_map(|(tenant, rows)| Step::Append { tenant, rows }),
        6 => (0..2_usize, 1..6_usize).prop_map(|(tenant, series)| Step::Samples { tenant, series }),
        1 => Just(Step::Resend),
        2 => Just(Step::Flush),
        3 => (any::<bool>(), 0..4_usize).prop_map(|(after, skip)| Step::FailingFlush { after, skip }),
        1 => (0..2_usize).prop_map(|tenant| Step::Hold { tenant }),
        2 => (1..4_u32).prop_map(|count| Step::FailingSyncs { count }),
        1 => Just(Step::FailingWrite),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(|seed| Step::CutPower { seed }),
    ];
    vec(step, 1..40)
}

/// What the world should look like.
#[derive(Default)]
struct Model {
    next: u64,
    acknowledged: BTreeSet<(usize, String)>,
    /// Failed, so it may be there or not.
    uncertain: BTreeSet<(usize, String)>,
    last: Option<(u128, usize, Vec<String>)>,
}

struct Run {
    world: World,
    model: Model,
    tenants: [Tenant; 2],
    held: Vec<(Arc<View>, BTreeMap<Kind, Vec<String>>)>,
}

impl Run {
    async fn step(mut self, step: Step) -> Self {
        match step {
            Step::Append { tenant, rows } => self.append_logs(tenant, rows).await,
            Step::Samples { tenant, series } => self.append_samples(tenant, series).await,
            Step::Resend => self.resend().await,
            Step::Flush => {
                // A fault that was planned before may still be waiting.
                let _ = self.world.store.flush().await;
            }
            Step::FailingFlush { after, skip } => self.failing_flush(after, skip).await,
            Step::Hold { tenant } => {
                let view = self.world.store.view(&self.tenants[tenant]).await.unwrap();
                let rows = rows_in(&view, &self.world.tables);
                self.held.push((view, rows));
            }
            Step::FailingSyncs { count } => {
                self.world.disk.faults(Faults { syncs: count, ..Faults::default() })
            }
            Step::FailingWrite => self.world.disk.faults(Faults { writes: 1, ..Faults::default() }),
            Step::Kill => self.world = self.world.kill().await,
            Step::CutPower { seed } => self.world = self.world.cut_power(seed).await,
        }
        self
    }

    async fn append_logs(&mut self, tenant: usize, rows: usize) {
        let bodies: Vec<String> = (0..rows).map(|row| format!("{:06}.{row}", self.model.next)).collect();
        self.model.next += 1;
        let key = u128::from(self.model.next);
        let result = append_once(&self.world.store, key, log_append(&self.tenants[tenant], &bodies)).await;
        self.model.last = Some((key, tenant, bodies.clone()));
        self.note(tenant, bodies, &result.expect("a new key"));
    }

    async fn resend(&mut self) {
        let Some((key, tenant, bodies)) = self.model.last.clone() else {
            return;
        };
        match append_once(&self.world.store, key, log_append(&self.tenants[tenant], &bodies)).await {
            // Stored before, also where the sender was told of a failure.
            None => self.note(tenant, bodies, &Ok(Appended { seq: 0 })),
            Some(result) => {
                let known = self.model.acknowledged.contains(&(tenant, bodies[0].clone()));
                assert!(!known, "an acknowledged batch was taken again");
                self.note(tenant, bodies, &result);
            }
        }
    }

    async fn append_samples(&mut self, tenant: usize, series: usize) {
        let time = NOW_MS + i64::try_from(self.model.next).unwrap() * 40_000_000;
        self.model.next += 1;
        let names: Vec<String> = (0..series).map(|n| format!("i{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let append = sample_append(&self.world.store, &self.tenants[tenant], time, &names, 1.5).await;
        let table = self.world.store.resolver(&self.tenants[tenant]).await.unwrap();
        let rows = append
            .samples
            .series
            .iter()
            .map(|series| format!("{}@{time}=1.5", table.series(*series).unwrap().series_id));
        let rows = rows.collect();
        let result = self.world.store.append(append).await;
        self.note(tenant, rows, &result);
    }

    fn note(&mut self, tenant: usize, rows: Vec<String>, result: &Result<Appended, StoreError>) {
        for row in rows {
            match result {
                Ok(_) => {
                    self.model.uncertain.remove(&(tenant, row.clone()));
                    self.model.acknowledged.insert((tenant, row))
                }
                Err(_) => self.model.uncertain.insert((tenant, row)),
            };
        }
    }

    async fn failing_flush(&mut self, after: bool, skip: usize) {
        // The last pushed is the first to come: let some commits pass.
        self.world.tables.fail_after(skip, if after { Fault::After } else { Fault::Before });
        let _ = self.world.store.flush().await;
    }

    async fn check(&self) {
        // What came in the very moment in which the log was read to its end is brought by the
        // reader: until then views say that they lack it.
        self.world.store.caught_up().await.unwrap();
        for (at, tenant) in self.tenants.iter().enumerate() {
            let rows = self.world.rows(tenant).await;
            let of = |kind| rows.get(&kind).cloned().unwrap_or_default();
            let mut seen = of(Kind::Logs);
            seen.extend(of(Kind::Samples));
            let total = seen.len();
            let seen: BTreeSet<String> = seen.into_iter().collect();
            assert_eq!(seen.len(), total, "a row is there twice");
            for (_, row) in self.model.acknowledged.iter().filter(|(tenant, _)| *tenant == at) {
                assert!(seen.contains(row), "{row} was acknowledged and is not there");
            }
            for row in &seen {
                let key = (at, row.clone());
                let known = self.model.acknowledged.contains(&key) || self.model.uncertain.contains(&key);
                assert!(known, "{row} came from nowhere");
            }
        }
        for (view, rows) in &self.held {
            assert_eq!(&rows_in(view, &self.world.tables), rows, "a view has changed");
        }
    }
}

async fn run(steps: Vec<Step>) {
    let mut run = Run {
        world: World::new(StoreConfig { wal_segment_bytes: 8 << 10, ..small() }).await,
        model: Model::default(),
        tenants: [tenant("a"), tenant("b")],
        held: Vec::new(),
    };
    for step in steps {
        run = run.step(step).await;
        run.check().await;
    }
    run = run.step(Step::CutPower { seed: 1 }).await;
    run.check().await;
    run.world.tables.forget_faults();
    run.world.store.flush().await.unwrap();
    run.check().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_acknowledged_row_is_seen_exactly_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
