//! What a metric is: `TimeSeries.metadata`, the same with every series of a metric.

use isinglass_model::limits::HardCaps;
use isinglass_model::series::MetricMeta;

use super::super::metadata::type_name;
use super::symbols::{Symbols, text};
use crate::item::Fault;
use crate::wire::{Reader, WireError};

const HISTOGRAM: i32 = 3;
const GAUGE_HISTOGRAM: i32 = 4;
const SUMMARY: i32 = 5;

/// A `Metadata` as it stands in the request. All zero = nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Metadata {
    metric_type: i32,
    help: u32,
    unit: u32,
}

impl Metadata {
    pub(super) fn read(mut fields: Reader<'_>) -> Result<Self, WireError> {
        let mut metadata = Self::default();
        let symbol = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => metadata.metric_type = field.int32()?,
                3 => metadata.help = symbol(field.varint()?),
                4 => metadata.unit = symbol(field.varint()?),
                _ => {}
            }
        }
        Ok(metadata)
    }

    /// Whether it says nothing. What is known of the metric stays then.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that its references are in the table, which may be empty if it has none.
    pub(super) fn check(&self, symbols: &Symbols<'_>) -> Result<(), Fault> {
        for symbol in [self.help, self.unit] {
            if symbol != 0 {
                symbols.get(symbol)?;
            }
        }
        Ok(())
    }

    /// With its texts.
    pub(super) fn resolve(&self, symbols: &Symbols<'_>) -> MetricMeta {
        // Longer texts are cut anyway, at the end of a character: so a few bytes more.
        let max = HardCaps::DEFAULT.metadata_bytes_max + 4;
        let text = |symbol| symbols.get(symbol).map(|bytes| text(bytes, max)).unwrap_or_default();
        MetricMeta {
            metric_type: type_name(self.metric_type).to_owned(),
            unit: text(self.unit),
            help: text(self.help),
        }
    }

    /// The name of the family that a series of samples belongs to. Remote write 1.0 and
    /// every exposition format describe `latency`, not `latency_bucket`.
    pub(super) fn family<'a>(&self, metric: &'a str) -> &'a str {
        let suffixes: &[&str] = match self.metric_type {
            HISTOGRAM => &["_bucket", "_count", "_sum"],
            GAUGE_HISTOGRAM => &["_bucket", "_gcount", "_gsum", "_count", "_sum"],
            SUMMARY => &["_count", "_sum"],
            _ => &[],
        };
        let family = suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix));
        family.filter(|family| !family.is_empty()).unwrap_or(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        for (metric_type, metric, family) in [
            (HISTOGRAM, "latency_bucket", "latency"),
            (HISTOGRAM, "latency_count_sum", "latency_count"),
            (HISTOGRAM, "latency", "latency"),
            (HISTOGRAM, "_sum", "_sum"),
            (GAUGE_HISTOGRAM, "size_gsum", "size"),
            (SUMMARY, "rpc_sum", "rpc"),
            (SUMMARY, "rpc_bucket", "rpc_bucket"),
            (1, "requests_total", "requests_total"),
            (2, "queue_count", "queue_count"),
        ] {
            let metadata = Metadata { metric_type, ..Metadata::default() };
            assert_eq!(metadata.family(metric), family, "{metric}");
        }
    }
}
