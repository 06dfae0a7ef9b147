//! One dictionary for the many batches of a flush.

use std::sync::Arc;

use ahash::RandomState;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, StringArray};
use hashbrown::HashTable;

/// The distinct values of a column over all batches, and for each batch the
/// new key of each value of its own dictionary.
#[derive(Debug)]
pub(super) struct Merged {
    values: Arc<StringArray>,
    keys: Vec<Vec<i32>>,
}

impl Merged {
    /// Merges the dictionaries of a column; `None` stands for a batch without it.
    pub(super) fn of<'a>(
        name: &str,
        batches: impl Iterator<Item = Option<&'a ArrayRef>>,
    ) -> Result<Self, String> {
        let hasher = RandomState::new();
        // Values of the batches that came first, by (batch dictionary, key).
        let mut sources: Vec<&StringArray> = Vec::new();
        let mut known: Vec<(u32, u32)> = Vec::new();
        let mut table: HashTable<i32> = HashTable::new();
        let mut keys = Vec::new();
        for batch in batches {
            let Some(array) = batch else {
                keys.push(Vec::new());
                continue;
            };
            let values = array.as_dictionary_opt::<Int32Type>().map(|dictionary| dictionary.values());
            let values = values.and_then(|values| values.as_string_opt::<i32>());
            let values = values.ok_or_else(|| format!("column {name} is no dictionary of strings"))?;
            if values.null_count() > 0 {
                return Err(format!("the dictionary of column {name} has a null value"));
            }
            let source = sources.len() as u32;
            sources.push(values);
            let merged = (0..values.len()).map(|at| {
                let value = values.value(at);
                let hash = hasher.hash_one(value.as_bytes());
                let of = |key: &i32| {
                    let (source, at) = known[*key as usize];
                    sources[source as usize].value(at as usize)
                };
                if let Some(key) = table.find(hash, |key| of(key) == value) {
                    return Ok(*key);
                }
                let key =
                    i32::try_from(known.len()).map_err(|_| format!("column {name} has over 2^31 values"))?;
                known.push((source, at as u32));
                let rehash = |key: &i32| {
                    let (source, at) = known[*key as usize];
                    hasher.hash_one(sources[source as usize].value(at as usize).as_bytes())
                };
                table.insert_unique(hash, key, rehash);
                Ok(key)
            });
            keys.push(merged.collect::<Result<_, String>>()?);
        }
        Ok(Self { values: Arc::new(collect(&sources, &known)), keys })
    }

    /// The distinct values; the keys point into them.
    pub(super) fn values(&self) -> &Arc<StringArray> {
        &self.values
    }

    /// The merged key of each value of the dictionary of a batch.
    pub(super) fn keys_of(&self, batch: usize) -> &[i32] {
        &self.keys[batch]
    }

    /// For each key the place of its value among all values in order.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.values.len() as u32).collect();
        order.sort_unstable_by_key(|key| self.values.value(*key as usize));
        let mut ranks = vec![0; order.len()];
        for (rank, key) in order.into_iter().enumerate() {
            ranks[key as usize] = rank as u32;
        }
        ranks
    }
}

fn collect(sources: &[&StringArray], known: &[(u32, u32)]) -> StringArray {
    let bytes =
        known.iter().map(|(source, at)| sources[*source as usize].value_length(*at as usize) as usize).sum();
    let mut values = StringBuilder::with_capacity(known.len(), bytes);
    for (source, at) in known {
        values.append_value(sources[*source as usize].value(*at as usize));
    }
    values.finish()
}
