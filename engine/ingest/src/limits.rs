//! Limits that need to know what came before: of series, streams, traces, and of order.
//!
//! They are the host's, because a plugin knows one batch only. All are off unless they are
//! set: a stream or a live trace costs nothing here while it is active, so they protect
//! budgets of people and not the server. `docs/formats/limits.md` has the peers' defaults.

use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr,)+) => {
        /// `[ingest.limits]`: the limits of every tenant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct TenantLimits {
            $($(#[$doc])* pub $name: $ty,)+
        }

        impl Default for TenantLimits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// `[ingest.tenants.NAME]`: what is another for one tenant.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct OwnLimits {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$ty>,)+
        }

        impl OwnLimits {
            /// The limits of a tenant that has these of its own.
            pub fn over(&self, general: &TenantLimits) -> TenantLimits {
                TenantLimits { $($name: self.$name.unwrap_or(general.$name),)+ }
            }
        }
    };
}

limits! {
    /// Active series; 0 = only the cap of the store (`store.series_max`).
    series_max: usize = 0,
    /// Active series of one metric; 0 = no limit.
    series_per_metric_max: usize = 0,
    /// How far a sample may lie behind the newest of its series, in milliseconds; -1 = no limit.
    sample_behind_max_ms: i64 = -1,
    /// Buckets of a native histogram; 0 = no limit.
    histogram_buckets_max: usize = 0,
    /// Active log streams; 0 = no limit.
    streams_max: usize = 0,
    /// A stream without lines for so long is active no more, in milliseconds.
    stream_idle_ms: u64 = 1_800_000,
    /// How far a line may lie behind the newest of its stream, in milliseconds; -1 = no limit.
    line_behind_max_ms: i64 = -1,
    /// Longer lines are cut to so many bytes; 0 = they stay, and `validate` judges them.
    line_truncate_bytes: usize = 0,
    /// Longer values of attributes are cut to so many bytes; 0 = they stay.
    attribute_truncate_bytes: usize = 0,
    /// Bytes of the help and of the unit of a metric, at most 1,024; what is longer is cut.
    metadata_bytes_max: usize = 1_024,
    /// Live traces; 0 = no limit.
    traces_max: usize = 0,
    /// Bytes of the spans of a live trace; 0 = no limit.
    trace_bytes_max: u64 = 0,
    /// A trace without spans for so long is live no more, in milliseconds.
    trace_idle_ms: u64 = 10_000,
    /// Nothing is taken until then, in milliseconds since 1970; 0 = everything is.
    blocked_until_ms: i64 = 0,
    /// The HTTP status of what is not taken then.
    blocked_status: u16 = 260,
}

impl TenantLimits {
    /// Whether streams have to be remembered.
    pub(crate) fn of_streams(&self) -> bool {
        self.streams_max > 0 || self.line_behind_max_ms >= 0
    }

    /// Whether traces have to be remembered.
    pub(crate) fn of_traces(&self) -> bool {
        self.traces_max > 0 || self.trace_bytes_max > 0
    }

    /// Whether the newest sample of each series has to be remembered.
    pub(crate) fn of_order(&self) -> bool {
        self.sample_behind_max_ms >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_what_is_not_its_own_from_all() {
        let general = TenantLimits { streams_max: 5_000, traces_max: 10, ..TenantLimits::default() };
        let own: OwnLimits = serde_json::from_str(r#"{"streams_max": 7}"#).unwrap();
        assert_eq!(own.over(&general), TenantLimits { streams_max: 7, ..general });
        let error = serde_json::from_str::<OwnLimits>(r#"{"stream_max": 7}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `stream_max`"), "{error}");
    }
}
