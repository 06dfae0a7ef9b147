//! Whose names and defaults: those of Tempo's metrics generator, or those of the span metrics
//! connector of the OpenTelemetry Collector.

use isinglass_plugin::Config;

use crate::settings::doubling;

/// Names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Tempo,
    /// With the unit of durations.
    Otel {
        milliseconds: bool,
    },
}

/// Bounds of the connector in seconds.
const OTEL_BOUNDS: [f64; 16] =
    [0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0];

impl Profile {
    pub(crate) fn read(config: &mut Config) -> Result<Self, String> {
        let unit = config.text("unit")?;
        match (config.text("profile")?.as_deref(), unit.as_deref()) {
            (None | Some("tempo"), None | Some("s")) => Ok(Self::Tempo),
            (None | Some("tempo"), Some(_)) => Err("unit is for the profile otel".to_owned()),
            (Some("otel"), None | Some("s")) => Ok(Self::Otel { milliseconds: false }),
            (Some("otel"), Some("ms")) => Ok(Self::Otel { milliseconds: true }),
            (Some("otel"), Some(unit)) => Err(format!("unit is \"{unit}\", not s or ms")),
            (Some(profile), _) => Err(format!("profile is \"{profile}\", not tempo or otel")),
        }
    }

    /// The metric of calls.
    pub(crate) fn calls(self) -> &'static str {
        match self {
            Self::Tempo => "traces_spanmetrics_calls_total",
            Self::Otel { .. } => "traces_span_metrics_calls_total",
        }
    }

    /// The metric of durations and its unit.
    pub(crate) fn latency(self) -> (&'static str, &'static str) {
        match self {
            Self::Tempo => ("traces_spanmetrics_latency", "s"),
            Self::Otel { milliseconds: false } => ("traces_span_metrics_duration_seconds", "s"),
            Self::Otel { milliseconds: true } => ("traces_span_metrics_duration_milliseconds", "ms"),
        }
    }

    /// The metric of sizes, if there is one.
    pub(crate) fn size(self) -> Option<&'static str> {
        (self == Self::Tempo).then_some("traces_spanmetrics_size_total")
    }

    pub(crate) fn service_label(self) -> &'static str {
        match self {
            Self::Tempo => "service",
            Self::Otel { .. } => "service_name",
        }
    }

    /// Units of durations in a second.
    pub(crate) fn per_second(self) -> f64 {
        match self {
            Self::Otel { milliseconds: true } => 1e3,
            _ => 1.0,
        }
    }

    /// Upper bounds of durations in their unit.
    pub(crate) fn bounds(self) -> Vec<f64> {
        match self {
            Self::Tempo => doubling(0.002, 14),
            Self::Otel { milliseconds: false } => OTEL_BOUNDS.to_vec(),
            Self::Otel { milliseconds: true } => OTEL_BOUNDS.map(|bound| (bound * 1e3).round()).to_vec(),
        }
    }

    pub(crate) fn native_buckets_max(self) -> u32 {
        if self == Self::Tempo { 100 } else { 160 }
    }

    pub(crate) fn exemplars(self) -> bool {
        self == Self::Tempo
    }

    /// The connector for service graphs is another one; two plugins must not write the same series.
    pub(crate) fn service_graph(self) -> bool {
        self == Self::Tempo
    }
}
