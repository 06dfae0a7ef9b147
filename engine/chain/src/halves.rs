//! The halves that a deriver answers, checked.

use isinglass_model::deltas::{HalfKey, Halves};

use crate::abi::LabelOut;
use crate::abi::pairs::HalvesOut;
use crate::deltas::{SERIES_MAX, are_counts, check_label_names, resolve};
use crate::failure::Failure;
use crate::showing::Cut;

/// Halves in the answer to one call.
const HALVES_MAX: usize = 2 * SERIES_MAX as usize;
const FLAGS: u8 = Halves::SECOND | Halves::MARKED | Halves::ALONE;

/// Checks halves and resolves their labels to text.
pub(crate) fn check(out: HalvesOut, cut: &Cut<'_>) -> Result<Option<Box<Halves>>, Failure> {
    if out.rows.is_empty() && out.keys.is_empty() && out.flags.is_empty() {
        return Ok(None);
    }
    let HalvesOut { rows, keys, flags, values, times, weights, sets, set_count, labels, alone } = out;
    let fault = |text: String| Err(Failure::contract(format!("halves: {text}")));
    let count = rows.len();
    if count > HALVES_MAX {
        return fault(format!("{count} of them, the limit is {HALVES_MAX}"));
    }
    let whole = [flags.len(), values.len(), sets.len()] == [count; 3];
    let given = [times.len(), weights.len()].iter().all(|len| *len == 0 || *len == count);
    let (keys, rest) = keys.as_chunks::<{ size_of::<HalfKey>() }>();
    if !(whole && given && keys.len() == count && rest.is_empty()) {
        return fault("the columns differ in length".to_owned());
    }
    if set_count > SERIES_MAX {
        return fault(format!("{set_count} label sets, the limit is {SERIES_MAX}"));
    }
    let rows_fit = rows.iter().max().is_none_or(|row| (*row as usize) < cut.rows.len());
    if !rows_fit || sets.iter().max().is_some_and(|set| *set >= set_count) {
        return fault("a row or a label set that is not there".to_owned());
    }
    if flags.iter().fold(0, |all, flags| all | flags) & !FLAGS != 0 {
        return fault("a flag that is not known".to_owned());
    }
    let finite = values.iter().fold(true, |all, value| all & (value.abs() <= f64::MAX));
    if !finite || !are_counts(&weights) {
        return fault("a value or a weight that is no number".to_owned());
    }
    check_label_names(&labels)?;
    check_label_names(&alone)?;
    let resolve_all = |labels: Vec<LabelOut>| {
        labels.into_iter().map(|label| resolve(label, set_count, cut)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Some(Box::new(Halves {
        rows: cut.rows_of(rows),
        keys: keys.to_vec(),
        flags,
        values,
        times,
        weights,
        sets,
        set_count,
        labels: resolve_all(labels)?,
        alone: resolve_all(alone)?,
    })))
}

#[cfg(test)]
mod tests;
