//! Labels that the configuration adds.

use std::borrow::Cow;

use isinglass_plugin::{
    Batch, Data, Deltas, Dictionary, Encoding, Groups, Integers, Keys, LabelValues, Request, Shape, TextData,
    View,
};

/// The slot of the first one.
const SLOT: u16 = 1_024;

/// What to ask for. A batch without such a column is welcome.
pub(crate) fn requests(names: &[String]) -> Vec<Request> {
    let request = |(slot, name): (u16, &String)| Request {
        shape: Shape::Spans,
        slot,
        name: Cow::Owned(name.clone()),
        encoding: Encoding::Dictionary,
        optional: true,
    };
    (SLOT..).zip(names).map(request).collect()
}

/// Those that a batch has.
pub(crate) fn read<'a>(names: &'a [String], batch: &'a Batch) -> Vec<Dimension<'a>> {
    let dimension = |(slot, name): (u16, &'a String)| {
        let values = match batch.column(slot)?.data {
            Data::I64(_) => Integers::read(batch, slot).map(Values::integers),
            _ => Dictionary::read(batch, slot).map(Values::Text),
        };
        Some(Dimension { name, values: values.expect("a dimension is text or integers") })
    };
    (SLOT..).zip(names).filter_map(dimension).collect()
}

/// A column that is a label.
#[derive(Debug)]
pub(crate) struct Dimension<'a> {
    name: &'a str,
    values: Values<'a>,
}

#[derive(Debug)]
enum Values<'a> {
    Text(Dictionary<'a>),
    Integers { column: Integers<'a>, distinct: Groups },
}

impl<'a> Values<'a> {
    fn integers(column: Integers<'a>) -> Self {
        Self::Integers { column, distinct: Groups::by_integers(column) }
    }
}

impl Dimension<'_> {
    /// To group by.
    pub(crate) fn keys(&self) -> Keys<'_> {
        match &self.values {
            Values::Text(column) => (*column).into(),
            Values::Integers { distinct, .. } => Keys::new(distinct.ids(), distinct.len() as u64),
        }
    }

    /// Adds the label.
    pub(crate) fn label(&self, deltas: &mut Deltas, groups: &Groups) {
        match &self.values {
            Values::Text(column) => deltas.label(self.name, *column, groups),
            Values::Integers { column, distinct } => {
                let keys = groups.first_rows().iter().map(|row| distinct.ids()[*row as usize]).collect();
                deltas.push_label(self.name, keys, LabelValues::Own(decimals(*column, distinct)));
            }
        }
    }
}

fn decimals(column: Integers<'_>, distinct: &Groups) -> TextData {
    let mut values = TextData::default();
    for row in distinct.first_rows() {
        let value = column.get(*row as usize);
        values.push(&value.map(|value| value.to_string()).unwrap_or_default());
    }
    values
}
