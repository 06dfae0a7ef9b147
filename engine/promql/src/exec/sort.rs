//! `sort` and its family. Only an instant query shows an order.

use std::cmp::Ordering;

use super::{Boxed, Context, Operator};
use crate::block::Block;
use crate::error::Result;
use crate::order::sorted_by;
use crate::plan::{Sort, SortBy};

/// Gives all series in order.
pub(super) struct Sorted<'a> {
    plan: &'a Sort,
    input: Boxed<'a>,
    cx: &'a Context<'a>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(plan: &'a Sort, input: Boxed<'a>, cx: &'a Context<'a>) -> Self {
        Self { plan, input, cx }
    }
}

impl Operator for Sorted<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let Some(mut all) = self.input.next()? else { return Ok(None) };
        let mut held = self.cx.holds_nothing();
        held.grow(all.bytes())?;
        while let Some(block) = self.input.next()? {
            held.grow(block.bytes())?;
            all.append(block);
        }
        if matches!(self.plan.by, SortBy::Value) {
            // Histograms have no order, so they go.
            all.rows.iter_mut().for_each(|row| row.histograms = None);
            all.retain_present();
        }
        if all.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.ordered(&all)?))
    }
}

impl Sorted<'_> {
    fn ordered(&self, all: &Block) -> Result<Block> {
        let order: Vec<usize> = (0..all.rows.len()).collect();
        let check = || self.cx.check();
        let order = match &self.plan.by {
            SortBy::Value => {
                let value = |row: &usize| all.floats(*row)[0];
                sorted_by(order, |one, other| self.by_value(value(one), value(other)), check)?
            }
            SortBy::Labels(names) => {
                sorted_by(order, |one, other| self.by_labels(all, *one, *other, names), check)?
            }
        };
        let mut sorted = Block::new(all.steps);
        for (at, row) in order.into_iter().enumerate() {
            self.cx.check_at(at)?;
            sorted.push(all.rows[row].clone()).copy_from_slice(all.floats(row));
        }
        Ok(sorted)
    }

    /// NaN comes last either way.
    fn by_value(&self, one: f64, other: f64) -> Ordering {
        match (one.is_nan(), other.is_nan()) {
            (false, false) => self.turned(one.partial_cmp(&other).unwrap_or(Ordering::Equal)),
            (one, other) => one.cmp(&other),
        }
    }

    fn by_labels(&self, all: &Block, one: usize, other: usize, names: &[String]) -> Ordering {
        let (one, other) = (&all.rows[one].labels, &all.rows[other].labels);
        let by_name = names.iter().map(|name| natural(one.get(name), other.get(name)));
        let order = by_name.fold(Ordering::Equal, Ordering::then);
        self.turned(order.then_with(|| one.cmp(other)))
    }

    fn turned(&self, order: Ordering) -> Ordering {
        if self.plan.descending { order.reverse() } else { order }
    }
}

/// As people sort: runs of digits by their numbers, all else by its bytes.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let (Some(first), Some(second)) = (one.first(), other.first()) {
        if first.is_ascii_digit() && second.is_ascii_digit() {
            let (a, b) = (digits(one), digits(other));
            let order = by_number(a, b);
            if order != Ordering::Equal {
                return order;
            }
            (one, other) = (&one[a.len()..], &other[b.len()..]);
        } else if first == second {
            (one, other) = (&one[1..], &other[1..]);
        } else {
            return first.cmp(second);
        }
    }
    one.len().cmp(&other.len())
}

fn digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

fn by_number(one: &[u8], other: &[u8]) -> Ordering {
    let bare = |digits: &[u8]| {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits[zeros..].to_vec()
    };
    let (a, b) = (bare(one), bare(other));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b)).then_with(|| one.len().cmp(&other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_compared_as_numbers() {
        let mut texts = ["b", "a10", "a2", "a02", "a", "", "a10b1", "a10a2", "10", "9"];
        texts.sort_by(|one, other| natural(one, other));
        assert_eq!(texts, ["", "9", "10", "a", "a2", "a02", "a10", "a10a2", "a10b1", "b"]);
    }
}
