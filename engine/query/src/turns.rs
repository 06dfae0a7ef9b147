//! Turns of queries: so many at a time, and fair between tenants.
//!
//! Each tenant has a line of its own. A turn that is given back goes to the next tenant in whose
//! line somebody waits, one after the other, so that the length of a line is the trouble of those
//! who stand in it. A tenant also has no more than its own share of the turns at a time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_model::Tenant;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How many turns one tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantTurns {
    /// At the same time.
    pub concurrent_max: usize,
    /// How many may wait for one.
    pub queue_max: usize,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTurn {
    /// So many of the tenant are waiting already.
    QueueFull {
        /// Those.
        waiting: usize,
    },
    /// None came free in time.
    TooLate {
        /// Turns that are taken.
        running: usize,
        /// Those of the tenant.
        of_tenant: usize,
    },
}

/// Turns of queries. Clones are the same turns.
#[derive(Clone)]
pub struct Turns(Arc<Shared>);

struct Shared {
    max: usize,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    running: usize,
    of: HashMap<Tenant, Line>,
    /// Tenants in whose lines somebody waits, in the order in which they have a turn.
    order: VecDeque<Tenant>,
}

#[derive(Default)]
struct Line {
    running: usize,
    concurrent_max: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn, given back when this goes.
pub struct Turn {
    turns: Arc<Shared>,
    tenant: Tenant,
}

impl Turns {
    /// So many at the same time, at least one.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Shared { max: max.max(1), lines: Mutex::default() }))
    }

    /// Waits for a turn.
    pub async fn take(&self, tenant: &Tenant, own: TenantTurns, until: Instant) -> Result<Turn, NoTurn> {
        let waiting = match self.0.enter(tenant, own) {
            Entered::Turn(turn) => return Ok(turn),
            Entered::Waits(waiting) => waiting,
            Entered::Full(waiting) => return Err(NoTurn::QueueFull { waiting }),
        };
        match tokio::time::timeout_at(until, waiting).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(self.too_late(tenant)),
        }
    }

    /// Those who wait for a turn.
    pub fn waiting(&self) -> usize {
        let lines = self.0.lines.lock();
        lines.of.values().flat_map(|line| &line.waiting).filter(|waiting| !waiting.is_closed()).count()
    }

    /// Turns that are taken.
    pub fn running(&self) -> usize {
        self.0.lines.lock().running
    }

    fn too_late(&self, tenant: &Tenant) -> NoTurn {
        let lines = self.0.lines.lock();
        let of_tenant = lines.of.get(tenant).map_or(0, |line| line.running);
        NoTurn::TooLate { running: lines.running, of_tenant }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turns({} of {})", self.running(), self.0.max)
    }
}

enum Entered {
    Turn(Turn),
    Waits(oneshot::Receiver<Turn>),
    Full(usize),
}

impl Shared {
    fn enter(self: &Arc<Self>, tenant: &Tenant, own: TenantTurns) -> Entered {
        let mut locked = self.lines.lock();
        let lines = &mut *locked;
        let free = lines.running < self.max;
        let line = lines.of.entry(tenant.clone()).or_default();
        line.concurrent_max = own.concurrent_max.max(1);
        line.waiting.retain(|waiting| !waiting.is_closed());
        if free && line.waiting.is_empty() && line.running < line.concurrent_max {
            line.running += 1;
            lines.running += 1;
            return Entered::Turn(Turn { turns: Arc::clone(self), tenant: tenant.clone() });
        }
        if line.waiting.len() >= own.queue_max {
            return Entered::Full(line.waiting.len());
        }
        let (sender, receiver) = oneshot::channel();
        line.waiting.push_back(sender);
        if !lines.order.contains(tenant) {
            lines.order.push_back(tenant.clone());
        }
        Entered::Waits(receiver)
    }

    fn leave(self: &Arc<Self>, tenant: &Tenant) {
        let mut lines = self.lines.lock();
        lines.running -= 1;
        if let Some(line) = lines.of.get_mut(tenant) {
            line.running -= 1;
        }
        let granted = lines.grant(self);
        lines.forget(tenant);
        drop(lines);
        for (waiting, turn) in granted {
            // Who has gone away meanwhile gives it back at once.
            drop(waiting.send(turn));
        }
    }
}

