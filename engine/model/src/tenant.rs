//! The tenant: a name that is also a folder.

use std::fmt;
use std::sync::Arc;

/// Longest tenant name in bytes, as in Mimir and Loki.
pub const TENANT_BYTES_MAX: usize = 150;

/// The tenant of a request without an `X-Scope-OrgID`.
pub const DEFAULT_TENANT: &str = "default";

/// What names of the engine's own folders begin with, next to those of tenants.
pub const RESERVED: &str = "_isinglass";

/// A checked tenant name: 1 to 150 of `A-Z a-z 0-9 ! - _ . * ' ( )`, and
/// neither `.` nor `..` nor beginning with [`RESERVED`], so that it can be a folder and an object prefix.
///
/// Cheap to clone. The rule is the one of Grafana's `X-Scope-OrgID`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

/// Why a text is no tenant name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// Nothing between the quotes.
    #[error("tenant id is empty")]
    Empty,
    /// Longer than [`TENANT_BYTES_MAX`].
    #[error("tenant id has {got} bytes, the limit is {TENANT_BYTES_MAX}")]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// A character outside the allowed set.
    #[error(
        "tenant id has the character {character:?} at byte {position}; allowed are letters, digits and !-_.*'()"
    )]
    Character {
        /// The first such character.
        character: char,
        /// Its byte position.
        position: usize,
    },
    /// `.` or `..`, which would leave the folder of tenants.
    #[error("tenant id must not be {0:?}")]
    Path(String),
    /// A name that the engine keeps for itself.
    #[error("tenant id must not begin with {RESERVED:?}")]
    Reserved,
}

impl Tenant {
    /// Checks a name. Errors name the first fault.
    pub fn new(name: &str) -> Result<Self, TenantError> {
        if name.is_empty() {
            return Err(TenantError::Empty);
        }
        if name.len() > TENANT_BYTES_MAX {
            return Err(TenantError::TooLong { got: name.len() });
        }
        if let Some((position, character)) = name.char_indices().find(|(_, c)| !allowed(*c)) {
            return Err(TenantError::Character { character, position });
        }
        if name == "." || name == ".." {
            return Err(TenantError::Path(name.to_owned()));
        }
        if name.starts_with(RESERVED) {
            return Err(TenantError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self(DEFAULT_TENANT.into())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({:?})", &*self.0)
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!-_.*'()".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, error: Option<&str>) {
        assert_eq!(Tenant::new(name).err().map(|e| e.to_string()).as_deref(), error, "{name:?}");
    }

    #[test]
    fn names() {
        check("acme", None);
        check("a!-_.*'()9Z", None);
        check(&"x".repeat(150), None);
        check(&"x".repeat(151), Some("tenant id has 151 bytes, the limit is 150"));
        check("", Some("tenant id is empty"));
        check(".", Some("tenant id must not be \".\""));
        check("..", Some("tenant id must not be \"..\""));
        check("_isinglass", Some("tenant id must not begin with \"_isinglass\""));
        check("_isinglas", None);
        check(
            "a/b",
            Some("tenant id has the character '/' at byte 1; allowed are letters, digits and !-_.*'()"),
        );
        check(
            "a|b",
            Some("tenant id has the character '|' at byte 1; allowed are letters, digits and !-_.*'()"),
        );
        check(
            "\u{e9}",
            Some("tenant id has the character 'é' at byte 0; allowed are letters, digits and !-_.*'()"),
        );
    }
}
