//! Who asks a cheap question all the time.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isinglass_testkit::loki::{self, Stream};
use tokio::task::JoinHandle;

use crate::harness::{Client, Server, now_nanos};

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(10);

/// No question may wait longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the answers took, in milliseconds, and how often there was none because the memory
/// of the server was in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    took_ms: Vec<f64>,
    sent_away: usize,
}

impl Waits {
    /// The share `share` of all answers came within so many milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.took_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default()
    }

    pub(super) fn ratio_to(&self, other: &Self) -> f64 {
        self.quantile(0.99) / other.quantile(0.99)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.took_ms.extend(other.took_ms);
        self.sent_away += other.sent_away;
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [0.5, 0.99].map(|share| self.quantile(share));
        write!(f, "{:>4} answers, p50 {p50:.0} ms, p99 {p99:.0} ms", self.took_ms.len())?;
        if self.sent_away > 0 {
            write!(f, ", {} sent away", self.sent_away)?;
        }
        Ok(())
    }
}

/// Asks until it is dropped.
pub(super) struct Neighbour {
    waits: Arc<Mutex<Waits>>,
    stop: Arc<AtomicBool>,
    asking: JoinHandle<()>,
}

impl Neighbour {
    /// With some lines of its own.
    pub(super) async fn move_in(server: &Server) -> Self {
        let client = server.client().tenant("neighbour");
        let stream = (0..100).fold(Stream::new(r#"{service_name="only_neighbour"}"#), |stream, n| {
            stream.line(now_nanos() + n, "only_neighbour")
        });
        client.loki(&loki::request(&[stream])).await.ok();
        let (waits, stop) = (Arc::new(Mutex::new(Waits::default())), Arc::new(AtomicBool::new(false)));
        let asking = tokio::spawn(ask(client, Arc::clone(&waits), Arc::clone(&stop)));
        Self { waits, stop, asking }
    }

    /// What it waits for while nobody else asks.
    pub(super) async fn listen(&self, time: Duration) -> Waits {
        tokio::time::sleep(time).await;
        self.forget();
        tokio::time::sleep(time).await;
        self.waits()
    }

    pub(super) fn forget(&self) {
        *self.waits.lock().unwrap() = Waits::default();
    }

    pub(super) fn waits(&self) -> Waits {
        self.waits.lock().unwrap().clone()
    }

    /// Fails if it was not served all the time.
    pub(super) async fn move_out(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.await.expect("the neighbour was served all the time");
    }
}

async fn ask(client: Client, waits: Arc<Mutex<Waits>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = client.ask("select count(*) as lines from logs").await;
        let took = start.elapsed();
        assert!(took < PATIENCE, "{took:?}: {}", answer.text());
        if answer.status == 503 && answer.text().contains("memory") {
            waits.lock().unwrap().sent_away += 1;
        } else {
            assert_eq!(answer.ok().text().trim(), r#"[{"lines":100}]"#);
            waits.lock().unwrap().took_ms.push(took.as_secs_f64() * 1e3);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
