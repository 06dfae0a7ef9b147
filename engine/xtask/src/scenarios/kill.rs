//! SIGKILL at the N-th call of a kind, while all signals come in and rows are flushed,
//! committed and merged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::Torture;
use crate::load::{Book, Client, OnBreak};
use crate::outcome::Outcome;
use crate::server::Place;
use crate::tools::{self, Bucket};

/// Points on one data folder; its ledger is audited item by item at the end.
const POINTS_OF_A_FOLDER: u64 = 50;
/// A call that did not come by then will not come: the number is too high.
const PATIENCE: Duration = Duration::from_secs(4);
/// Until what was not answered is taken after a restart.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Where the tables lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    Folder,
    S3,
}

/// Calls that are counted together, and the greatest number that is tried: strace counts
/// for each thread.
#[derive(Debug)]
struct Calls {
    names: &'static str,
    n_max: u64,
}

impl Tables {
    fn calls(self) -> &'static [Calls] {
        match self {
            Self::Folder => &[
                Calls { names: "write,writev,pwrite64,pwritev", n_max: 800 },
                Calls { names: "pwrite64,fallocate,ftruncate", n_max: 300 },
                Calls { names: "fdatasync,fsync", n_max: 250 },
                Calls { names: "rename,renameat,renameat2,link,linkat", n_max: 8 },
                Calls { names: "unlink,unlinkat,rmdir", n_max: 8 },
                Calls { names: "openat,mkdir,mkdirat", n_max: 200 },
            ],
            Self::S3 => &[
                Calls { names: "connect,sendto,sendmsg,writev", n_max: 500 },
                Calls { names: "connect", n_max: 12 },
                Calls { names: "fdatasync,fsync,pwrite64", n_max: 250 },
            ],
        }
    }
}

pub(crate) async fn run(
    torture: &Torture,
    binary: &Path,
    outcome: &mut Outcome,
    tables: Tables,
) -> anyhow::Result<()> {
    let strace = tools::strace()?;
    let bucket = (tables == Tables::S3).then(Bucket::start).transpose()?;
    let mut random = StdRng::seed_from_u64(torture.seed);
    let points = torture.points.unwrap_or(torture.either(20, 1_000)).div_ceil(2);
    let mut done = 0;
    while done < points {
        let place = match &bucket {
            Some(bucket) => {
                let config = Bucket::config(&bucket.address, &format!("kill-{done}"));
                Place::new(binary, &config)?.with_environment(&Bucket::CREDENTIALS)
            }
            None => Place::new(binary, crate::server::BUSY)?,
        };
        let points = (points - done).min(POINTS_OF_A_FOLDER);
        let sweep = Sweep { place: &place, strace: &strace, calls: tables.calls() };
        let went = sweep.run(points, &mut random, outcome).await;
        done += points;
        if went.is_err() || !outcome.is_good() {
            println!("   evidence: {}", place.keep().display());
            return went;
        }
    }
    Ok(())
}

/// Calls of which there are more are tried more often, though not as often.
fn pick<'a>(all: &'a [Calls], random: &mut StdRng) -> &'a Calls {
    let mut left = random.random_range(0..all.iter().map(|calls| calls.n_max.isqrt()).sum::<u64>());
    let picked = all.iter().find(|calls| {
        let here = left < calls.n_max.isqrt();
        left = left.saturating_sub(calls.n_max.isqrt());
        here
    });
    picked.unwrap_or(&all[0])
}

/// A quarter of all numbers are low as often as high, so that starts are hit; the others are any,
/// so that not the same few come again and again.
fn draw(n_max: u64, random: &mut StdRng) -> u64 {
    if random.random_range(0..4) == 0 {
        (n_max as f64).powf(random.random::<f64>()).round() as u64
    } else {
        random.random_range(1..=n_max)
    }
}

/// Points on one data folder. Not with --seccomp-bpf: strace 6.1 then never counts up to N.
struct Sweep<'a> {
    place: &'a Place,
    strace: &'a str,
    calls: &'static [Calls],
}

