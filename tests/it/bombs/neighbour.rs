//! Who asks cheap questions all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isinglass_testkit::{loki, remote_write};
use tokio::task::JoinHandle;

use super::asked::Asked;
use super::waits::Waits;
use crate::harness::{Client, Server, now_millis, now_nanos};

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(10);

/// No question may wait longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until it is dropped.
pub(super) struct Neighbour {
    waits: Arc<Mutex<Waits>>,
    stop: Arc<AtomicBool>,
    asking: JoinHandle<()>,
}

impl Neighbour {
    /// With some lines and a series of its own.
    pub(super) async fn move_in(server: &Server) -> Self {
        let client = server.client().tenant("neighbour");
        let stream = (0..100).fold(loki::Stream::new(r#"{service_name="only_neighbour"}"#), |stream, n| {
            stream.line(now_nanos() + n, "only_neighbour")
        });
        client.loki(&loki::request(&[stream])).await.ok();
        let series = remote_write::Series::new(&[("__name__", "only_neighbour")]).sample(now_millis(), 7.0);
        client.remote_write(&remote_write::request(&[series])).await.ok();
        let (waits, stop) = (Arc::new(Mutex::new(Waits::default())), Arc::new(AtomicBool::new(false)));
        let asking = tokio::spawn(ask(client, Arc::clone(&waits), Arc::clone(&stop)));
        Self { waits, stop, asking }
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

/// A statement and an expression in turn, and what is in their answers.
fn questions() -> [(Asked, &'static str); 2] {
    [
        (Asked::sql("select count(*) as lines from logs"), r#"[{"lines":100}]"#),
        (Asked::promql("last_over_time(only_neighbour[1h])"), r#""7"]"#),
    ]
}

async fn ask(client: Client, waits: Arc<Mutex<Waits>>, stop: Arc<AtomicBool>) {
    for (question, wanted) in questions().iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let start = Instant::now();
        let answer = question.ask(&client).await;
        let took = start.elapsed();
        assert!(took < PATIENCE, "{took:?}: {}", answer.text());
        if answer.status == 503 && answer.text().contains("memory") {
            waits.lock().unwrap().sent_away += 1;
        } else {
            let text = answer.ok().text();
            assert!(text.contains(wanted), "{question:?}: {text}");
            waits.lock().unwrap().took_ms.push(took.as_secs_f64() * 1e3);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
