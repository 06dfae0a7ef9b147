//! Tables, and whether their files are there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};

use super::report::{Inspection, TableLook};
use crate::StoreError;
use crate::files::{FilesError, Tables};
use crate::tables::{DataFile, TableFiles, TableState};

/// Bytes of a file that are read at once.
const PIECE_BYTES: u64 = 8 << 20;

/// Looks at every table of these tenants.
pub(super) async fn look(
    tables: &Arc<Tables>,
    names: &[Tenant],
    deep: bool,
    told: &mut Inspection,
) -> Result<(), StoreError> {
    let mut names = names.to_vec();
    names.sort();
    for tenant in &names {
        for kind in Kind::ALL {
            let table = match tables.load(tenant, kind).await {
                Ok(Some(table)) => table,
                Ok(None) => continue,
                Err(error) => {
                    told.damaged("table", format!("{tenant}/{kind}"), None, error.to_string());
                    continue;
                }
            };
            look_at(tables, tenant, kind, &table, deep, told).await?;
        }
    }
    Ok(())
}

async fn look_at(
    tables: &Tables,
    tenant: &Tenant,
    kind: Kind,
    table: &TableState,
    deep: bool,
    told: &mut Inspection,
) -> Result<(), StoreError> {
    let listed = tables.list(tenant, kind).await?;
    let mut there: HashMap<Path, u64> =
        listed.into_iter().filter_map(|file| Some((file.path, file.size_bytes?))).collect();
    let mut look = summary(tenant, kind, table);
    for file in table.files.iter() {
        let size = match there.remove(&file.path) {
            Some(size) => Some(size),
            // A listing may lag behind.
            None => size_of(tables, &file.path).await?,
        };
        match size {
            None => told.damaged(
                "file_missing",
                file.path.as_ref(),
                None,
                "the table names it and it is not there",
            ),
            Some(size) if size != file.size_bytes => {
                let reason = format!("it has {size} bytes, the table says {}", file.size_bytes);
                told.damaged("file_size", file.path.as_ref(), None, reason);
            }
            Some(_) if deep => match read(tables, table, file).await {
                Ok(bytes) => look.checked_bytes += bytes,
                Err(error) => told.damaged("file", file.path.as_ref(), None, error.to_string()),
            },
            Some(_) => {}
        }
    }
    look.orphans = there.len() as u64;
    look.orphan_bytes = there.values().sum();
    told.tables.push(look);
    Ok(())
}

fn summary(tenant: &Tenant, kind: Kind, table: &TableState) -> TableLook {
    let mut levels = BTreeMap::new();
    table.files.iter().for_each(|file| *levels.entry(file.level).or_default() += 1);
    let first = table.files.iter().filter_map(|file| Some(file.time?.0)).min();
    let last = table.files.iter().filter_map(|file| Some(file.time?.1)).max();
    TableLook {
        tenant: tenant.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        version: table.version,
        files: table.files.len() as u64,
        rows: table.files.iter().map(|file| file.rows).sum(),
        bytes: table.files.iter().map(|file| file.size_bytes).sum(),
        time: first.zip(last),
        levels,
        flushed: table.flushed,
        orphans: 0,
        orphan_bytes: 0,
        checked_bytes: 0,
    }
}

async fn size_of(tables: &Tables, path: &Path) -> Result<Option<u64>, StoreError> {
    match tables.objects().head(path).await {
        Ok(meta) => Ok(Some(meta.size)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(FilesError::from(error).into()),
    }
}

/// Reads all of a file, compared with its checksums; how many bytes that were.
async fn read(tables: &Tables, table: &TableState, file: &DataFile) -> Result<u64, StoreError> {
    let objects = tables.checker().reading(vec![Arc::clone(&table.files)]);
    for at in (0..file.size_bytes).step_by(PIECE_BYTES as usize) {
        let range = at..(at + PIECE_BYTES).min(file.size_bytes);
        objects.get_range(&file.path, range).await.map_err(FilesError::from)?;
    }
    Ok(file.size_bytes)
}
