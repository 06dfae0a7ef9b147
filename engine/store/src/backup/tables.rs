//! The files of a table that belong to a backup.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use isinglass_model::{Kind, Tenant};
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::manifest::{Object, TABLES, TablePart};
use super::source::Outlet;
use super::{PIECE_BYTES, Piece};
use crate::StoreError;
use crate::files::{CHECKED_BYTES, FilesError, tokens};
use crate::tables::{DataFile, TableFiles, TableState};

/// Sends what a version of a table is read from. Its data files are still to come.
pub(super) async fn log(
    files: &dyn TableFiles,
    tenant: &Tenant,
    kind: Kind,
    table: &TableState,
    outlet: &Outlet,
) -> Result<TablePart, StoreError> {
    let mut log = Vec::new();
    for path in files.log_files(tenant, kind, table.version).await? {
        let content = files.read_log_file(&path).await?;
        log.push(outlet.object(format!("{TABLES}/{path}"), content).await?);
    }
    Ok(TablePart {
        tenant: tenant.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        version: table.version,
        flushed: table.flushed,
        rows: table.files.iter().map(|file| file.rows).sum(),
        log,
        data: Vec::new(),
    })
}

/// Sends the data files of a version. Each read is compared with the checksums of the commit.
pub(super) async fn data(
    files: &dyn TableFiles,
    table: &TableState,
    outlet: &Outlet,
) -> Result<Vec<Object>, StoreError> {
    let objects = files.checker().reading(vec![Arc::clone(&table.files)]);
    let mut data = Vec::with_capacity(table.files.len());
    for file in table.files.iter() {
        let crc32c = match whole_checksum(file) {
            Some(known) => known,
            None => checksum(&objects, file).await?,
        };
        let object = Object { path: format!("{TABLES}/{}", file.path), bytes: file.size_bytes, crc32c };
        if !outlet.knows(&object).await? {
            outlet.send(Piece::Object(object.clone())).await?;
            for range in ranges(file) {
                outlet.send(Piece::Bytes(read(&objects, file, range).await?)).await?;
            }
        }
        data.push(object);
        data.extend(token_index(&objects, file, outlet).await?);
    }
    Ok(data)
}

/// Sends the index of tokens of a file, if it has one that can be read. Without it the file is
/// read whole by who looks for a token, so what is wrong with it is no reason to have no backup.
async fn token_index(
    objects: &Arc<dyn ObjectStore>,
    file: &DataFile,
    outlet: &Outlet,
) -> Result<Option<Object>, StoreError> {
    let Some(path) = file.token_index_bytes.and_then(|_| tokens::path_of(&file.path)) else {
        return Ok(None);
    };
    let read = async { objects.get(&path).await?.bytes().await };
    match read.await {
        Ok(content) => outlet.object(format!("{TABLES}/{path}"), content).await.map(Some),
        Err(error) => {
            tracing::warn!(%path, %error, "an index of tokens cannot be read and is left out");
            Ok(None)
        }
    }
}

/// The checksum of a file by those of its parts.
fn whole_checksum(file: &DataFile) -> Option<u32> {
    let sums = file.crc32c.as_deref()?;
    let mut left = file.size_bytes;
    let whole = sums.iter().fold(crc32c::crc32c(b""), |whole, part| {
        let bytes = left.min(CHECKED_BYTES);
        left -= bytes;
        crc32c::crc32c_combine(whole, *part, bytes as usize)
    });
    (left == 0).then_some(whole)
}

/// That of a file whose commit does not say.
async fn checksum(objects: &Arc<dyn ObjectStore>, file: &DataFile) -> Result<u32, StoreError> {
    let mut sum = crc32c::crc32c(b"");
    for range in ranges(file) {
        sum = crc32c::crc32c_append(sum, &read(objects, file, range).await?);
    }
    Ok(sum)
}

async fn read(
    objects: &Arc<dyn ObjectStore>,
    file: &DataFile,
    range: Range<u64>,
) -> Result<Bytes, StoreError> {
    let wanted = range.end - range.start;
    let content = objects.get_range(&file.path, range).await.map_err(FilesError::from)?;
    if content.len() as u64 == wanted {
        return Ok(content);
    }
    Err(StoreError::damaged(file.path.to_string(), format!("it has not {} bytes", file.size_bytes)))
}

fn ranges(file: &DataFile) -> impl Iterator<Item = Range<u64>> {
    let size = file.size_bytes;
    (0..size.div_ceil(PIECE_BYTES)).map(move |at| at * PIECE_BYTES..((at + 1) * PIECE_BYTES).min(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_file_is_that_of_its_parts() {
        for bytes in [1, 7, CHECKED_BYTES as usize, 3 * CHECKED_BYTES as usize + 5] {
            let content: Vec<u8> = (0..bytes).map(|n| (n * 31 % 251) as u8).collect();
            let sums = content.chunks(CHECKED_BYTES as usize).map(crc32c::crc32c).collect();
            let file = DataFile {
                path: "x".into(),
                size_bytes: bytes as u64,
                rows: 1,
                time: None,
                metric_id: None,
                level: 0,
                accepted: 0,
                kept: None,
                crc32c: Some(sums),
                token_index_bytes: None,
                attribute_columns: Arc::default(),
            };
            assert_eq!(whole_checksum(&file), Some(crc32c::crc32c(&content)), "{bytes} bytes");
            assert_eq!(whole_checksum(&DataFile { size_bytes: 5 * CHECKED_BYTES, ..file }), None);
        }
    }
}
