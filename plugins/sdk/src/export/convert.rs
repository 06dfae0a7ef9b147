//! The same types twice: the SDK's, which exist natively too, and the generated ones.

use crate::bindings::deriver::exports::isinglass::plugin::derive;
use crate::bindings::function::exports::isinglass::plugin::compute;
use crate::bindings::limiter::exports::isinglass::plugin::limit;
use crate::bindings::transformer::exports::isinglass::plugin::transform;
use crate::bindings::validator::exports::isinglass::plugin::validate;
use crate::bindings::validator::isinglass::plugin::columns as wit;
use crate::{
    Batch, Bucket, Column, Data, Deltas, Edits, Encoding, Function, Label, LabelValues, Metric, MetricKind,
    NumberEdits, PairEdits, Pairs, Plan, Reason, Request, Shape, Signal, States, TextData, TextEdits,
    ValueType, Values, Verdicts, Volatility,
};

pub(super) fn batch(batch: wit::Batch) -> Batch {
    let shape = match batch.shape {
        wit::Shape::Samples => Shape::Samples,
        wit::Shape::Series => Shape::Series,
        wit::Shape::Logs => Shape::Logs,
        wit::Shape::Spans => Shape::Spans,
    };
    Batch { shape, rows: batch.rows as usize, columns: batch.columns.into_iter().map(column).collect() }
}

pub(super) fn column(column: wit::Column) -> Column {
    let data = match column.data {
        wit::ColumnData::Bytes(values) => Data::Bytes(values),
        wit::ColumnData::NumbersU32(values) => Data::U32(values),
        wit::ColumnData::NumbersS64(values) => Data::I64(values),
        wit::ColumnData::NumbersF64(values) => Data::F64(values),
        wit::ColumnData::Fixed(wit::FixedColumn { width, data }) => Data::Fixed { width, data },
        wit::ColumnData::Text(wit::TextColumn { offsets, data }) => Data::Text(TextData { offsets, data }),
        wit::ColumnData::Dictionary(wit::DictionaryColumn { keys, offsets, data }) => {
            Data::Dictionary { keys, values: TextData { offsets, data } }
        }
        wit::ColumnData::Offsets(offsets) => Data::Offsets(offsets),
    };
    Column { slot: column.slot, validity: column.validity, data }
}

pub(super) fn request(request: Request) -> wit::ColumnRequest {
    wit::ColumnRequest {
        shape: match request.shape {
            Shape::Samples => wit::Shape::Samples,
            Shape::Series => wit::Shape::Series,
            Shape::Logs => wit::Shape::Logs,
            Shape::Spans => wit::Shape::Spans,
        },
        slot: request.slot,
        name: request.name.into_owned(),
        encoding: match request.encoding {
            Encoding::Values => wit::Encoding::Values,
            Encoding::Dictionary => wit::Encoding::Dictionary,
            Encoding::Lengths => wit::Encoding::Lengths,
        },
        optional: request.optional,
    }
}

pub(super) fn verdicts(verdicts: Verdicts) -> validate::Verdicts {
    let (rows, reasons) = verdicts.into_parts();
    let reason = |Reason { code, message }| validate::Reason { code: code.to_owned(), message };
    validate::Verdicts { rows, reasons: reasons.into_iter().map(reason).collect() }
}

pub(super) fn edits(edits: Edits) -> transform::Edits {
    let (drops, reasons, of_texts, of_numbers, of_pairs) = edits.into_parts();
    let reason = |Reason { code, message }| transform::Reason { code: code.to_owned(), message };
    transform::Edits {
        drops,
        reasons: reasons.into_iter().map(reason).collect(),
        texts: of_texts.into_iter().map(|(column, edits)| text_edits(column, edits)).collect(),
        numbers: of_numbers.into_iter().map(|(column, edits)| number_edits(column, edits)).collect(),
        pairs: of_pairs.into_iter().map(|(of, edits)| pair_edits(of, edits)).collect(),
    }
}

fn text_column(TextData { offsets, data }: TextData) -> wit::TextColumn {
    wit::TextColumn { offsets, data }
}

fn texts(edits: TextEdits) -> (transform::Texts, Vec<u32>) {
    let (at, keys, pool, nulls) = edits.into_parts();
    (transform::Texts { at, keys, values: text_column(pool) }, nulls)
}

fn text_edits(column: &str, edits: TextEdits) -> transform::TextEdits {
    let (texts, nulls) = texts(edits);
    transform::TextEdits { column: column.to_owned(), texts, nulls }
}

fn number_edits(column: &str, edits: NumberEdits) -> transform::NumberEdits {
    let (at, values, nulls) = edits.into_parts();
    transform::NumberEdits { column: column.to_owned(), at, values, nulls }
}

