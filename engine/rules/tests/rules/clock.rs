//! A clock that stands still until it is moved.

use async_trait::async_trait;
use isinglass_rules::RuleClock;
use tokio::sync::watch;

/// Nanoseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

pub(crate) struct TestClock(watch::Sender<i64>);

impl TestClock {
    pub(crate) fn at(seconds: i64) -> Self {
        Self(watch::Sender::new(seconds * SECOND))
    }

    /// Moves it in small steps, and lets everything that is due run in between.
    pub(crate) async fn advance(&self, seconds: i64) {
        for _ in 0..seconds {
            self.0.send_modify(|now| *now += SECOND);
            settle().await;
        }
    }

    pub(crate) async fn jump(&self, seconds: i64) {
        self.0.send_modify(|now| *now += seconds * SECOND);
        settle().await;
    }
}

/// Lets all tasks run until each of them waits: on a runtime of one thread they run in turns.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl RuleClock for TestClock {
    fn now(&self) -> i64 {
        *self.0.borrow()
    }

    async fn sleep_until(&self, time: i64) {
        let mut now = self.0.subscribe();
        now.wait_for(|now| *now >= time).await.expect("the clock outlives its sleepers");
    }
}
