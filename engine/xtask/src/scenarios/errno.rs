//! Calls that fail or take long while the server lives on: EIO at a sync, ENOSPC at each
//! kind of call, a disk that takes seconds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::Torture;
use crate::load::{Book, Client, OnBreak};
use crate::outcome::Outcome;
use crate::server::{BUSY, Place};
use crate::tools;

/// How long load runs while calls fail.
const LOAD: Duration = Duration::from_secs(2);
/// Until what was not taken is taken, once calls no longer fail.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Syncs that fail one after the other in a full run.
const SYNCS: u64 = 40;
/// How much more memory a server may hold while every sync takes two seconds.
const GROWS_AT_MOST: u64 = 256 << 20;

/// EIO at the N-th sync, each N on the same folder.
pub(crate) async fn sync_fails(
    torture: &Torture,
    binary: &Path,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let faults = (1..=torture.either(5, SYNCS)).map(|n| Fault {
        inject: format!("fdatasync:error=EIO:when={n}"),
        name: format!("EIO at fdatasync {n}"),
        may_stop_start: true,
    });
    inject_all(faults.collect(), binary, outcome).await
}

/// ENOSPC: at the first, a middle and every later call.
pub(crate) async fn no_space(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let calls = [
        "pwrite64,pwritev,pwritev2",
        "fallocate",
        "openat",
        "mkdir,mkdirat",
        "rename,renameat,renameat2",
        "link,linkat",
        "ftruncate",
    ];
    let whens: &[&str] = torture.either(&["9"], &["3", "9", "20", "40", "7+7", "5..30+1"]);
    let mut faults = Vec::new();
    for call in calls {
        for when in whens {
            faults.push(Fault {
                inject: format!("{call}:error=ENOSPC:when={when}"),
                name: format!("ENOSPC at {call} {when}"),
                may_stop_start: true,
            });
        }
    }
    inject_all(faults, binary, outcome).await
}

/// A call that fails.
struct Fault {
    inject: String,
    name: String,
    /// Whether the server may say at its start that it cannot.
    may_stop_start: bool,
}

impl Fault {
    fn wrapper(&self, strace: &str) -> Vec<String> {
        let calls = self.inject.split(':').next().unwrap_or_default();
        vec![
            strace.to_owned(),
            "-f".into(),
            "-qq".into(),
            "-o/dev/null".into(),
            format!("-etrace={calls}"),
            format!("-einject={}", self.inject),
        ]
    }
}

async fn inject_all(faults: Vec<Fault>, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let strace = tools::strace()?;
    let place = Place::new(binary, BUSY)?;
    let book = Arc::new(Book::default());
    // The folder exists before anything fails, as it does on a machine that was in use.
    place.start(&[]).await?.kill().await?;
    let went = async {
        for fault in &faults {
            outcome.runs += 1;
            println!("   {}: {}", outcome.runs, fault.name);
            fail_once(fault, &strace, &place, &book, outcome).await?;
        }
        anyhow::Ok(())
    }
    .await;
    outcome.acknowledged += book.acknowledged.load(Ordering::Relaxed);
    outcome.note(format!("{} answers 429 or 503", book.told.try_later.load(Ordering::Relaxed)));
    if went.is_err() || !outcome.is_good() {
        println!("   evidence: {}", place.keep().display());
    }
    went
}

async fn fail_once(
    fault: &Fault,
    strace: &str,
    place: &Place,
    book: &Arc<Book>,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    match place.try_start(&fault.wrapper(strace)).await? {
        Some(mut server) => {
            let client = Client::new(&server)?;
            let senders = book.start(&client, OnBreak::Repeat);
            let ended = server.wait(LOAD).await?;
            book.stop(senders).await;
            if ended {
                outcome.fail(format!("{}: the server ended", fault.name));
            } else {
                outcome.points.insert(fault.name.clone());
                server.kill().await?;
            }
        }
        None if fault.may_stop_start => {
            outcome.points.insert(format!("{}, at its start", fault.name));
        }
        None => outcome.fail(format!("{}: the server did not start", fault.name)),
    }
    let server = place.start(&[]).await?;
    outcome.restarted_in(server.started_in);
    let client = Client::new(&server)?;
    book.audit(&client, false, outcome).await?;
    book.settle_open(&client, SETTLED_WITHIN).await?;
    book.audit(&client, true, outcome).await?;
    server.kill().await
}

/// Every sync takes two seconds: little gets through, nothing piles up.
pub(crate) async fn slow_sync(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let fault = Fault {
        inject: "fdatasync:delay_exit=2000000".to_owned(),
        name: "fdatasync takes 2 s".to_owned(),
        may_stop_start: false,
    };
    let place = Place::new(binary, BUSY)?;
    let book = Arc::new(Book::default());
    let mut server = place.start(&fault.wrapper(&tools::strace()?)).await?;
    let client = Client::new(&server)?;
    let senders = book.start(&client, OnBreak::Repeat);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = server.resident_bytes();
    let ended = server.wait(Duration::from_secs(torture.either(10, 60))).await?;
    let after = server.resident_bytes();
    book.stop(senders).await;
    anyhow::ensure!(!ended, "the server ended");
    outcome.runs += 1;
    outcome.points.insert(fault.name);
    outcome.note(format!(
        "slowest acknowledgement {:.1} s, resident {} MiB before and {} MiB after",
        book.told.slowest().as_secs_f64(),
        before >> 20,
        after >> 20
    ));
    anyhow::ensure!(after < before + GROWS_AT_MOST, "it grew from {before} to {after} bytes");
    server.kill().await?;
    let server = place.start(&[]).await?;
    outcome.restarted_in(server.started_in);
    let client = Client::new(&server)?;
    book.audit(&client, false, outcome).await?;
    book.settle_open(&client, SETTLED_WITHIN).await?;
    book.audit(&client, true, outcome).await?;
    outcome.acknowledged += book.acknowledged.load(Ordering::Relaxed);
    server.kill().await
}
