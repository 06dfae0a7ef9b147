//! Sums as rows of the table `shadow`.
//!
//! A sum with several examples is several rows: all but the last stand for one item, the last for
//! the rest, so that `sum(items)` is right.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use isinglass_model::Kind;
use isinglass_model::tables::Table;
use isinglass_model::tables::shadow::what;

use super::sums::{Example, Group, Sum, TenantSums};

type Words = StringDictionaryBuilder<Int32Type>;

#[derive(Default)]
struct Columns {
    times: Int64Builder,
    /// name, plugin, digest, world, signal, what, sender, reason, live, field
    words: [Words; 10],
    items: Int64Builder,
    /// message, before, after, item
    texts: [StringBuilder; 4],
    values: Float64Builder,
}

impl Columns {
    fn push(
        &mut self,
        time: i64,
        group: &Group,
        items: u64,
        example: &Example,
        value: f64,
    ) -> Result<(), ArrowError> {
        let about = &group.about;
        let words = [
            Some(about.name.as_str()),
            Some(&about.plugin),
            Some(&about.digest),
            Some(about.world),
            Some(about.signal.as_str()),
            Some(group.what),
            Some(&group.sender),
            group.reason.as_deref(),
            group.live.as_deref(),
            group.field.as_deref(),
        ];
        for (column, word) in self.words.iter_mut().zip(words) {
            column.append_option(word);
        }
        let item = group.labels.as_ref().or(example.item.as_ref());
        let texts = [example.message.as_ref(), example.before.as_ref(), example.after.as_ref(), item];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_option(text);
        }
        self.times.append_value(time);
        self.items.append_value(i64::try_from(items).unwrap_or(i64::MAX));
        self.values.append_option((group.what == what::DERIVED).then_some(value));
        Ok(())
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.times.finish())];
        columns.extend(self.words.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.items.finish()));
        columns.extend(self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.values.finish()));
        let table = Table::of(Kind::Shadow);
        let fields: Vec<_> = (0..table.columns.len()).map(|at| Arc::clone(table.batch_field(at))).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

pub(super) fn batch(said: &TenantSums, time: i64) -> Result<RecordBatch, ArrowError> {
    let mut columns = Columns::default();
    for (group, sum) in &said.groups {
        push_sum(&mut columns, time, group, sum)?;
    }
    columns.finish()
}

fn push_sum(columns: &mut Columns, time: i64, group: &Group, sum: &Sum) -> Result<(), ArrowError> {
    // Examples may be more than items where an item is in several of them.
    let apart =
        sum.examples.len().saturating_sub(1).min(usize::try_from(sum.items).unwrap_or(usize::MAX) - 1);
    for example in &sum.examples[..apart] {
        columns.push(time, group, 1, example, 0.0)?;
    }
    let none = Example::default();
    let last = sum.examples.get(apart).unwrap_or(&none);
    columns.push(time, group, sum.items - apart as u64, last, sum.value)
}
