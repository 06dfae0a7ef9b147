//! What a machine does, and when it dies.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::deaths::Deaths;
use super::hardware::{End, Hardware, Parts};
use super::ledger::{Ledger, MORTAL};
use crate::tests::machine::Fuse;
use crate::tests::*;

/// Lives of one machine.
pub(super) const LIVES: usize = 5;
/// Steps of one life that is not cut short.
const STEPS: usize = 10;
/// Operations of a whole life, about.
const OPERATIONS_MAX: u64 = 140;
/// Operations of one step, about.
const STEP_OPERATIONS_MAX: u64 = 12;
/// What is said of a machine that waits for something that never comes.
const HANGS: &str = "it hangs";
/// No life takes so long.
const LIFE_MAX: Duration = Duration::from_secs(60);
/// The same of a machine that lies.
const LYING_LIFE_MAX: Duration = Duration::from_secs(10);
/// The clock is watched for so long before rows are removed by it, and more.
const WATCH: Duration = Duration::from_secs(7_300);
/// The keys of batches are remembered for longer.
const REMEMBERED: Duration = Duration::from_secs(9 * 60);

/// What a machine is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Start,
    Intake,
    Resend,
    Flush,
    Merge,
    Round,
    Retention,
    Deletion,
}

impl Phase {
    /// Those in which a machine has something to do that changes its disk.
    pub(super) const BUSY: [Self; 7] =
        [Self::Start, Self::Intake, Self::Flush, Self::Merge, Self::Round, Self::Retention, Self::Deletion];
    /// Those that a death can be aimed at.
    const AIMS: [Self; 6] =
        [Self::Intake, Self::Flush, Self::Merge, Self::Round, Self::Retention, Self::Deletion];
}

/// A death in the middle of a certain phase.
#[derive(Debug, Clone, Copy)]
struct Aim {
    phase: Phase,
    step: usize,
    operations: u64,
}

/// A batch with a key.
#[derive(Debug, Clone)]
struct Batch {
    key: u128,
    tenant: &'static str,
    kind: Kind,
    rows: Vec<String>,
    sent: Duration,
}

impl Batch {
    fn append(&self) -> Append {
        match self.kind {
            Kind::Spans => span_append(&tenant(self.tenant), &self.rows),
            _ => log_append(&tenant(self.tenant), &self.rows),
        }
    }
}

/// One machine through all its lives.
pub(super) struct Machine {
    pub(super) hardware: Hardware,
    pub(super) ledger: Ledger,
    rng: StdRng,
    fuse: Fuse,
    aim: Option<Aim>,
    phase: Phase,
    next: u64,
    last: Option<Batch>,
}

impl Machine {
    pub(super) fn new(seed: u64, hardware: Hardware) -> Self {
        Self {
            hardware,
            ledger: Ledger::default(),
            rng: StdRng::seed_from_u64(seed),
            fuse: Fuse::default(),
            aim: None,
            phase: Phase::Start,
            next: 0,
            last: None,
        }
    }

    /// All its lives. `Err` says what was lost or doubled.
    pub(super) fn live_and_die(seed: u64, end: End, parts: Parts, deaths: &mut Deaths) -> Result<(), String> {
        let mut machine = Self::new(seed, Hardware::new(end, parts));
        for life in 0..LIVES {
            machine.plan_death();
            let coin = machine.rng.random();
            machine.hardware.again(end, &machine.fuse, coin);
            machine.life().map_err(|what| format!("seed {seed}, life {life}: {what}"))?;
            machine.fuse.blow();
            if let Some(death) = machine.fuse.death() {
                deaths.add(machine.phase, &death);
            }
        }
        machine.hardware.again(end, &Fuse::default(), seed);
        machine.last_life().map_err(|what| format!("seed {seed}, at the end: {what}"))?;
        deaths.survived(machine.ledger.acknowledged());
        Ok(())
    }

