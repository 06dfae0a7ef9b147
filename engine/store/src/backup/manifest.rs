//! `backup.json`: what belongs to a backup. Written last, so that a backup without it was not
//! finished.
//!
//! The bytes are described in `docs/formats/backup.md`; a change there is a change here.

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Seq, StoreError};

/// Its name below the destination.
pub(super) const MANIFEST: &str = "backup.json";

/// The format that this release writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// Where everything else lies, so that nobody takes a backup for a data folder.
pub(super) const OBJECTS: &str = "objects";

/// Where files of the write-ahead log are restored to.
pub(super) const WAL: &str = "wal";

/// Where installed plugins are restored to.
pub(super) const PLUGINS: &str = "plugins";

/// Where tables are restored to.
pub(super) const TABLES: &str = "tables";

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format, 1.
    pub format: u32,
    /// The release that took it.
    pub product: String,
    /// When it was begun: everything acknowledged before is in it. Milliseconds since 1970.
    pub started_unix_ms: i64,
    /// When everything was copied.
    pub finished_unix_ms: i64,
    /// Identity of the log, 32 hexadecimal digits; `None`: no log, or one of version 1.
    pub log: Option<String>,
    /// No writer up to this one may commit to restored tables.
    pub epoch: u64,
    /// The log.
    pub wal: WalPart,
    /// Every table.
    pub tables: Vec<TablePart>,
    /// What is installed: the list and its components. Earlier releases had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Object>,
}

/// The part of the log that a backup has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalPart {
    /// Last record that the backup has, in tables or in the log; none after it.
    pub up_to: Seq,
    /// Segments and heads files.
    pub files: Vec<Object>,
}

/// A table at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub kind: String,
    /// Delta version.
    pub version: i64,
    /// Last record of the log whose rows are in its files.
    pub flushed: Seq,
    /// Rows in its files.
    pub rows: u64,
    /// What the version is read from: the newest checkpoint and the commits after it.
    pub log: Vec<Object>,
    /// Data files that the version names.
    pub data: Vec<Object>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Where it is restored to: `wal/…`, `plugins/…` or `tables/…`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// CRC-32C of all of it.
    #[serde(with = "hex_digits")]
    pub crc32c: u32,
}

impl Object {
    /// Describes bytes.
    pub(super) fn of(path: impl Into<String>, content: &[u8]) -> Self {
        Self { path: path.into(), bytes: content.len() as u64, crc32c: crc32c::crc32c(content) }
    }

    /// Its name in the destination. With its checksum, so that an object is never written
    /// over: a backup that breaks off leaves the one before it whole.
    pub(super) fn name(&self) -> String {
        format!("{OBJECTS}/{}.{:08x}", self.path, self.crc32c)
    }
}

impl Manifest {
    pub(super) fn new(started_unix_ms: i64) -> Self {
        Self {
            format: FORMAT,
            product: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_ms,
            finished_unix_ms: started_unix_ms,
            log: None,
            epoch: 0,
            wal: WalPart { up_to: 0, files: Vec::new() },
            tables: Vec::new(),
            plugins: Vec::new(),
        }
    }

