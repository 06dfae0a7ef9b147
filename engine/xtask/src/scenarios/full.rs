//! A volume that fills up and gets room again: a tmpfs of a fixed size in a mount
//! namespace of its own.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::load::{Book, Client, OnBreak};
use crate::outcome::Outcome;
use crate::server::{BUSY, Place, Running};
use crate::tools;

/// Of the volume.
const VOLUME_MIB: u64 = 96;
/// Left when it is full: below the floor, which is a tenth of so small a volume.
const LEFT_MIB: u64 = 4;
/// Writes are taken so soon after there is room.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);
/// Load before and while it is full.
const LOAD: Duration = Duration::from_secs(4);

/// A process that keeps the namespace with the volume.
struct Volume {
    holder: Child,
    folder: PathBuf,
}

impl Volume {
    fn mount(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let script = format!("mount -t tmpfs -o size={VOLUME_MIB}m none \"$0\" && exec sleep 86400");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).arg(&folder).stdin(Stdio::null());
        let holder = command.spawn().context("unshare -m")?;
        let volume = Self { holder, folder };
        let start = Instant::now();
        while !volume.is_mounted() {
            anyhow::ensure!(start.elapsed() < Duration::from_secs(10), "the tmpfs is not mounted");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(volume)
    }

    fn is_mounted(&self) -> bool {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", self.holder.id()));
        mounts.is_ok_and(|mounts| mounts.contains(&self.folder.display().to_string()))
    }

    /// The volume as this process sees it.
    fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder.strip_prefix("/").unwrap_or(&self.folder))
    }

    fn enter(&self) -> Vec<String> {
        vec!["nsenter".into(), "-t".into(), self.holder.id().to_string(), "-m".into()]
    }

    /// Takes all room but this much.
    fn fill(&self, left: u64) -> anyhow::Result<()> {
        let block = vec![0_u8; 64 << 10];
        let mut filler = File::create(self.filler())?;
        loop {
            let of = rustix::fs::statvfs(self.seen())?;
            let room = (of.f_bavail * of.f_frsize).saturating_sub(left);
            let bytes = block.len().min(usize::try_from(room)?);
            if bytes == 0 {
                return Ok(());
            }
            match filler.write_all(&block[..bytes]) {
                // The server writes too.
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                other => other?,
            }
        }
    }

    fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.seen().join("filler")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

pub(crate) async fn run(binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    if !tools::is_root() {
        outcome.skip("only root may mount");
        return Ok(());
    }
    let place = Place::new(binary, BUSY)?;
    let volume = Volume::mount(place.scratch().join("volume"))?;
    let (data, seen) = (volume.folder.join("data"), volume.seen().join("data"));
    let place = place.with_data(data, seen);
    let book = Arc::new(Book::default());
    // Down to the floor, then down to nothing at all.
    for left in [LEFT_MIB << 20, 0] {
        fill_and_make_room(left, &place, &volume, &book, outcome).await?;
    }
    outcome.acknowledged += book.acknowledged.load(Ordering::Relaxed);
    Ok(())
}

async fn fill_and_make_room(
    left: u64,
    place: &Place,
    volume: &Volume,
    book: &Arc<Book>,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let mut server = place.start(&volume.enter()).await?;
    outcome.restarted_in(server.started_in);
    let client = Client::new(&server)?;
    let senders = book.start(&client, OnBreak::Repeat);
    tokio::time::sleep(LOAD).await;
    let refused = book.told.try_later.load(Ordering::Relaxed);
    volume.fill(left)?;
    tokio::time::sleep(LOAD).await;
    let refused = book.told.try_later.load(Ordering::Relaxed) - refused;
    anyhow::ensure!(refused > 0, "no write was refused on a full disk");
    anyhow::ensure!(
        book.told.try_later_without_time.load(Ordering::Relaxed) == 0,
        "refused without Retry-After"
    );
    let rows = client.sql("select count(*) as n from logs").await.context("a query on a full disk")?;
    anyhow::ensure!(rows.len() == 1, "a query on a full disk answered {rows:?}");

    let taken = book.acknowledged.load(Ordering::Relaxed);
    volume.make_room()?;
    let start = Instant::now();
    while book.acknowledged.load(Ordering::Relaxed) == taken {
        anyhow::ensure!(
            start.elapsed() < RESUMES_WITHIN,
            "no write taken {RESUMES_WITHIN:?} after there was room"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let resumed = start.elapsed();
    book.stop(senders).await;
    anyhow::ensure!(server.ended()?.is_none(), "the server ended");
    book.settle_open(&client, Duration::from_secs(30)).await?;
    book.audit(&client, true, outcome).await?;
    outcome.note(format!("{left} bytes left: {refused} refusals, resumed after {} ms", resumed.as_millis()));

    // And once more full while it dies and starts again.
    volume.fill(left)?;
    server.kill().await?;
    let server = start_on_full_disk(left, place, volume, outcome).await?;
    outcome.restarted_in(server.started_in);
    book.audit(&Client::new(&server)?, true, outcome).await?;
    volume.make_room()?;
    server.kill().await?;
    outcome.runs += 1;
    outcome.points.insert(format!("{left} bytes left"));
    Ok(())
}

/// Below the floor it starts and answers queries. Without a single byte it cannot claim its
/// tables: it must say so, and start once there is room.
async fn start_on_full_disk(
    left: u64,
    place: &Place,
    volume: &Volume,
    outcome: &mut Outcome,
) -> anyhow::Result<Running> {
    if let Some(server) = place.try_start(&volume.enter()).await? {
        return Ok(server);
    }
    let log = place.log();
    let why = log.lines().last().unwrap_or_default();
    anyhow::ensure!(left == 0 && why.contains("No space left on device"), "no start on a full disk: {why}");
    outcome.note("no start without a single byte, and it says why".to_owned());
    volume.make_room()?;
    let server = place.start(&volume.enter()).await?;
    volume.fill(left)?;
    Ok(server)
}
