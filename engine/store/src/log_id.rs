//! Which log a row came from.

/// The identity of a log, made with its first segment and written into every header.
///
/// Tables count what is flushed for each log, because two logs give out the same numbers:
/// a machine that comes back after another has taken over its bucket still holds rows that
/// were acknowledged and never flushed, and must not take them for rows of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogId(pub(crate) [u8; 16]);

impl LogId {
    /// Of logs of version 1, which had none.
    pub(crate) const FIRST: Self = Self([0; 16]);

    /// Another one.
    pub(crate) fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }

    /// The name that tables know it by; `None` for logs without an identity.
    pub(crate) fn name(self) -> Option<String> {
        (self != Self::FIRST).then(|| uuid::Uuid::from_bytes(self.0).simple().to_string())
    }
}