impl Sweep<'_> {
    async fn run(&self, points: u64, random: &mut StdRng, outcome: &mut Outcome) -> anyhow::Result<()> {
        let book = Arc::new(Book::default());
        for at in 0..points {
            let calls = pick(self.calls, random);
            let n = draw(calls.n_max, random);
            let victim = self.kill_at(calls, n, &book, outcome).await?;
            self.audit(&book, at + 1 == points, outcome).await?;
            outcome.runs += 1;
            let total = outcome.runs;
            println!("   {total}: {n} of {}: {}", calls.names, victim.as_deref().unwrap_or("not reached"));
            if let Some(victim) = victim {
                outcome.points.insert(format!("{n} {victim}"));
            }
        }
        outcome.acknowledged += book.acknowledged.load(Ordering::Relaxed);
        Ok(())
    }

    /// Lets it die at the `n`-th of these calls; at which, or `None` if there were not so many.
    async fn kill_at(
        &self,
        calls: &Calls,
        n: u64,
        book: &Arc<Book>,
        outcome: &mut Outcome,
    ) -> anyhow::Result<Option<String>> {
        let trace = self.place.scratch().join("trace");
        let names = calls.names;
        let wrapper = [
            self.strace.to_owned(),
            "-f".into(),
            "-qq".into(),
            "-y".into(),
            "-o".into(),
            trace.display().to_string(),
            format!("-etrace={names}"),
            format!("-einject={names}:signal=SIGKILL:when={n}"),
        ];
        if let Some(mut server) = self.place.try_start(&wrapper).await? {
            outcome.restarted_in(server.started_in);
            let client = Client::new(&server)?;
            let senders = book.start(&client, OnBreak::Leave);
            let died = server.wait(PATIENCE).await?;
            server.kill().await?;
            book.stop(senders).await;
            if !died {
                return Ok(None);
            }
        }
        let text = std::fs::read(&trace)?;
        Ok(Some(victim(&String::from_utf8_lossy(&text), self.place.scratch())))
    }

    async fn audit(&self, book: &Arc<Book>, exact: bool, outcome: &mut Outcome) -> anyhow::Result<()> {
        let server = self.place.start(&[]).await?;
        outcome.restarted_in(server.started_in);
        let client = Client::new(&server)?;
        // What was acknowledged before the kill, before anything is sent again.
        book.audit(&client, false, outcome).await?;
        book.settle_open(&client, SETTLED_WITHIN).await?;
        book.audit(&client, exact, outcome).await?;
        server.kill().await
    }
}

/// The call at which it died, its file without numbers: `fdatasync data/wal/#.wal`.
fn victim(trace: &str, scratch: &Path) -> String {
    let call = trace.lines().rev().find(|line| !line.contains("+++ killed by") && line.contains('('));
    let Some(call) = call else { return "unknown".to_owned() };
    let call = call.split_once(' ').map_or(call, |(_, call)| call.trim_start());
    let name = call.split('(').next().unwrap_or(call);
    let scratch = scratch.display().to_string();
    let file = call.split_once(&scratch).map_or_else(
        || call.split_once('<').map_or("", |(_, rest)| rest.split(['>', ':']).next().unwrap_or("")),
        |(_, rest)| rest.split(['>', '"']).next().unwrap_or(""),
    );
    format!("{name} {}", without_numbers(file))
}

/// Runs of digits and hexadecimal ids are all the same.
fn without_numbers(path: &str) -> String {
    // A file that is being written ends in `#<number>`.
    let path = path.split('#').next().unwrap_or(path);
    let mut text = String::new();
    for part in path.split_inclusive(['/', '.', '-', '_']) {
        let (word, end) = match part.char_indices().last() {
            Some((at, '/' | '.' | '-' | '_')) => part.split_at(at),
            _ => (part, ""),
        };
        let number = word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_hexdigit());
        text.push_str(if number { "#" } else { word });
        text.push_str(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_at_which_it_died_is_named_without_numbers() {
        let trace = "17 fdatasync(9</t/x/data/wal/00000017.wal>) = 0\n\
                     18 rename(\"/t/x/data/tables/a/_delta_log/tmp-3f\", \"/t/x/b\") = ?\n\
                     18 +++ killed by SIGKILL +++\n";
        assert_eq!(victim(trace, Path::new("/t/x")), "rename /data/tables/a/_delta_log/tmp-#");
        assert_eq!(victim("1 connect(12<socket:[77]>, {sa_family", Path::new("/t/x")), "connect socket");
        assert_eq!(without_numbers("/a/01a1fd05-aad7-78bf.parquet#5"), "/a/#-#-#.parquet");
        assert_eq!(victim("", Path::new("/t/x")), "unknown");
    }
}
