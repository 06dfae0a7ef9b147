//! Labels that the configuration adds: columns of `spans`, and attributes of any key.

use isinglass_plugin::{Batch, Deltas, Groups, Keys, Request};

use crate::attributes::{Values, label_name, request};

/// A dimension takes two slots: that of a column of this name and that of an attribute.
const SLOTS: u16 = 2;

/// What to ask for, from a slot on. A batch without such a column is welcome.
pub(crate) fn requests(names: &[String], slot: u16) -> Vec<Request> {
    let mut requests = Vec::new();
    for (slot, name) in (slot..).step_by(usize::from(SLOTS)).zip(names) {
        if name.contains(':') {
            requests.push(request(slot, name.clone()));
            continue;
        }
        if !name.contains('.') {
            requests.push(request(slot, name.clone()));
        }
        requests.push(request(slot + 1, format!("any:{name}")));
    }
    requests
}

/// Those that a batch has.
pub(crate) fn read<'a>(names: &'a [String], slot: u16, batch: &'a Batch) -> Vec<Dimension<'a>> {
    let dimension = |(slot, name): (u16, &'a String)| {
        let values = Values::read(batch, slot).or_else(|| Values::read(batch, slot + 1))?;
        Some(Dimension { name: label_name(name), values })
    };
    (slot..).step_by(usize::from(SLOTS)).zip(names).filter_map(dimension).collect()
}

/// A column that is a label.
#[derive(Debug)]
pub(crate) struct Dimension<'a> {
    /// The label's name.
    pub(crate) name: String,
    pub(crate) values: Values<'a>,
}

impl Dimension<'_> {
    /// To group by.
    pub(crate) fn keys(&self) -> Keys<'_> {
        self.values.keys()
    }

    /// Adds the label.
    pub(crate) fn label(&self, deltas: &mut Deltas, groups: &Groups) {
        match (&self.values, self.values.label(groups)) {
            (_, Some((keys, values))) => deltas.push_label(&self.name, keys, values),
            (Values::Text(column), None) => deltas.label(&self.name, *column, groups),
            (Values::Integers { .. }, None) => {}
        }
    }
}