fn pair_edits(of: Pairs, edits: PairEdits) -> transform::PairEdits {
    let of = match of {
        Pairs::Attributes => transform::Pairs::Attributes,
        Pairs::Resource => transform::Pairs::Resource,
        Pairs::Scope => transform::Pairs::Scope,
        Pairs::Events => transform::Pairs::Events,
        Pairs::Links => transform::Pairs::Links,
        Pairs::Labels => transform::Pairs::Labels,
    };
    let (removed, renamed, changed, (rows, names, values, pool)) = edits.into_parts();
    let added = transform::Additions { rows, names, texts: values, values: text_column(pool) };
    transform::PairEdits { of, removed, renamed: texts(renamed).0, changed: texts(changed).0, added }
}

pub(super) fn signal(signal: limit::Signal) -> Signal {
    match signal {
        limit::Signal::Metrics => Signal::Metrics,
        limit::Signal::Logs => Signal::Logs,
        limit::Signal::Traces => Signal::Traces,
    }
}

pub(super) fn plan(plan: Plan) -> limit::Plan {
    let (buckets, cost) = plan.into_parts();
    let bucket_of_cost = (0..).take(buckets.len()).collect();
    let bucket = |Bucket { key, rate_per_second, burst }| limit::Bucket { key, rate_per_second, burst };
    limit::Plan { buckets: buckets.into_iter().map(bucket).collect(), bucket_of_cost, cost }
}

pub(super) fn metric(metric: Metric) -> derive::Metric {
    let Metric { name, kind, help, unit, bounds } = metric;
    let kind = match kind {
        MetricKind::Counter => derive::MetricKind::Counter,
        MetricKind::Histogram => derive::MetricKind::Histogram,
    };
    derive::Metric { name, kind, help, unit, bounds }
}

pub(super) fn deltas(deltas: Deltas) -> derive::Deltas {
    let (series, labels, increments, exemplars) = deltas.into_parts();
    let label = |Label { name, keys, values }| derive::Label { name, keys, values: label_values(values) };
    let increments = increments.into_iter().map(|increments| derive::Increments {
        metric: increments.metric,
        values: increments.values,
        buckets: increments.buckets,
    });
    derive::Deltas {
        series,
        labels: labels.into_iter().map(label).collect(),
        increments: increments.collect(),
        exemplars: derive::Exemplars {
            metric: exemplars.metric,
            series: exemplars.series,
            value: exemplars.value,
            row: exemplars.row,
        },
    }
}

fn label_values(values: LabelValues) -> derive::LabelValues {
    match values {
        LabelValues::Input(slot) => derive::LabelValues::Input(slot),
        LabelValues::Own(TextData { offsets, data }) => {
            derive::LabelValues::Own(wit::TextColumn { offsets, data })
        }
    }
}

pub(super) fn signature(function: Function) -> compute::Signature {
    compute::Signature {
        name: function.name.to_owned(),
        kind: if function.aggregate { compute::Kind::Aggregate } else { compute::Kind::Scalar },
        arguments: function.arguments.iter().copied().map(value_type).collect(),
        returns: value_type(function.returns),
        volatility: match function.volatility {
            Volatility::Immutable => compute::Volatility::Immutable,
            Volatility::Stable => compute::Volatility::Stable,
            Volatility::Volatile => compute::Volatility::Volatile,
        },
        help: function.help.to_owned(),
    }
}

fn value_type(of: ValueType) -> compute::ValueType {
    match of {
        ValueType::Float64 => compute::ValueType::Float64,
        ValueType::Int64 => compute::ValueType::Int64,
        ValueType::Text => compute::ValueType::Text,
        ValueType::Boolean => compute::ValueType::Boolean,
    }
}

pub(super) fn values(values: Values) -> wit::Column {
    let data = match values.data {
        Data::Bytes(values) => wit::ColumnData::Bytes(values),
        Data::U32(values) => wit::ColumnData::NumbersU32(values),
        Data::I64(values) => wit::ColumnData::NumbersS64(values),
        Data::F64(values) => wit::ColumnData::NumbersF64(values),
        Data::Fixed { width, data } => wit::ColumnData::Fixed(wit::FixedColumn { width, data }),
        Data::Text(text) => wit::ColumnData::Text(text_column(text)),
        Data::Dictionary { keys, values: TextData { offsets, data } } => {
            wit::ColumnData::Dictionary(wit::DictionaryColumn { keys, offsets, data })
        }
        Data::Offsets(offsets) => wit::ColumnData::Offsets(offsets),
    };
    wit::Column { slot: 0, validity: values.validity, data }
}

pub(super) fn states(states: States) -> wit::TextColumn {
    text_column(states.0)
}

pub(super) fn of_states(states: wit::TextColumn) -> States {
    States(TextData { offsets: states.offsets, data: states.data })
}
