//! A moment at which it is known which rows the live counters have counted.
//!
//! Records become visible and are counted one after the other, so a view and the counters say the
//! same only between two of them. There a tick is written. If the samples of counters that still
//! run are to be replaced, these begin anew at 0 in the same moment, as after a restart: what
//! they had is replaced, and what comes later goes into series of a new life. So do rows that wait
//! for another one: their wait ends, as at a stop.

use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Tenant;
use isinglass_store::{Append, Resolver, View};

use super::ReplayError;
use crate::derived::{TenantBoard, write_tick};
use crate::ingest::Ingest;
use crate::ticks::tick_record;

/// Looks for such a moment, and the pause between two.
const TRIES: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(2);

/// Counters whose samples are to be replaced up to a time.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    pub(super) name: String,
    pub(super) to_ms: i64,
}

/// Such a moment.
pub(super) struct Cut {
    /// All rows that were counted by then, and no others.
    pub(super) rows: Arc<View>,
    /// The first millisecond after the last tick.
    pub(super) end_ms: i64,
    /// Whether counters began anew.
    pub(super) began_anew: bool,
}

struct Tried {
    append: Option<Append>,
    end_ms: i64,
    began_anew: bool,
}

impl Ingest {
    /// Finds one. When it answers the tick is stored and flushed.
    pub(super) async fn cut(&self, tenant: &Tenant, replaced: Option<Replaced>) -> Result<Cut, ReplayError> {
        let store = self.store();
        if store.is_replaying() {
            // Waits until all records are counted.
            store.flush().await?;
        }
        let (rows, tried) = {
            let _one_at_a_time = self.one_tick().await;
            let (rows, tried, board) = self.between_records(tenant, replaced).await?;
            if let Some(append) = tried.append {
                let stored = self.append_tick(tenant, append).await;
                if let Some(board) = board {
                    match stored.is_ok() {
                        true => board.lock().commit_tick(),
                        false => board.lock().abort_tick(self.derived_limits(), self.board().now()),
                    }
                }
                stored?;
                return self.flushed(rows, tried.end_ms, tried.began_anew).await;
            }
            if let Some(board) = board {
                board.lock().commit_tick();
            }
            (rows, (tried.end_ms, tried.began_anew))
        };
        self.flushed(rows, tried.0, tried.1).await
    }

    async fn flushed(&self, rows: Arc<View>, end_ms: i64, began_anew: bool) -> Result<Cut, ReplayError> {
        self.store().flush().await?;
        Ok(Cut { rows, end_ms, began_anew })
    }

    async fn between_records(
        &self,
        tenant: &Tenant,
        replaced: Option<Replaced>,
    ) -> Result<(Arc<View>, Tried, Option<crate::ticks::SharedBoard>), ReplayError> {
        for _ in 0..TRIES {
            let mut resolver = self.store().resolver(tenant).await?;
            resolver.limit(self.series_limits(tenant));
            let board = self.board().find(tenant);
            let view = self.store().view(tenant).await?;
            let (this, of, at, replaced) = (self.clone(), board.clone(), Arc::clone(&view), replaced.clone());
            let tenant = tenant.clone();
            let tried = self.compute(move || Ok(this.try_cut(&tenant, of, resolver, &at, replaced.as_ref())));
            if let Some(tried) = tried.await? {
                return Ok((view, tried, board));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ReplayError::NoMoment)
    }

    /// `None`: something came since the view was taken.
    fn try_cut(
        &self,
        tenant: &Tenant,
        board: Option<crate::ticks::SharedBoard>,
        mut resolver: Resolver,
        view: &View,
        replaced: Option<&Replaced>,
    ) -> Option<Tried> {
        let is_now = || self.board().applied_of(tenant) == view.watermark;
        let Some(board) = board else {
            let end_ms = self.clock().now_unix_nanos().div_euclid(1_000_000).saturating_add(1);
            return is_now().then_some(Tried { append: None, end_ms, began_anew: false });
        };
        let mut board = self.board().settled(tenant, &board);
        if !is_now() {
            return None;
        }
        // No counter in the tick begins after it.
        let now = self.clock().now_unix_nanos();
        let chain = self.chains().current();
        let tick = write_tick(self.board(), tenant, &mut board, &chain, &mut resolver, now);
        let end_ms = match board.last_tick_ms {
            0 => now.div_euclid(1_000_000).saturating_add(1),
            last => last.saturating_add(1),
        };
        let began_anew =
            replaced.is_some_and(|replaced| begin_anew(&mut board, replaced, tick.is_some(), end_ms));
        if began_anew {
            self.pass(end_ms);
        }
        let append = tick.map(|tick| tick_record(tenant, resolver.life(), tick));
        Some(Tried { append, end_ms, began_anew })
    }
}

impl Ingest {
    /// Lets a time pass, a millisecond or two, so that no series of the new life begins before it.
    /// Whoever counts waits for it; a clock that stands still is not waited for.
    fn pass(&self, unix_ms: i64) {
        for _ in 0..5 {
            if self.clock().now_unix_millis() > unix_ms {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Rows that wait for another one go with the counters: the replay reads them, and counts them.
fn begin_anew(board: &mut TenantBoard, replaced: &Replaced, ticks: bool, end_ms: i64) -> bool {
    let runs = ticks && board.began_before(&replaced.name, replaced.to_ms);
    let waits = replaced.to_ms >= end_ms && board.waiting(&replaced.name) > 0;
    if runs || waits {
        board.begin_anew(&replaced.name);
    }
    runs || waits
}
