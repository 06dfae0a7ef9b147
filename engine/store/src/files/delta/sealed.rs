//! Checksums inside the files of a Delta log, where every other reader passes over them.
//!
//! Delta gives commits and checkpoints none. A bit that fell over in one could make a table
//! that is read without complaint and lacks a file, or has one twice. So what we put into a
//! log is sealed, and what is read from it is compared:
//!
//! | file | where the CRC-32C of all other bytes stands |
//! |---|---|
//! | commit, `_last_checkpoint` | the first field of `commitInfo`, of the object: `isinglassCrc32c` |
//! | checkpoint | 16 bytes between the last page and the footer: places in a Parquet file are counted from its start, the footer's from its end |
//!
//! A file without a seal is another writer's, or of a release before seals, and passes as it is.

use bytes::Bytes;
use object_store::path::Path;

/// What a file of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFile {
    Commit,
    Checkpoint,
    /// `_last_checkpoint`: a hint, which can be done without.
    Hint,
}

const FIELD: &str = "\"isinglassCrc32c\":\"";
/// The field with eight digits, a quotation mark and a comma.
const FIELD_BYTES: usize = FIELD.len() + 8 + 2;
const COMMIT_INFO: &str = "{\"commitInfo\":{";
const OBJECT: &str = "{";
/// The seal of a checkpoint: these, then eight hex digits.
const MAGIC: &[u8; 8] = b"ISGLCRC\n";
const CHECKPOINT_BYTES: usize = MAGIC.len() + 8;
/// A footer ends with its length and `PAR1`.
const PARQUET_END: usize = 8;

impl LogFile {
    /// What a path names, if it is a file that is sealed.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let (folder, name) = path.as_ref().rsplit_once('/')?;
        if folder != "_delta_log" && !folder.ends_with("/_delta_log") {
            return None;
        }
        let versioned = name.get(..20).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        match name.get(20..) {
            Some(".json") if versioned => Some(Self::Commit),
            Some(rest) if versioned && rest.starts_with(".checkpoint.") && rest.ends_with(".parquet") => {
                Some(Self::Checkpoint)
            }
            _ => (name == "_last_checkpoint").then_some(Self::Hint),
        }
    }

    /// The same file with a seal; as it is where there is no place for one.
    pub(super) fn seal(self, content: Bytes) -> Bytes {
        let digits = format!("{:08x}", crc32c::crc32c(&content));
        let (at, seal) = match self {
            Self::Checkpoint => (footer(&content), [&MAGIC[..], digits.as_bytes()].concat()),
            Self::Commit | Self::Hint => {
                (self.text_place(&content), format!("{FIELD}{digits}\",").into_bytes())
            }
        };
        match at {
            Some(at) => [&content[..at], &seal, &content[at..]].concat().into(),
            None => content,
        }
    }

    /// Whether the bytes are those that were sealed. `Ok` also where there is no seal.
    pub(super) fn is_whole(self, content: &[u8]) -> bool {
        let sealed = match self {
            Self::Checkpoint => footer(content).and_then(|end| {
                let at = end.checked_sub(CHECKPOINT_BYTES)?;
                let digits = content[at..end].strip_prefix(MAGIC)?;
                Some((at..end, digits))
            }),
            Self::Commit | Self::Hint => self.text_place(content).and_then(|at| {
                let seal = content.get(at..at + FIELD_BYTES)?;
                Some((at..at + FIELD_BYTES, seal.strip_prefix(FIELD.as_bytes())?.strip_suffix(b"\",")?))
            }),
        };
        let Some((place, digits)) = sealed else {
            // A seal in another place than its own tells of damage around it.
            let seal: &[u8] = if self == Self::Checkpoint { MAGIC } else { FIELD.as_bytes() };
            let elsewhere = content.windows(seal.len()).any(|bytes| bytes == seal);
            return !elsewhere && (self == Self::Checkpoint || is_json(content));
        };
        let found = crc32c::crc32c_append(crc32c::crc32c(&content[..place.start]), &content[place.end..]);
        digits == format!("{found:08x}").as_bytes()
    }

    /// Where the field of a text stands or would stand.
    fn text_place(self, content: &[u8]) -> Option<usize> {
        let start = if self == Self::Commit { COMMIT_INFO } else { OBJECT };
        let mut line = 0;
        while line < content.len() {
            if content[line..].starts_with(start.as_bytes()) {
                return Some(line + start.len());
            }
            line += content[line..].iter().position(|byte| *byte == b'\n')? + 1;
        }
        None
    }
}

