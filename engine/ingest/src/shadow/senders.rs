//! Who sent a row: the service of log records and spans, the job of samples.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, RecordBatch};
use hashbrown::HashMap;
use isinglass_model::labels::LabelSet;

/// Names, and which of them each row is from.
#[derive(Debug, Default)]
pub(super) struct Senders {
    pub(super) names: Vec<String>,
    pub(super) of_row: Vec<u32>,
}

impl Senders {
    /// By the column `service`.
    pub(super) fn of_table(table: &RecordBatch) -> Self {
        let mut senders = Self::default();
        let service =
            table.column_by_name("service").and_then(|column| column.as_dictionary_opt::<Int32Type>());
        let Some((service, values)) = service.and_then(|s| Some((s, s.values().as_string_opt::<i32>()?)))
        else {
            return Self { names: vec![String::new()], of_row: vec![0; table.num_rows()] };
        };
        let mut known = HashMap::<i32, u32, ahash::RandomState>::default();
        for row in 0..service.len() {
            let key = if service.is_valid(row) { service.keys().value(row) } else { -1 };
            let at = *known.entry(key).or_insert_with(|| {
                let name = usize::try_from(key).map_or("", |key| values.value(key));
                senders.names.push(name.to_owned());
                u32::try_from(senders.names.len() - 1).unwrap_or(u32::MAX)
            });
            senders.of_row.push(at);
        }
        senders
    }

    /// Rows of each sender who has any; only those that `sees` says, if it is given.
    pub(super) fn counts(self, sees: Option<&[bool]>) -> Vec<(String, u64)> {
        let mut counts = vec![0; self.names.len()];
        for (row, at) in self.of_row.iter().enumerate() {
            counts[*at as usize] += u64::from(sees.is_none_or(|sees| sees[row]));
        }
        self.names.into_iter().zip(counts).filter(|(_, rows)| *rows > 0).collect()
    }
}

/// The sender of a series.
pub(super) fn of_labels(labels: &LabelSet) -> &str {
    labels.get("job").or_else(|| labels.get("service_name")).unwrap_or_default()
}