    /// Every object.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let tables = self.tables.iter().flat_map(|table| table.log.iter().chain(&table.data));
        self.wal.files.iter().chain(&self.plugins).chain(tables)
    }

    /// How many objects there are, and their bytes.
    pub fn size(&self) -> (u64, u64) {
        self.objects().fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.bytes))
    }

    /// The file.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let text = serde_json::to_string(self).map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(format!("{{\"crc32c\":\"{:08x}\",\"backup\":{text}}}", crc32c::crc32c(text.as_bytes())).into())
    }

    /// Reads the file, and refuses one that is damaged, of a newer release, or that names
    /// places where a backup has no business.
    pub(super) fn decode(file: &[u8]) -> Result<Self, StoreError> {
        let damaged = |reason: String| StoreError::damaged(MANIFEST, reason);
        let sealed: Sealed<'_> = serde_json::from_slice(file).map_err(|error| damaged(error.to_string()))?;
        if format!("{:08x}", crc32c::crc32c(sealed.backup.get().as_bytes())) != sealed.crc32c {
            return Err(damaged("it does not have its checksum".to_owned()));
        }
        let Format { format } =
            serde_json::from_str(sealed.backup.get()).map_err(|error| damaged(error.to_string()))?;
        if format != FORMAT {
            let reason = format!("format {format}, this release reads {FORMAT}");
            return Err(StoreError::Incompatible { what: MANIFEST.to_owned(), reason });
        }
        let manifest: Self =
            serde_json::from_str(sealed.backup.get()).map_err(|error| damaged(error.to_string()))?;
        manifest.check_places().map_err(damaged)?;
        Ok(manifest)
    }

    fn check_places(&self) -> Result<(), String> {
        for object in &self.wal.files {
            let name = object.path.strip_prefix("wal/").and_then(|name| name.split_once('.'));
            let numbered = |digits: &str| digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
            if !name.is_some_and(|(number, end)| numbered(number) && matches!(end, "wal" | "heads")) {
                return Err(format!("{:?} is no file of a log", object.path));
            }
        }
        for object in &self.plugins {
            let name = object.path.strip_prefix("plugins/");
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let is_name =
                |name: &str| !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed);
            if !name.is_some_and(is_name) {
                return Err(format!("{:?} is no file of a plugin", object.path));
            }
        }
        for table in &self.tables {
            Tenant::new(&table.tenant).map_err(|error| error.to_string())?;
            Kind::from_name(&table.kind).ok_or_else(|| format!("no table is called {:?}", table.kind))?;
            let folder = format!("{TABLES}/{}/{}/", table.tenant, table.kind);
            for object in table.log.iter().chain(&table.data) {
                if !object.path.starts_with(&folder) || Path::parse(&object.path).is_err() {
                    return Err(format!("{:?} is no file of {folder}", object.path));
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Sealed<'a> {
    crc32c: String,
    #[serde(borrow)]
    backup: &'a RawValue,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// A number as eight hexadecimal digits.
mod hex_digits {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(number: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:08x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let digits = std::borrow::Cow::<'de, str>::deserialize(from)?;
        u32::from_str_radix(&digits, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let object = |path: &str| Object { path: path.to_owned(), bytes: 7, crc32c: 0xAB };
        let mut manifest = Manifest::new(1);
        manifest.wal = WalPart { up_to: 9, files: vec![object("wal/00000000000000000001.wal")] };
        manifest.tables = vec![TablePart {
            tenant: "acme".to_owned(),
            kind: "logs".to_owned(),
            version: 3,
            flushed: 8,
            rows: 2,
            log: vec![object("tables/acme/logs/_delta_log/00000000000000000000.json")],
            data: vec![object("tables/acme/logs/x.parquet")],
        }];
        manifest.plugins = vec![object("plugins/installed.json"), object("plugins/sha256-0a.wasm")];
        manifest
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> String {
        let mut manifest = manifest();
        change(&mut manifest);
        Manifest::decode(&manifest.encode().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn it_is_read_as_it_was_written_and_no_turned_bit_passes() {
        let file = manifest().encode().unwrap();
        assert_eq!(Manifest::decode(&file).unwrap(), manifest());
        assert_eq!(manifest().size(), (5, 35));
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.contains(r#""crc32c":"000000ab""#), "{text}");
        for bit in 0..file.len() * 8 {
            let mut turned = file.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&turned).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_a_backup_cannot_have_is_refused() {
        assert_eq!(refused(|it| it.format = 2), "cannot read backup.json: format 2, this release reads 1");
        assert!(refused(|it| it.wal.files[0].path = "wal/../LOCK".to_owned()).contains("no file of a log"));
        for elsewhere in ["plugins/../LOCK", "plugins/", "plugins/a/b", "plugins/..", "tables/x"] {
            assert!(refused(|it| it.plugins[0].path = elsewhere.to_owned()).contains("no file of a plugin"));
        }
        let elsewhere = "tables/acme/logs/../../other/logs/x.parquet";
        assert!(refused(|it| it.tables[0].data[0].path = elsewhere.to_owned()).contains("is no file of"));
        let elsewhere = "tables/other/logs/x.parquet";
        assert!(refused(|it| it.tables[0].data[0].path = elsewhere.to_owned()).contains("is no file of"));
        assert!(refused(|it| it.tables[0].kind = "nothing".to_owned()).contains("no table is called"));
    }
}
