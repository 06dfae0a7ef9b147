//! The rows of an answer, under its budget.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow_array::RecordBatch;
use futures::Stream;
use isinglass_model::ErrorKind;
use tokio::sync::mpsc::Receiver;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use crate::error::QueryError;
use crate::interrupt::Interrupt;

/// What an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) until: Instant,
    /// For the message.
    pub(crate) deadline: Duration,
}

/// Record batches as they come. After an error nothing follows. Dropping it ends
/// the query: at once if it waits, at its next pause if it computes.
pub struct ResultStream {
    rows: Receiver<Result<RecordBatch, QueryError>>,
    task: Option<AbortHandle>,
    interrupt: Interrupt,
    budget: Budget,
    timer: Pin<Box<Sleep>>,
    done: bool,
}

impl ResultStream {
    pub(crate) fn new(
        rows: Receiver<Result<RecordBatch, QueryError>>,
        task: Option<AbortHandle>,
        interrupt: Interrupt,
        budget: Budget,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(budget.until));
        Self { rows, task, interrupt, budget, timer, done: false }
    }

    fn charge(&mut self, batch: RecordBatch) -> Result<RecordBatch, QueryError> {
        let over =
            |what: String| QueryError::new(ErrorKind::TooLarge, format!("the result has more than {what}"));
        let rows = batch.num_rows() as u64;
        let bytes = batch.get_array_memory_size() as u64;
        if rows > self.budget.rows {
            return Err(over("the rows allowed; add a LIMIT or aggregate".to_owned()));
        }
        if bytes > self.budget.bytes {
            return Err(over("the bytes allowed; select fewer columns or rows".to_owned()));
        }
        self.budget.rows -= rows;
        self.budget.bytes -= bytes;
        Ok(batch)
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, QueryError>>> {
        if self.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(QueryError::timeout(self.budget.deadline))));
        }
        let batch = ready!(self.rows.poll_recv(context));
        Poll::Ready(batch.map(|batch| batch.and_then(|batch| self.charge(batch))))
    }
}

impl Stream for ResultStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = ready!(self.next(context));
        self.done = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl Drop for ResultStream {
    fn drop(&mut self) {
        self.interrupt.set();
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl fmt::Debug for ResultStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultStream")
            .field("budget", &self.budget)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
