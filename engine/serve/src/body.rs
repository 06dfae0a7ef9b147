//! Reading a request body without trusting its sender: bytes, time and the
//! memory of all bodies together are bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use isinglass_model::MemoryLimit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::problem::Problem;

/// The budget counts in these units, so that 64 MiB is a small number of permits.
const UNIT_BYTES: usize = 1 << 10;
/// Reserved at once for a body of known length; the rest as it arrives, because
/// a declared length costs its sender nothing.
const RESERVE_BYTES_MAX: usize = 1 << 20;
/// How long a body waits for memory that other bodies hold.
const BUDGET_WAIT: Duration = Duration::from_secs(5);
/// Of a body that is refused so much is still read and thrown away, at most so long: who is cut
/// off while still sending may lose the answer that says why.
const DRAIN_BYTES_MAX: usize = 8 << 20;
const DRAIN_WAIT: Duration = Duration::from_secs(1);
/// Bodies wait while the process holds so many times what it may; queries end before that.
const MEMORY_MARGIN: f64 = 1.05;
const MEMORY_LOOK: Duration = Duration::from_millis(20);

/// Reads bodies.
#[derive(Debug, Clone)]
pub(crate) struct BodyReader {
    bytes_max: usize,
    deadline: Duration,
    budget: Arc<Semaphore>,
    budget_wait: Duration,
    memory: MemoryLimit,
}

/// A body, and its share of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Received {
    pub bytes: Bytes,
    /// Given back when the body is no longer needed.
    pub hold: Option<OwnedSemaphorePermit>,
}

impl BodyReader {
    pub(crate) fn new(
        bytes_max: usize,
        inflight_bytes_max: usize,
        deadline: Duration,
        memory: MemoryLimit,
    ) -> Self {
        // One body of the largest size must always fit, or it could never be taken.
        let units = inflight_bytes_max.max(bytes_max).div_ceil(UNIT_BYTES) + 1;
        let budget = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Self { bytes_max, deadline, budget, budget_wait: BUDGET_WAIT.min(deadline), memory }
    }

