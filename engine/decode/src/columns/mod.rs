//! The builders that batches grow in.
//!
//! A builder holds only the rows up to the last one that has a value: columns
//! that no item uses cost nothing, and a row that turns out to be faulty is
//! taken back by cutting every builder to the rows before it.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use isinglass_model::kind::Kind;
use isinglass_model::tables::Table;

mod attributes;
mod dictionary;
mod logs;
mod maps;
mod nested;
mod primitive;
mod promoted;
mod shared;
mod text;

pub(crate) use attributes::Attributes;
pub(crate) use dictionary::Dictionary;
pub(crate) use logs::{Logs, Stream};
pub(crate) use nested::{Events, Links};
pub(crate) use primitive::{Ids, Numbers};
pub(crate) use shared::{Resource, Scope, Shared, UNKNOWN_SERVICE};
pub(crate) use text::Texts;

/// The columns of a batch under construction, by name.
#[derive(Default)]
pub(crate) struct Finished(Vec<(&'static str, ArrayRef)>);

impl Finished {
    /// Adds a column; `None` = no row has a value.
    pub(crate) fn push(&mut self, name: &'static str, array: Option<ArrayRef>) {
        self.0.extend(array.map(|array| (name, array)));
    }

    /// The batch, its columns in the order of the table.
    pub(crate) fn into_batch(self, kind: Kind) -> Result<RecordBatch, ArrowError> {
        let table = Table::of(kind);
        let mut columns: Vec<_> = self
            .0
            .into_iter()
            .filter_map(|(name, array)| Some((positions(kind).get(name).copied()?, array)))
            .collect();
        columns.sort_unstable_by_key(|(position, _)| *position);
        let fields: Vec<_> =
            columns.iter().map(|(position, _)| Arc::clone(table.batch_field(*position))).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }
}

type Positions = hashbrown::HashMap<&'static str, usize, ahash::RandomState>;

fn positions(kind: Kind) -> &'static Positions {
    use std::sync::LazyLock;
    fn of(kind: Kind) -> Positions {
        Table::of(kind).columns.iter().enumerate().map(|(at, column)| (column.name, at)).collect()
    }
    static SPANS: LazyLock<Positions> = LazyLock::new(|| of(Kind::Spans));
    static LOGS: LazyLock<Positions> = LazyLock::new(|| of(Kind::Logs));
    if kind == Kind::Spans { &SPANS } else { &LOGS }
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