impl Lines {
    /// Hands free turns out, one to each tenant in order.
    fn grant(&mut self, turns: &Arc<Shared>) -> Vec<(oneshot::Sender<Turn>, Turn)> {
        let mut granted = Vec::new();
        let mut asked = 0;
        while self.running < turns.max && asked < self.order.len() {
            let Some(tenant) = self.order.pop_front() else { break };
            let Some(line) = self.of.get_mut(&tenant) else { continue };
            line.waiting.retain(|waiting| !waiting.is_closed());
            if line.waiting.is_empty() {
                self.forget(&tenant);
                continue;
            }
            if line.running >= line.concurrent_max {
                self.order.push_back(tenant);
                asked += 1;
                continue;
            }
            if let Some(waiting) = line.waiting.pop_front() {
                line.running += 1;
                self.running += 1;
                granted.push((waiting, Turn { turns: Arc::clone(turns), tenant: tenant.clone() }));
            }
            asked = 0;
            self.order.push_back(tenant);
        }
        granted
    }

    /// A tenant of whom nothing runs or waits.
    fn forget(&mut self, tenant: &Tenant) {
        if self.of.get(tenant).is_some_and(|line| line.running == 0 && line.waiting.is_empty()) {
            self.of.remove(tenant);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.leave(&self.tenant);
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({})", self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OWN: TenantTurns = TenantTurns { concurrent_max: 2, queue_max: 100 };

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn tenants() -> (Tenant, Tenant) {
        (Tenant::new("a").unwrap(), Tenant::new("b").unwrap())
    }

    #[tokio::test]
    async fn a_tenant_has_its_share() {
        let (a, b) = tenants();
        let turns = Turns::new(3);
        let one = turns.take(&a, OWN, soon()).await.unwrap();
        let _two = turns.take(&a, OWN, soon()).await.unwrap();
        let none = turns.take(&a, OWN, soon()).await.unwrap_err();
        assert_eq!(none, NoTurn::TooLate { running: 2, of_tenant: 2 });
        let _three = turns.take(&b, OWN, soon()).await.unwrap();
        assert!(turns.take(&b, OWN, soon()).await.is_err());
        drop(one);
        let _four = turns.take(&a, OWN, soon()).await.unwrap();
        let none = TenantTurns { queue_max: 0, ..OWN };
        assert_eq!(turns.take(&a, none, late()).await.unwrap_err(), NoTurn::QueueFull { waiting: 0 });
        assert_eq!(turns.running(), 3);
    }

    /// A hundred of one tenant wait; the other's next is the second to have a turn.
    #[tokio::test]
    async fn a_long_line_holds_nobody_else_up() {
        let (a, b) = tenants();
        let turns = Turns::new(1);
        let first = turns.take(&a, OWN, late()).await.unwrap();
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        let ask = |tenant: Tenant| {
            let (turns, done) = (turns.clone(), done.clone());
            tokio::spawn(async move {
                let turn = turns.take(&tenant, OWN, late()).await.unwrap();
                done.send(tenant).unwrap();
                drop(turn);
            })
        };
        for _ in 0..100 {
            ask(a.clone());
        }
        tokio::task::yield_now().await;
        ask(b.clone());
        while turns.0.lines.lock().order.len() < 2 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let first_two = [order.recv().await.unwrap(), order.recv().await.unwrap()];
        assert!(first_two.contains(&b), "{first_two:?}");
        for _ in 0..99 {
            order.recv().await.unwrap();
        }
        while turns.running() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(turns.0.lines.lock().of.is_empty());
    }

    #[tokio::test]
    async fn who_went_away_has_no_turn() {
        let (a, _) = tenants();
        let turns = Turns::new(1);
        let first = turns.take(&a, OWN, late()).await.unwrap();
        for _ in 0..5 {
            assert!(turns.take(&a, OWN, soon()).await.is_err());
        }
        drop(first);
        assert_eq!(turns.running(), 0);
        turns.take(&a, OWN, soon()).await.unwrap();
    }
}
