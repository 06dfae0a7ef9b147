//! Where components come from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Where a component comes from: `builtin:NAME` or `file:PATH` in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Embedded in the engine.
    Builtin(String),
    /// A file.
    File(PathBuf),
    /// Given by the caller; has no text form.
    Bytes(Arc<[u8]>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Bytes(bytes) => write!(f, "bytes:{}", bytes.len()),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            Some(("builtin", name)) if !name.is_empty() => Ok(Self::Builtin(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(serde::de::Error::custom(format!(
                "plugin source {text:?} must be builtin:NAME or file:PATH"
            ))),
        }
    }
}
