//! Settings of decoding.

use serde::{Deserialize, Serialize};

/// `[logs]` in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogsConfig {
    /// Whether a line that is a JSON object is taken apart into columns.
    pub parse_json: bool,
    /// Fields of such a line, nested ones counted each; a line with more is kept
    /// as it came. Attributes count against the limits of `validate`, so this
    /// should stay below its `log_attributes_max`.
    pub parse_json_fields_max: usize,
    /// Bytes of such a line; a longer one is kept as it came.
    pub parse_json_bytes_max: usize,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self { parse_json: false, parse_json_fields_max: 100, parse_json_bytes_max: 32 << 10 }
    }
}