    /// A reader for small bodies that shares this one's budget.
    pub(crate) fn at_most(&self, bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.min(self.bytes_max), ..self.clone() }
    }

    /// Reads to the end. `extra` bytes of framing do not count against the limit.
    pub(crate) async fn read(&self, mut body: Body, extra: usize) -> Result<Received, Problem> {
        self.room().await?;
        let bytes_max = self.bytes_max + extra;
        let declared = body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
        if let Some(declared) = declared.filter(|n| *n > bytes_max) {
            drain(&mut body).await;
            return Err(too_large(declared, bytes_max));
        }
        let mut reading = Reading { body, buffer: Buffer::new(declared), hold: None, held: 0 };
        let deadline = Instant::now() + self.deadline;
        loop {
            let next =
                timeout_at(deadline, reading.body.frame()).await.map_err(|_| self.too_slow(&reading))?;
            let Some(frame) = next else { break };
            let frame = frame
                .map_err(|error| Problem::malformed(format!("the request body ended early: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = reading.buffer.len() + data.len();
            if length > bytes_max {
                drain(&mut reading.body).await;
                return Err(too_large(length, bytes_max));
            }
            self.account(&mut reading, length).await?;
            reading.buffer.push(data);
        }
        Ok(Received { bytes: reading.buffer.into_bytes(), hold: reading.hold })
    }

    /// Takes budget for what has arrived. Two half-read bodies may wait for each
    /// other here; the wait is short and ends in 503, so neither is stuck.
    async fn account(&self, reading: &mut Reading, length: usize) -> Result<(), Problem> {
        let missing = length.div_ceil(UNIT_BYTES).saturating_sub(reading.held);
        if missing == 0 {
            return Ok(());
        }
        let count = u32::try_from(missing).unwrap_or(u32::MAX);
        let permit = timeout(self.budget_wait, Arc::clone(&self.budget).acquire_many_owned(count))
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Problem::unavailable("too many bytes of other requests are being worked on"))?;
        reading.held += missing;
        match &mut reading.hold {
            Some(hold) => hold.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    /// Waits while the process holds more than it may: queries give way in the meantime.
    async fn room(&self) -> Result<(), Problem> {
        let until = Instant::now() + self.budget_wait;
        while self.memory.is_exceeded_by(MEMORY_MARGIN) {
            if Instant::now() >= until {
                let message = format!("the memory of {} that the server may hold is in use", self.memory);
                return Err(Problem::unavailable(message));
            }
            tokio::time::sleep(MEMORY_LOOK).await;
        }
        Ok(())
    }

    fn too_slow(&self, reading: &Reading) -> Problem {
        let (got, seconds) = (reading.buffer.len(), self.deadline.as_secs_f32());
        Problem::timeout(format!("the request body did not end within {seconds} s; {got} bytes had arrived"))
    }
}

struct Reading {
    body: Body,
    buffer: Buffer,
    hold: Option<OwnedSemaphorePermit>,
    held: usize,
}

/// A body that comes in one piece is not copied.
struct Buffer {
    declared: usize,
    first: Option<Bytes>,
    rest: BytesMut,
}

impl Buffer {
    fn new(declared: Option<usize>) -> Self {
        Self { declared: declared.unwrap_or(0), first: None, rest: BytesMut::new() }
    }

    fn len(&self) -> usize {
        self.first.as_ref().map_or(self.rest.len(), Bytes::len)
    }

    fn push(&mut self, data: Bytes) {
        if self.rest.is_empty() && self.first.is_none() {
            self.first = Some(data);
            return;
        }
        if let Some(first) = self.first.take() {
            self.rest.reserve(self.declared.min(RESERVE_BYTES_MAX).max(first.len() + data.len()));
            self.rest.extend_from_slice(&first);
        }
        self.rest.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        self.first.unwrap_or_else(|| self.rest.freeze())
    }
}

/// Reads on for a while and keeps nothing.
async fn drain(body: &mut Body) {
    let mut left = DRAIN_BYTES_MAX;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Who takes longer is cut off.
    let _ = timeout(DRAIN_WAIT, read).await;
}

fn too_large(got: usize, max: usize) -> Problem {
    Problem::too_large(format!("the request body has {got} bytes or more, the limit is {max}"))
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use isinglass_model::ErrorKind;

    use super::*;

    fn reader(bytes_max: usize) -> BodyReader {
        BodyReader::new(bytes_max, bytes_max, Duration::from_millis(50), MemoryLimit::none())
    }

    fn chunks(chunks: &[&'static str]) -> Body {
        let chunks: Vec<Result<Bytes, std::io::Error>> = chunks.iter().map(|c| Ok(Bytes::from(*c))).collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn reads_one_piece_and_many() {
        let reader = reader(16);
        assert_eq!(reader.read(Body::from("whole"), 0).await.unwrap().bytes, "whole");
        assert_eq!(reader.read(chunks(&["ab", "", "cd", "e"]), 0).await.unwrap().bytes, "abcde");
        assert_eq!(reader.read(Body::empty(), 0).await.unwrap().bytes, "");
    }

    #[tokio::test]
    async fn refuses_what_is_declared_or_turns_out_too_large() {
        let reader = reader(4);
        for body in [Body::from("12345"), chunks(&["123", "45"])] {
            let problem = reader.read(body, 0).await.unwrap_err();
            assert_eq!(problem.kind, ErrorKind::TooLarge);
            assert!(problem.message.contains("limit is 4"), "{}", problem.message);
        }
        assert_eq!(reader.read(Body::from("12345"), 5).await.unwrap().bytes, "12345");
    }

    #[tokio::test]
    async fn a_refused_body_is_read_on_for_a_while() {
        let pieces = std::sync::atomic::AtomicUsize::new(0);
        let pieces: &'static _ = Box::leak(Box::new(pieces));
        let endless = stream::repeat_with(|| {
            pieces.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1 << 16]))
        });
        let problem = reader(4).read(Body::from_stream(endless), 0).await.unwrap_err();
        assert_eq!(problem.kind, ErrorKind::TooLarge);
        let read = pieces.load(std::sync::atomic::Ordering::Relaxed) << 16;
        assert!((DRAIN_BYTES_MAX..DRAIN_BYTES_MAX + (1 << 18)).contains(&read), "{read}");
    }

    #[tokio::test]
    async fn a_slow_body_ends_in_a_timeout() {
        let slow = stream::iter([Ok::<_, std::io::Error>(Bytes::from("a"))]).chain(stream::pending());
        let problem = reader(4).read(Body::from_stream(slow), 0).await.unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Timeout);
        assert!(problem.message.contains("1 bytes had arrived"), "{}", problem.message);
    }

    #[tokio::test]
    async fn bodies_share_a_budget() {
        let reader = reader(4 * UNIT_BYTES);
        let large = || Body::from(vec![0_u8; 4 * UNIT_BYTES]);
        let first = reader.read(large(), 0).await.unwrap();
        assert_eq!(reader.read(large(), 0).await.unwrap_err().kind, ErrorKind::Unavailable);
        drop(first);
        reader.read(large(), 0).await.unwrap();
    }
}