    /// Half of all deaths are somewhere in a life, the others in a given phase.
    fn plan_death(&mut self) {
        let rng = &mut self.rng;
        if rng.random() {
            (self.fuse, self.aim) = (Fuse::of(rng.random_range(1..=OPERATIONS_MAX)), None);
        } else {
            let phase = Phase::AIMS[rng.random_range(0..Phase::AIMS.len())];
            let (step, operations) = (rng.random_range(3..STEPS), rng.random_range(1..=STEP_OPERATIONS_MAX));
            (self.fuse, self.aim) = (Fuse::default(), Some(Aim { phase, step, operations }));
        }
    }

    fn life_max(&self) -> Duration {
        if self.hardware.lies() { LYING_LIFE_MAX } else { LIFE_MAX }
    }

    /// A runtime of its own: what still runs when the machine dies goes with it.
    fn life(&mut self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fuse = self.fuse.clone();
        let life_max = self.life_max();
        let life = async {
            self.phase = Phase::Start;
            // With the process goes all that it was about to do.
            let store = tokio::select! {
                biased;
                () = blown(&fuse) => return Ok(()),
                started = self.hardware.start() => started,
            };
            let store = match store {
                Ok(store) => store,
                Err(_) if fuse.death().is_some() => return Ok(()),
                Err(error) => return Err(format!("it does not start: {error}")),
            };
            match self.ledger.audit(&store).await {
                Err(_) if fuse.death().is_some() => return Ok(()),
                result => result?,
            }
            tokio::select! {
                biased;
                () = blown(&fuse) => Ok(()),
                worked = self.work(&store) => worked,
            }
        };
        let result = runtime.block_on(async { tokio::time::timeout(life_max, life).await });
        runtime.shutdown_background();
        result.unwrap_or_else(|_| Err(HANGS.to_owned()))
    }

    async fn work(&mut self, store: &Store) -> Result<(), String> {
        self.resend(store).await?;
        for step in 0..STEPS {
            self.step(store, step).await?;
        }
        Ok(())
    }

    /// Starts, has everything, takes writes, flushes and merges.
    pub(super) fn last_life(&mut self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let life_max = self.life_max();
        let life = async {
            let store = self.hardware.start().await.map_err(|error| format!("it does not start: {error}"))?;
            self.ledger.audit(&store).await?;
            self.resend(&store).await?;
            let before = self.ledger.acknowledged();
            self.send(&store, "a", Kind::Logs).await;
            if self.ledger.acknowledged() == before {
                return Err("it takes no writes".to_owned());
            }
            store.flush().await.map_err(|error| format!("no flush: {error}"))?;
            store.core.upkeep.compact().await.map_err(|error| format!("no merge: {error}"))?;
            self.ledger.audit(&store).await
        };
        let result = runtime.block_on(async { tokio::time::timeout(life_max, life).await });
        runtime.shutdown_background();
        result.unwrap_or_else(|_| Err(HANGS.to_owned()))
    }

    /// What it comes to is seen at the next start: errors are what a dying machine gives.
    pub(super) async fn step(&mut self, store: &Store, step: usize) -> Result<(), String> {
        let aimed = self.aim.filter(|aim| aim.step == step);
        let phase = aimed.map_or_else(|| self.draw(), |aim| aim.phase);
        if let Some(aim) = aimed.filter(|aim| aim.phase != Phase::Retention) {
            self.fuse.dies_in(aim.operations);
        }
        self.phase = phase;
        match phase {
            Phase::Start => {}
            Phase::Intake => self.intake(store).await,
            Phase::Resend => self.resend(store).await?,
            Phase::Flush => drop(store.flush().await),
            Phase::Merge => drop(store.core.upkeep.compact().await),
            Phase::Round => {
                self.hardware.clock.advance(Duration::from_secs(self.rng.random_range(600..9_000)));
                store.core.upkeep.round().await;
            }
            Phase::Retention => self.retention(store, aimed).await,
            Phase::Deletion => self.delete(store).await,
        }
        Ok(())
    }

    fn draw(&mut self) -> Phase {
        match self.rng.random_range(0..100) {
            0..58 => Phase::Intake,
            58..62 => Phase::Resend,
            62..80 => Phase::Flush,
            80..88 => Phase::Merge,
            88..96 => Phase::Round,
            96..98 => Phase::Retention,
            _ => Phase::Deletion,
        }
    }

