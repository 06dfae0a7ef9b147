//! The types of the interface `derive-pairs`, from the SDK's to the generated ones.

use crate::bindings::pairing_deriver::exports::isinglass::plugin::derive_pairs as wit;
use crate::bindings::validator::isinglass::plugin::columns::TextColumn;
use crate::{
    Declaration, DeclaredKind, DeclaredMetric, Derived, Exponential, Halves, HistogramIncrements, Label,
    LabelValues, Pairing, Rule, Table, TextData,
};

pub(super) fn declaration(declaration: Declaration) -> wit::Declaration {
    let Declaration { metrics, pairing, exemplar_label } = declaration;
    wit::Declaration {
        metrics: metrics.into_iter().map(metric).collect(),
        pairing: pairing.map(self::pairing),
        exemplar_label,
    }
}

fn metric(DeclaredMetric { name, kind, help, unit }: DeclaredMetric) -> wit::Metric {
    let (kind, classic, bounds, exponential_buckets_max) = match kind {
        DeclaredKind::Counter => (wit::MetricKind::Counter, false, Vec::new(), 0),
        DeclaredKind::Gauge => (wit::MetricKind::Gauge, false, Vec::new(), 0),
        DeclaredKind::Histogram { classic, exponential_buckets_max } => {
            let bounds = classic.clone().unwrap_or_default();
            (wit::MetricKind::Histogram, classic.is_some(), bounds, exponential_buckets_max)
        }
    };
    wit::Metric { name, kind, help, unit, classic, bounds, exponential_buckets_max }
}

fn pairing(Pairing { wait_ms, pending_max, additions, exemplars }: Pairing) -> wit::Pairing {
    let addition = |(rule, metric)| wit::Addition { metric, rule: self::rule(rule) };
    wit::Pairing { wait_ms, pending_max, additions: additions.into_iter().map(addition).collect(), exemplars }
}

fn rule(rule: Rule) -> wit::Rule {
    match rule {
        Rule::Pairs => wit::Rule::Pairs,
        Rule::Marked => wit::Rule::Marked,
        Rule::Presence => wit::Rule::Presence,
        Rule::FirstValue => wit::Rule::FirstValue,
        Rule::SecondValue => wit::Rule::SecondValue,
        Rule::Gap => wit::Rule::Gap,
        Rule::Unpaired => wit::Rule::Unpaired,
        Rule::Dropped => wit::Rule::Dropped,
    }
}

pub(super) fn derived(Derived { tables, halves }: Derived) -> wit::Derived {
    wit::Derived { tables: tables.into_iter().map(table).collect(), halves: self::halves(halves) }
}

fn table(Table { deltas, histograms }: Table) -> wit::Table {
    let (series, labels, increments, exemplars) = deltas.into_parts();
    let plain = increments.into_iter().map(|increments| wit::Increments {
        metric: increments.metric,
        values: increments.values,
        buckets: Vec::new(),
        exponential: exponential(Exponential::default()),
    });
    let histogram = |HistogramIncrements { metric, sums, buckets, exponential }| wit::Increments {
        metric,
        values: sums,
        buckets,
        exponential: self::exponential(exponential),
    };
    wit::Table {
        series,
        labels: labels.into_iter().map(label).collect(),
        increments: plain.chain(histograms.into_iter().map(histogram)).collect(),
        exemplars: wit::Exemplars {
            metric: exemplars.metric,
            series: exemplars.series,
            value: exemplars.value,
            row: exemplars.row,
        },
    }
}

fn exponential(Exponential { scale, series, index, count, zeros }: Exponential) -> wit::Exponential {
    wit::Exponential { scale, series, index, count, zeros }
}

fn halves(halves: Halves) -> wit::Halves {
    let Halves { rows, keys, flags, values, times, weights, sets, set_count, labels, alone } = halves;
    wit::Halves {
        rows,
        keys,
        flags,
        values,
        times,
        weights,
        sets,
        set_count,
        labels: labels.into_iter().map(label).collect(),
        alone: alone.into_iter().map(label).collect(),
    }
}

fn label(Label { name, keys, values }: Label) -> wit::Label {
    let values = match values {
        LabelValues::Input(slot) => wit::LabelValues::Input(slot),
        LabelValues::Own(TextData { offsets, data }) => wit::LabelValues::Own(TextColumn { offsets, data }),
    };
    wit::Label { name, keys, values }
}
