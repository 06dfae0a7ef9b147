//! A second server on the folder of a running one.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::outcome::Outcome;
use crate::server::{BUSY, Place};

/// How long the second may take to refuse.
const REFUSES_WITHIN: Duration = Duration::from_secs(1);
/// A busy machine may delay one of them.
const TRIES: usize = 3;

pub(crate) async fn run(binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let place = Place::new(binary, BUSY)?;
    let mut first = place.start(&[]).await?;
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        let status = place.command(&[])?.status()?;
        fastest = fastest.min(start.elapsed());
        outcome.runs += 1;
        anyhow::ensure!(!status.success(), "the second server ended with {status}");
        anyhow::ensure!(first.ended()?.is_none(), "the first server ended");
    }
    outcome.points.insert("second server".to_owned());
    outcome.note(format!("the second server refuses after {} ms", fastest.as_millis()));
    anyhow::ensure!(fastest <= REFUSES_WITHIN, "the second server took {fastest:?} to refuse");
    first.kill().await
}