    async fn intake(&mut self, store: &Store) {
        let tenant = if self.rng.random_range(0..6) == 0 { MORTAL } else { "a" };
        match self.rng.random_range(0..4) {
            0 => self.send_samples(store, tenant).await,
            1 => self.send(store, tenant, Kind::Spans).await,
            _ => self.send(store, tenant, Kind::Logs).await,
        }
    }

    /// Sends a new batch.
    pub(super) async fn send(&mut self, store: &Store, tenant: &'static str, kind: Kind) {
        self.next += 1;
        let rows = (0..self.rng.random_range(1..6)).map(|row| format!("{kind} {:06}.{row}", self.next));
        let batch = Batch {
            key: u128::from(self.next),
            tenant,
            kind,
            rows: rows.collect(),
            sent: self.hardware.clock.monotonic(),
        };
        self.ledger.send(tenant, &batch.rows);
        self.last = Some(batch.clone());
        if let Some(Ok(_)) = append_once(store, batch.key, batch.append()).await {
            self.ledger.acknowledge(tenant, &batch.rows);
        }
    }

    /// The last batch is sent again, as by a sender that did not hear of it.
    async fn resend(&mut self, store: &Store) -> Result<(), String> {
        let now = self.hardware.clock.monotonic();
        let Some(batch) = self.last.clone().filter(|batch| now - batch.sent < REMEMBERED) else {
            return Ok(());
        };
        self.phase = Phase::Resend;
        match append_once(store, batch.key, batch.append()).await {
            Some(_) if self.ledger.promises(batch.tenant, &batch.rows) => {
                return Err(format!("batch {} was acknowledged and is taken again", batch.key));
            }
            Some(Err(_)) => {}
            // Also where its sender was told of a failure.
            Some(Ok(_)) | None => self.ledger.acknowledge(batch.tenant, &batch.rows),
        }
        Ok(())
    }

    async fn send_samples(&mut self, store: &Store, name: &'static str) {
        self.next += 1;
        let time = NOW_MS + self.next as i64 * 1_000;
        let names: Vec<String> = (0..self.rng.random_range(1..4)).map(|n| format!("i{n}")).collect();
        let Ok(mut resolver) = store.resolver(&tenant(name)).await else { return };
        let mut append = Append { life: resolver.life(), ..Append::new(tenant(name)) };
        let mut rows = Vec::new();
        for instance in &names {
            let Ok(known) = resolver.intern_labels(labels("up", instance)) else { return };
            append.samples.push(known.series, time, 1.5, 0);
            let id = isinglass_model::ids::series_id(&labels("up", instance));
            rows.push(format!("{id}@{time}=1.5"));
        }
        drop(resolver);
        self.ledger.send(name, &rows);
        if store.append(append).await.is_ok() {
            self.ledger.acknowledge(name, &rows);
        }
    }

    /// Rows of the mortal tenant come, and go when the clock was watched for long enough.
    async fn retention(&mut self, store: &Store, aimed: Option<Aim>) {
        self.phase = Phase::Intake;
        self.send(store, MORTAL, Kind::Logs).await;
        self.phase = Phase::Flush;
        let _ = store.flush().await;
        self.phase = Phase::Round;
        store.core.upkeep.round().await;
        self.hardware.clock.advance(WATCH);
        self.phase = Phase::Retention;
        if let Some(aim) = aimed {
            self.fuse.dies_in(aim.operations);
        }
        store.core.upkeep.round().await;
    }

    /// All of the mortal tenant goes, for good once that is acknowledged.
    async fn delete(&mut self, store: &Store) {
        self.last = self.last.take().filter(|batch| batch.tenant != MORTAL);
        if store.delete_tenant(&tenant(MORTAL)).await.is_ok() {
            self.ledger.forget(MORTAL);
        }
    }
}

/// Answers soon after the machine died.
async fn blown(fuse: &Fuse) {
    while fuse.death().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
