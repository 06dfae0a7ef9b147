//! What is on disk, what is damaged, and what the next start would do. Changes nothing.
//!
//! Everything is read by the code of a start: [`crate::wal::scan`] runs on a disk whose
//! changes go nowhere ([`dry`]), segments are parsed as the replay parses them
//! ([`crate::wal::replay`]), records are read against the very tenants that a start would
//! load ([`crate::recovery::look_at`]). Only nothing is applied. So it cannot disagree with
//! what a start does.
//!
//! It works beside a running server: the log moves meanwhile, segments that went are passed
//! over, and what is said of the next start is true of one right now.
//!
//! | file | holds |
//! |---|---|
//! | [`report`] | what is told; `docs/formats/doctor.md` |
//! | [`log`] | the log, and what a start would replay of it |
//! | [`tables`] | tables and their files |
//! | [`dry`] | a disk that stays as it is |

mod dry;
mod log;
mod report;
mod tables;

use std::sync::Arc;

use isinglass_model::Clock;

pub use report::{
    Aside, Cut, Damage, HeadsFile, Inspection, LockState, LogRows, NextStart, Replayed, Segment, TableLook,
    TenantApart, WalLook,
};

use crate::backup::restored;
use crate::config::StoreConfig;
use crate::files::Tables;
use crate::lock;
use crate::log_id::LogId;
use crate::tables::TableFiles;
use crate::wal::Folder;
use crate::wal::scan::verify;
use crate::{StoreError, open};
use dry::DryDisk;

/// Looks at the folder and the tables of a configuration. `deep` reads every data file and
/// compares it with its checksums. An error: there is nothing to look at.
pub async fn inspect(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    deep: bool,
) -> Result<Inspection, StoreError> {
    let wal = config.data_dir.join("wal");
    if !wal.is_dir() {
        let reason = format!("{} is no data folder: it has no wal/", config.data_dir.display());
        return Err(StoreError::Setting { reason });
    }
    let folder = config.data_dir.join("tables");
    let tables = Tables::to_read(&config.url, &config.objects, &folder, Arc::clone(&clock))?;
    inspect_on(config, Arc::new(tables), clock, deep).await
}

/// The same on given tables.
pub(crate) async fn inspect_on(
    config: &StoreConfig,
    tables: Arc<Tables>,
    clock: Arc<dyn Clock>,
    deep: bool,
) -> Result<Inspection, StoreError> {
    let wal = config.data_dir.join("wal");
    let names = tables.tenants().await?;
    let mut told = Inspection::of(config, lock::look(&config.data_dir)?);
    told.epoch = tables.highest_epoch().await?;
    told.quarantine = report::files_of(&config.data_dir.join("quarantine"))?;

    let disk = Arc::new(DryDisk::on(Folder::to_read(wal, config.data_dir.join("quarantine"))));
    let scanned = log::scan(&disk, clock.now_unix_millis(), told.lock.held).await;
    let log = scanned.as_ref().ok().and_then(|(scanned, _, _)| scanned.log);
    tables.set_log(log.unwrap_or_else(LogId::random));
    told.wal.log = log.and_then(LogId::name);

    let refusals = [
        open::check(config).err(),
        restored::check(&config.data_dir, &config.url, &tables.objects()).await.err(),
        scanned.as_ref().err().cloned(),
        if config.strict && scanned.is_ok() { verify(&*disk).err() } else { None },
    ];
    told.next_start.refused = refusals.into_iter().flatten().map(|error| error.to_string()).collect();

    tables::look(&tables, &names, deep, &mut told).await?;
    if let Ok((scanned, logged, deleted)) = scanned {
        let files: Arc<dyn TableFiles> = tables;
        log::look(&disk, files, config, (scanned.last, logged, deleted), &mut told).await?;
    }
    Ok(told)
}
