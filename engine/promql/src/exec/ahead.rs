//! Operands that are evaluated while others still are.
//!
//! The terms of `a + b + c` are often small: there is too little in each for all threads, and
//! each waits for bytes. So the next one begins before the last one ends. Results are handed over
//! in the order of the text, errors as well, so that nothing depends on who is first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::{Context, Held, collect};
use crate::block::Block;
use crate::error::{EvalError, Result};
use crate::grid::Grid;
use crate::plan::Vector;

/// Operands of a chain that are evaluated at the same time; each has as many threads as there are
/// parts to read.
const AT_ONCE: usize = 2;
/// Chains of a query that do so at the same time; those within their operands wait.
const CHAINS_MAX: usize = 2;
/// An operand may be as deep as a whole expression.
const STACK_BYTES: usize = 16 << 20;

/// Chains of a query whose operands are evaluated at the same time.
#[derive(Debug, Default)]
pub(crate) struct Chains(AtomicUsize);

impl Chains {
    fn enter(&self) -> Option<Entered<'_>> {
        let one_more = |chains| (chains < CHAINS_MAX).then_some(chains + 1);
        let entered = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.ok().map(|_| Entered(self))
    }
}

struct Entered<'a>(&'a Chains);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Collected<'a> = Result<(Block, Held<'a>)>;

/// Hands over the series of one operand after the other.
pub(super) fn each<'a>(
    operands: &[&Vector],
    grid: Grid,
    cx: &'a Context<'_>,
    mut take: impl FnMut(Block, Held<'a>) -> Result<()>,
) -> Result<()> {
    let entered = (cx.parts > 1 && operands.len() > 1).then(|| cx.chains.enter()).flatten();
    if entered.is_none() {
        return operands.iter().try_for_each(|operand| {
            let (block, held) = collect(operand, grid, cx)?;
            take(block, held)
        });
    }
    std::thread::scope(|scope| {
        let mut waiting = operands.iter();
        let mut running = VecDeque::with_capacity(AT_ONCE);
        loop {
            while running.len() < AT_ONCE
                && let Some(operand) = waiting.next()
            {
                running.push_back(start(scope, operand, grid, cx)?);
            }
            let Some(first) = running.pop_front() else { return Ok(()) };
            let (block, held) = first.join().unwrap_or_else(|_| Err(ended_early()))?;
            take(block, held)?;
        }
    })
}

fn start<'scope, 'a: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    operand: &'scope Vector,
    grid: Grid,
    cx: &'a Context<'_>,
) -> Result<ScopedJoinHandle<'scope, Collected<'a>>> {
    let work = move || {
        let collected = collect(operand, grid, cx);
        cx.source.thread_ends();
        collected
    };
    let thread = Builder::new().name("promql operand".to_owned()).stack_size(STACK_BYTES);
    thread
        .spawn_scoped(scope, work)
        .map_err(|error| EvalError::internal(format_args!("cannot start a thread: {error}")))
}

fn ended_early() -> EvalError {
    EvalError::internal("a thread of the query ended early")
}
