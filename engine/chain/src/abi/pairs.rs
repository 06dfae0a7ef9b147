//! The types of the interface `derive-pairs`. What an older deriver answers is brought into them,
//! so that the host knows one form only.

use wasmtime::component::{ComponentType, Lift};

use super::{DeltasOut, ExemplarsOut, IncrementsOut, LabelOut, MetricKindOut, MetricOut};

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting only")]
pub(crate) enum DeclaredKindOut {
    #[component(name = "counter")]
    Counter,
    #[component(name = "gauge")]
    Gauge,
    #[component(name = "histogram")]
    Histogram,
}

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct DeclaredOut {
    pub(crate) name: String,
    pub(crate) kind: DeclaredKindOut,
    pub(crate) help: String,
    pub(crate) unit: String,
    pub(crate) classic: bool,
    pub(crate) bounds: Vec<f64>,
    #[component(name = "exponential-buckets-max")]
    pub(crate) exponential_buckets_max: u32,
}

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting only")]
pub(crate) enum RuleOut {
    #[component(name = "pairs")]
    Pairs,
    #[component(name = "marked")]
    Marked,
    #[component(name = "presence")]
    Presence,
    #[component(name = "first-value")]
    FirstValue,
    #[component(name = "second-value")]
    SecondValue,
    #[component(name = "gap")]
    Gap,
    #[component(name = "unpaired")]
    Unpaired,
    #[component(name = "dropped")]
    Dropped,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy)]
#[component(record)]
pub(crate) struct AdditionOut {
    pub(crate) metric: u16,
    pub(crate) rule: RuleOut,
}

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct PairingOut {
    #[component(name = "wait-ms")]
    pub(crate) wait_ms: u32,
    #[component(name = "pending-max")]
    pub(crate) pending_max: u32,
    pub(crate) additions: Vec<AdditionOut>,
    pub(crate) exemplars: bool,
}

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct DeclarationOut {
    pub(crate) metrics: Vec<DeclaredOut>,
    pub(crate) pairing: Option<PairingOut>,
    #[component(name = "exemplar-label")]
    pub(crate) exemplar_label: String,
}

#[derive(ComponentType, Lift, Debug, Clone, Default)]
#[component(record)]
pub(crate) struct ExponentialOut {
    pub(crate) scale: i8,
    pub(crate) series: Vec<u32>,
    pub(crate) index: Vec<i32>,
    pub(crate) count: Vec<f64>,
    pub(crate) zeros: Vec<f64>,
}

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct TableIncrementsOut {
    pub(crate) metric: u16,
    pub(crate) values: Vec<f64>,
    pub(crate) buckets: Vec<f64>,
    pub(crate) exponential: ExponentialOut,
}

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct TableOut {
    pub(crate) series: u32,
    pub(crate) labels: Vec<LabelOut>,
    pub(crate) increments: Vec<TableIncrementsOut>,
    pub(crate) exemplars: ExemplarsOut,
}

#[derive(ComponentType, Lift, Debug, Clone, Default)]
#[component(record)]
pub(crate) struct HalvesOut {
    pub(crate) rows: Vec<u32>,
    pub(crate) keys: Vec<u8>,
    pub(crate) flags: Vec<u8>,
    pub(crate) values: Vec<f64>,
    pub(crate) times: Vec<i64>,
    pub(crate) weights: Vec<f64>,
    pub(crate) sets: Vec<u32>,
    #[component(name = "set-count")]
    pub(crate) set_count: u32,
    pub(crate) labels: Vec<LabelOut>,
    pub(crate) alone: Vec<LabelOut>,
}

#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct DerivedOut {
    pub(crate) tables: Vec<TableOut>,
    pub(crate) halves: HalvesOut,
}

impl From<Vec<MetricOut>> for DeclarationOut {
    fn from(metrics: Vec<MetricOut>) -> Self {
        let metrics = metrics.into_iter().map(DeclaredOut::from).collect();
        Self { metrics, pairing: None, exemplar_label: String::new() }
    }
}

impl From<MetricOut> for DeclaredOut {
    fn from(MetricOut { name, kind, help, unit, bounds }: MetricOut) -> Self {
        let (kind, classic) = match kind {
            MetricKindOut::Counter => (DeclaredKindOut::Counter, false),
            MetricKindOut::Histogram => (DeclaredKindOut::Histogram, true),
        };
        Self { name, kind, help, unit, classic, bounds, exponential_buckets_max: 0 }
    }
}

impl From<DeltasOut> for DerivedOut {
    fn from(DeltasOut { series, labels, increments, exemplars }: DeltasOut) -> Self {
        let increments = increments.into_iter().map(TableIncrementsOut::from).collect();
        Self {
            tables: vec![TableOut { series, labels, increments, exemplars }],
            halves: HalvesOut::default(),
        }
    }
}

impl From<IncrementsOut> for TableIncrementsOut {
    #[allow(clippy::cast_precision_loss, reason = "counts of rows stay far below 2^53")]
    fn from(IncrementsOut { metric, values, buckets }: IncrementsOut) -> Self {
        let buckets = buckets.into_iter().map(|count| count as f64).collect();
        Self { metric, values, buckets, exponential: ExponentialOut::default() }
    }
}
