//! Edits of picked rows as edits of the batch that these were picked from.
//!
//! A transformer that is shown some rows only counts them, and the keys and values that they have,
//! from 0. What it answers is renumbered; whether it fits is checked where the edits are made.

use isinglass_model::columns::{ColumnData, Columns, Encoding};
use isinglass_model::edits::{Edits, PairEdits, Pairs};

use crate::failure::Failure;

/// `picked`: the rows that the guest was shown, ascending.
pub(crate) fn spread(mut edits: Edits, picked: &[u32], batch: &dyn Columns) -> Result<Edits, Failure> {
    for texts in &mut edits.texts {
        renumber(&texts.column, &mut texts.texts.at, picked)?;
        renumber(&texts.column, &mut texts.nulls, picked)?;
    }
    for numbers in &mut edits.numbers {
        renumber(&numbers.column, &mut numbers.at, picked)?;
        renumber(&numbers.column, &mut numbers.nulls, picked)?;
    }
    for pairs in &mut edits.pairs {
        let PairEdits { of, removed, renamed, changed, added } = pairs;
        let (what, entries) = (of.prefix(), entries(*of, picked, batch));
        renumber(what, removed, &entries)?;
        renumber(what, &mut renamed.at, &entries)?;
        renumber(what, &mut changed.at, &entries)?;
        renumber(what, &mut added.rows, picked)?;
    }
    Ok(edits)
}

/// The entries of these rows.
fn entries(of: Pairs, rows: &[u32], batch: &dyn Columns) -> Vec<u32> {
    let column = batch.column(&format!("{}.offsets", of.prefix()), Encoding::Values);
    let Some(ColumnData::Offsets(offsets)) = column.map(|column| column.data) else { return Vec::new() };
    let range =
        |row: &u32| offsets[*row as usize].cast_unsigned()..offsets[*row as usize + 1].cast_unsigned();
    rows.iter().flat_map(range).collect()
}

fn renumber(what: &str, numbers: &mut [u32], among: &[u32]) -> Result<(), Failure> {
    for number in numbers {
        let limit = among.len();
        *number = *among
            .get(*number as usize)
            .ok_or_else(|| Failure::contract(format!("{what}: {number} of {limit}")))?;
    }
    Ok(())
}
