//! `isinglass backup` and `isinglass restore`: a copy of a running server or of a stopped
//! folder, and its way back.
//!
//! The command writes, whoever reads: see [`isinglass_store::backup`].
//!
//! | file | is |
//! |---|---|
//! | `client.rs` | the pieces of a running server |
//! | `screen.rs` | how far it is, and what came of it |

mod client;
mod screen;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use isinglass_model::clock::SystemClock;
use isinglass_store::StoreConfig;
use isinglass_store::backup::{Destination, Have, Manifest, Piece, Pieces, of_folder, restore};
use reqwest::Url;

use screen::Screen;

/// What to copy, and where to.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Main address of a running server, e.g. http://127.0.0.1:4319
    #[arg(long, value_name = "URL", required_unless_present = "data_dir", conflicts_with = "data_dir")]
    pub url: Option<Url>,
    /// Folder of a stopped server
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// TOML file of the server: where its tables lie, and how object stores are reached
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Delete from DEST what only earlier backups had
    #[arg(long)]
    pub prune: bool,
    /// A folder, or a URL as store.url takes it; what it has already is not copied again
    #[arg(value_name = "DEST")]
    pub dest: String,
}

/// What to restore, and where to.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// What `backup` was given as DEST
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Folder to restore into, empty or not there
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where the tables are restored to, as store.url takes it; by default into the folder
    #[arg(long, value_name = "STORE_URL")]
    pub url: Option<String>,
    /// TOML file with [store.objects], for the way to object stores
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Takes a backup and says what is in it.
pub async fn run(args: BackupArgs, store: StoreConfig) -> anyhow::Result<ExitCode> {
    let mut to = Destination::open(&args.dest, &store.objects)?;
    let have = to.have().await.with_context(|| format!("cannot look into {}", args.dest))?;
    let mut screen = Screen::new("backup");
    let manifest = match &args.url {
        Some(server) => from_server(server, have, &mut to, &mut screen).await?,
        None => from_folder(&store, have, &mut to, &mut screen).await?,
    };
    screen.end();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", screen::backed_up(&args.dest, &manifest, to.progress()))?;
    if args.prune {
        let (count, bytes) = to.prune(&manifest).await?;
        writeln!(out, "pruned {count} objects, {}", screen::bytes(bytes))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn from_server(
    server: &Url,
    have: Have,
    to: &mut Destination,
    screen: &mut Screen,
) -> anyhow::Result<Manifest> {
    let mut pieces = client::begin(server, &have).await?;
    loop {
        let piece = client::next(&mut pieces).await?;
        if let Some(manifest) = take(piece, to, screen).await? {
            return Ok(manifest);
        }
    }
}

async fn from_folder(
    store: &StoreConfig,
    have: Have,
    to: &mut Destination,
    screen: &mut Screen,
) -> anyhow::Result<Manifest> {
    let mut pieces: Pieces = of_folder(store, Arc::new(SystemClock::new()), have).await?;
    loop {
        let piece = pieces.next().await.context("the copy ended without its last piece")?;
        if let Some(manifest) = take(piece, to, screen).await? {
            return Ok(manifest);
        }
    }
}

async fn take(piece: Piece, to: &mut Destination, screen: &mut Screen) -> anyhow::Result<Option<Manifest>> {
    let taken = to.take(piece).await?;
    screen.show(to.progress());
    Ok(taken)
}

/// Restores a backup and says how to start what came of it.
pub async fn run_restore(args: RestoreArgs, store: StoreConfig) -> anyhow::Result<ExitCode> {
    let screen = parking_lot::Mutex::new(Screen::new("restore"));
    let told = |progress| screen.lock().show(progress);
    let restored = restore(&args.source, &store.objects, &store, &told).await;
    screen.lock().end();
    let restored = restored.with_context(|| format!("cannot restore {}", args.source))?;
    let text = screen::restored(&args, &restored);
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
