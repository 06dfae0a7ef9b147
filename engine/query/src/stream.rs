//! The rows of an answer, under its budget.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use futures::Stream;
use isinglass_model::ErrorKind;
use tokio::sync::mpsc::Receiver;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use crate::error::QueryError;
use crate::interrupt::Interrupt;
use crate::queries::Tracked;

/// What an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) until: Instant,
    /// For the message.
    pub(crate) deadline: Duration,
}

/// What the query sends to the one who reads its rows. A channel that closes
/// without [`Message::End`] is a query that broke off, not one that is done.
#[derive(Debug)]
pub(crate) enum Message {
    /// Some rows.
    Rows(RecordBatch),
    /// Something went wrong; nothing follows.
    Failed(QueryError),
    /// All rows were sent.
    End,
}

/// Record batches as they come. After an error nothing follows. Dropping it ends
/// the query: at once if it waits, at its next pause if it computes.
pub struct ResultStream {
    messages: Receiver<Message>,
    task: Option<AbortHandle>,
    interrupt: Interrupt,
    budget: Budget,
    timer: Pin<Box<Sleep>>,
    /// Who is told how the query ends.
    tracked: Option<Tracked>,
    done: bool,
}

impl ResultStream {
    pub(crate) fn new(
        messages: Receiver<Message>,
        task: Option<AbortHandle>,
        interrupt: Interrupt,
        budget: Budget,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(budget.until));
        Self { messages, task, interrupt, budget, timer, tracked: None, done: false }
    }

    /// Tells how the query ends.
    pub(crate) fn tracked(mut self, tracked: Tracked) -> Self {
        self.tracked = Some(tracked);
        self
    }

    fn charge(&mut self, batch: RecordBatch) -> Result<RecordBatch, QueryError> {
        let over =
            |what: String| QueryError::new(ErrorKind::TooLarge, format!("the result has more than {what}"));
        let rows = batch.num_rows() as u64;
        let bytes = bytes_of(&batch);
        if rows > self.budget.rows {
            return Err(over("the rows allowed; add a LIMIT or aggregate".to_owned()));
        }
        if bytes > self.budget.bytes {
            return Err(over("the bytes allowed; select fewer columns or rows".to_owned()));
        }
        self.budget.rows -= rows;
        self.budget.bytes -= bytes;
        if let Some(tracked) = &self.tracked {
            tracked.rows(rows, bytes);
        }
        Ok(batch)
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, QueryError>>> {
        if self.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(QueryError::timeout(self.budget.deadline))));
        }
        Poll::Ready(match ready!(self.messages.poll_recv(context)) {
            Some(Message::Rows(batch)) => Some(self.charge(batch)),
            Some(Message::Failed(error)) => Some(Err(error)),
            Some(Message::End) => None,
            None => Some(Err(self.broken_off())),
        })
    }

    fn broken_off(&self) -> QueryError {
        if Instant::now() >= self.budget.until {
            return QueryError::timeout(self.budget.deadline);
        }
        QueryError::new(ErrorKind::Internal, "the query broke off")
    }
}

/// Bytes of a batch as a client gets them, roughly: a dictionary that all batches
/// share counts by the rows that point into it.
fn bytes_of(batch: &RecordBatch) -> u64 {
    let column = |array: &ArrayRef| match array.as_any_dictionary_opt() {
        Some(dictionary) => {
            let values = dictionary.values();
            array.len() * (4 + values.get_array_memory_size() / values.len().max(1))
        }
        None => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    };
    batch.columns().iter().map(column).sum::<usize>() as u64
}

impl Stream for ResultStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = ready!(self.next(context));
        self.done = !matches!(item, Some(Ok(_)));
        match (&self.tracked, &item) {
            (Some(tracked), None) => tracked.done(),
            (Some(tracked), Some(Err(error))) => tracked.failed(error),
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;
    use futures::StreamExt;
    use tokio::sync::mpsc;

    use super::*;

    fn rows() -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    async fn read(messages: Vec<Message>, rows_max: u64) -> Vec<Result<usize, ErrorKind>> {
        let (sender, receiver) = mpsc::channel(10);
        for message in messages {
            sender.send(message).await.unwrap();
        }
        drop(sender);
        let deadline = Duration::from_secs(60);
        let budget = Budget { rows: rows_max, bytes: 1_000, until: Instant::now() + deadline, deadline };
        let stream = ResultStream::new(receiver, None, Interrupt::default(), budget);
        stream.map(|rows| rows.map(|rows| rows.num_rows()).map_err(|error| error.kind())).collect().await
    }

    #[tokio::test]
    async fn only_an_end_is_an_end() {
        assert_eq!(read(vec![Message::Rows(rows()), Message::End], 9).await, [Ok(3)]);
        assert_eq!(read(vec![Message::Rows(rows())], 9).await, [Ok(3), Err(ErrorKind::Internal)]);
        assert_eq!(read(vec![], 9).await, [Err(ErrorKind::Internal)]);
        let failed = Message::Failed(QueryError::forbidden("no"));
        assert_eq!(
            read(vec![failed, Message::Rows(rows()), Message::End], 9).await,
            [Err(ErrorKind::Forbidden)]
        );
    }

    #[tokio::test]
    async fn one_row_too_many_is_an_error() {
        let twice = || vec![Message::Rows(rows()), Message::Rows(rows()), Message::End];
        assert_eq!(read(twice(), 6).await, [Ok(3), Ok(3)]);
        assert_eq!(read(twice(), 5).await, [Ok(3), Err(ErrorKind::TooLarge)]);
    }
}
