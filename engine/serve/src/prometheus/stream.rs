//! Pieces of an answer as its body.
//!
//! An answer of one piece gets a length; a longer one is written while it is sent, through a
//! bounded queue, so that it is never whole in memory.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use isinglass_query::Turn;
use tokio::sync::mpsc;

/// A piece is closed when it has so many bytes.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// Pieces between writer and client.
const QUEUE_PIECES: usize = 4;
/// How long a client may leave the queue full before its answer is given up.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The body that consists of these pieces. `turn` is held until the last of them is queued.
pub(super) fn body(mut pieces: impl Iterator<Item = Vec<u8>> + Send + 'static, turn: Turn) -> Body {
    let Some(first) = pieces.next() else { return Body::empty() };
    let Some(second) = pieces.next() else { return Body::from(first) };
    let (sender, receiver) = mpsc::channel(QUEUE_PIECES);
    tokio::spawn(async move {
        pump(pieces, sender).await;
        drop(turn);
    });
    let begun = stream::iter([Ok(Bytes::from(first)), Ok(Bytes::from(second))]);
    // Compression asks once more after the end.
    Body::from_stream(begun.chain(rest(receiver)).fuse())
}

enum Piece {
    Bytes(Bytes),
    /// All is sent; a queue that closes without it was broken off.
    End,
}

fn rest(receiver: mpsc::Receiver<Piece>) -> impl futures::Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => None,
            // The connection is broken off, which no client takes for a complete answer.
            None => Some((Err(io::Error::other("the client took nothing for too long")), None)),
        }
    })
}

async fn pump(pieces: impl Iterator<Item = Vec<u8>>, queue: mpsc::Sender<Piece>) {
    for piece in pieces {
        if queue.send_timeout(Piece::Bytes(piece.into()), STALL_MAX).await.is_err() {
            return;
        }
        // Writing is work of the processor; others have a turn between two pieces.
        tokio::task::yield_now().await;
    }
    // Nobody may listen any more.
    let _ = queue.send_timeout(Piece::End, STALL_MAX).await;
}
