//! Rows as the body of an answer.
//!
//! The first bytes are held back until there are enough of them or the rows
//! have ended, so that an ordinary failure still gets a status of its own. After
//! that a failure can only be told inside the body: NDJSON ends with a line
//! `{"error": …}`; in the other formats the connection is broken off, which no
//! client takes for a complete answer.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use isinglass_model::ErrorKind;
use isinglass_query::{SqlResult, Turn};
use tokio::sync::mpsc;

use super::format::RowFormat;
use super::rows::RowWriter;
use crate::problem::{Problem, one_line};

/// Held back before the status is sent.
const HEAD_BYTES: usize = 256 << 10;
/// Rows that become one piece of the body.
const CHUNK_ROWS: usize = 1_024;
/// Pieces between query and client.
const QUEUE_CHUNKS: usize = 4;
/// Why an answer may lack rows.
const WARNING: &str = "x-isinglass-warning";
/// Headers that say so, at most.
const WARNINGS_MAX: usize = 10;
/// How long a client may leave the queue full before its query is given up.
const STALL_MAX: Duration = Duration::from_secs(30);

/// Answers with rows. `turn` is held until the last of them is sent.
pub(super) async fn respond(result: SqlResult, format: RowFormat, turn: Turn) -> Result<Response, Problem> {
    let writer = RowWriter::new(format, &result.schema).map_err(unwritable)?;
    let warnings = result.warnings.clone();
    let mut rows = Rows { result, writer, waiting: VecDeque::new(), ended: false };
    let mut head = BytesMut::new();
    let body = loop {
        match rows.next().await? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => break Body::from(head.freeze()),
        }
        if head.len() >= HEAD_BYTES {
            break streamed(head.freeze(), rows, format, turn);
        }
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    // What is said of rows that are still to come can be told nobody any more.
    let warnings = warnings.so_far();
    let lines = warnings.iter().take(WARNINGS_MAX).map(|text| one_line(text));
    for warning in lines.filter_map(|line| HeaderValue::from_bytes(line.as_bytes()).ok()) {
        response.headers_mut().append(WARNING, warning);
    }
    Ok(response)
}

/// The rows of a result, piece by piece.
struct Rows {
    result: SqlResult,
    writer: RowWriter,
    waiting: VecDeque<RecordBatch>,
    ended: bool,
}

impl Rows {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while !self.ended {
            if let Some(batch) = self.waiting.pop_front() {
                self.writer.write(&batch).map_err(unwritable)?;
            } else if let Some(batch) = self.result.stream.next().await {
                self.waiting = slices(&batch?);
                continue;
            } else {
                self.writer.finish().map_err(unwritable)?;
                self.ended = true;
            }
            let bytes = self.writer.take();
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }
}

fn slices(batch: &RecordBatch) -> VecDeque<RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(CHUNK_ROWS).map(|at| batch.slice(at, CHUNK_ROWS.min(rows - at))).collect()
}

fn unwritable(error: ArrowError) -> Problem {
    Problem::new(ErrorKind::Rejected, format!("the result cannot be written in this format: {error}"))
}

/// Sends the head, then what a task of its own makes of the remaining rows.
fn streamed(head: Bytes, rows: Rows, format: RowFormat, turn: Turn) -> Body {
    let (sender, receiver) = mpsc::channel(QUEUE_CHUNKS);
    tokio::spawn(async move {
        pump(rows, format, sender).await;
        drop(turn);
    });
    let rest = stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::other("the rows ended early")), None)),
        }
    });
    Body::from_stream(stream::once(async move { Ok(head) }).chain(rest))
}

enum Piece {
    Bytes(Bytes),
    /// All rows are sent; a queue that closes without it was broken off.
    End,
}

/// Moves rows into the queue until they end, the client goes, or it stalls.
async fn pump(mut rows: Rows, format: RowFormat, queue: mpsc::Sender<Piece>) {
    loop {
        let next = tokio::select! {
            next = rows.next() => next,
            () = queue.closed() => return,
        };
        let (piece, last) = match next {
            Ok(Some(bytes)) => (Piece::Bytes(bytes), false),
            Ok(None) => (Piece::End, true),
            Err(problem) => {
                tracing::warn!(error = %problem.message, "a query failed after its first rows were sent");
                if format == RowFormat::Ndjson {
                    let line = format!("{}\n", problem.as_json());
                    let _ = queue.send_timeout(Piece::Bytes(line.into()), STALL_MAX).await;
                    let _ = queue.send_timeout(Piece::End, STALL_MAX).await;
                }
                return;
            }
        };
        if queue.send_timeout(piece, STALL_MAX).await.is_err() || last {
            return;
        }
    }
}
