//! When a command that runs for long ends.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the time is up or the process is told to end.
pub(crate) fn end(after: Option<Duration>) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let time = async {
            match after {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