fn is_json(lines: &[u8]) -> bool {
    let values = serde_json::Deserializer::from_slice(lines).into_iter::<serde::de::IgnoredAny>();
    values.into_iter().all(|value| value.is_ok())
}

/// Where the footer of a Parquet file begins.
fn footer(content: &[u8]) -> Option<usize> {
    let end = content.len().checked_sub(PARQUET_END)?;
    let (length, magic) = content[end..].split_at(4);
    let length = u32::from_le_bytes(length.try_into().ok()?);
    (magic == b"PAR1").then(|| end.checked_sub(length as usize)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "{\"add\":{\"path\":\"a\"}}\n{\"commitInfo\":{\"operation\":\"WRITE\"}}";

    fn parquet() -> Bytes {
        [b"PAR1 pages footer".as_slice(), &6_u32.to_le_bytes(), b"PAR1"].concat().into()
    }

    #[test]
    fn only_files_of_a_log_are_sealed() {
        let at = |path: &str| LogFile::at(&Path::from(path));
        let log = |name: &str| at(&format!("t/logs/_delta_log/{name}"));
        assert_eq!(log("00000000000000000001.json"), Some(LogFile::Commit));
        assert_eq!(at("_delta_log/00000000000000000001.json"), Some(LogFile::Commit));
        assert_eq!(log("00000000000000000001.checkpoint.parquet"), Some(LogFile::Checkpoint));
        assert_eq!(
            log("00000000000000000001.checkpoint.0000000001.0000000002.parquet"),
            Some(LogFile::Checkpoint)
        );
        assert_eq!(log("_last_checkpoint"), Some(LogFile::Hint));
        assert_eq!(log("_sidecars/00000000000000000001.json"), None);
        assert_eq!(log("1.json"), None);
        assert_eq!(at("t/logs/00000000000000000001.json"), None);
    }

    #[test]
    fn what_is_sealed_is_whole_and_a_turned_bit_is_noticed() {
        for (file, content) in [
            (LogFile::Commit, Bytes::from(COMMIT)),
            (LogFile::Hint, Bytes::from_static(b"{\"version\":100,\"size\":3}")),
            (LogFile::Checkpoint, parquet()),
        ] {
            let sealed = file.seal(content.clone());
            assert!(sealed.len() > content.len() && file.is_whole(&sealed) && file.is_whole(&content));
            let seal = |bytes: &[u8]| bytes.windows(3).position(|w| w == b"ISG" || w == b"isi");
            let at = seal(&sealed).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut turned = sealed.to_vec();
                turned[bit / 8] ^= 1 << (bit % 8);
                // Within its name there is no seal any more, and nothing else is wrong.
                let name = at.saturating_sub(COMMIT_INFO.len() + 1)..at + FIELD.len();
                assert!(!file.is_whole(&turned) || name.contains(&(bit / 8)), "{file:?}: bit {bit}");
            }
        }
    }

    #[test]
    fn a_sealed_commit_is_a_commit() {
        let sealed = LogFile::Commit.seal(COMMIT.into());
        assert!(is_json(&sealed));
        assert!(sealed.ends_with(b"\",\"operation\":\"WRITE\"}}"));
        assert!(LogFile::Commit.seal("{\"add\":{}}".into()).starts_with(b"{\"add\""));
    }
}
