//! Matchers to series.
//!
//! What is cheap and narrows comes first: values that are named are looked up, their
//! postings are intersected from the smallest on, those to drop are subtracted. An
//! expression is then asked either about each distinct value of its label or about the
//! values of the series that are left, whichever are fewer, and once per value. What was found
//! of all values is kept ([`answers`](super::answers)).
//!
//! The series of an answer are those that were in the index when it began: the set of all
//! is taken first, and labels never change.

use std::collections::HashMap;
use std::sync::Arc;

use isinglass_model::series::SeriesRef;
use roaring::RoaringBitmap;

use super::answers::{Answer, Asked, VALUES_MIN};
use super::expression::Expression;
use super::inverted::Name;
use super::matcher::{Condition, Matcher, Values, conditions};
use super::posting::{Posting, Taken};
use super::table::{AT_ONCE, SeriesTable};
use super::values::ValuesOf;
use crate::StoreError;

/// Postings taken under one read lock.
const POSTINGS_AT_ONCE: usize = 1 << 10;

/// To find the value of a series costs so many times what it costs to walk over one.
const COST_OF_A_SERIES: u64 = 4;

/// The refs of the series for which all matchers hold.
pub(crate) fn select(table: &SeriesTable, matchers: &[Matcher]) -> Result<RoaringBitmap, StoreError> {
    let conditions = conditions(matchers)?;
    let (all, named, expressions) = table.labels(|labels| {
        let (mut named, mut expressions) = (Vec::new(), Vec::new());
        for condition in &conditions {
            match Named::take(labels, condition) {
                Some(of) => named.push(of),
                None => expressions.push(condition),
            }
        }
        (Arc::clone(labels.all()), named, expressions)
    });
    let series = all.len();
    let mut left = narrow(all, named);
    let (keep, drop): (Vec<_>, Vec<_>) = expressions.into_iter().partition(|condition| condition.keep);
    for condition in keep.into_iter().chain(drop) {
        if left.is_empty() {
            break;
        }
        apply(table, condition, series, &mut left);
    }
    Ok(left)
}

/// The postings of a condition whose values are named.
struct Named {
    keep: bool,
    only: Taken,
    /// Everything that has the label, of which `only` are taken away.
    except: Option<Arc<RoaringBitmap>>,
}

impl Named {
    fn take(labels: &super::inverted::Inverted, condition: &Condition) -> Option<Self> {
        let (texts, except) = match &condition.values {
            Values::Only(texts) => (texts, None),
            Values::Except(texts) => {
                let has = labels.name(&condition.name).map(|name| Arc::clone(&name.series));
                (texts, Some(has.unwrap_or_default()))
            }
            Values::Matching(..) => return None,
        };
        let mut only = Taken::default();
        for posting in texts.iter().filter_map(|text| labels.posting(&condition.name, text)) {
            only.take(posting);
        }
        Some(Self { keep: condition.keep, only, except })
    }

    fn series(self) -> Arc<RoaringBitmap> {
        let only = self.only.union();
        match self.except {
            None => only,
            Some(has) if only.is_empty() => has,
            Some(has) => Arc::new(&*has - &*only),
        }
    }
}

/// The series of all that are in every set to keep and in none to drop.
fn narrow(all: Arc<RoaringBitmap>, named: Vec<Named>) -> RoaringBitmap {
    let (keep, drop): (Vec<_>, Vec<_>) = named.into_iter().partition(|named| named.keep);
    let mut keep: Vec<Arc<RoaringBitmap>> = keep.into_iter().map(Named::series).collect();
    keep.sort_unstable_by_key(|series| series.len());
    keep.push(all);
    let mut keep = keep.into_iter();
    let mut left = keep.next().map(|first| (*first).clone()).unwrap_or_default();
    keep.for_each(|series| left &= &*series);
    for series in drop.into_iter().map(Named::series) {
        left -= &*series;
    }
    left
}

/// Applies an expression, when there are so many series in all.
fn apply(table: &SeriesTable, condition: &Condition, of: u64, left: &mut RoaringBitmap) {
    let Values::Matching(expression, wanted) = &condition.values else { return };
    let asked = Asked {
        table: table.number,
        name: condition.name.clone(),
        expression: condition.text.clone(),
        wanted: *wanted,
    };
    let known = table.answers.get(&asked);
    if let Some(known) = known.as_ref().filter(|known| known.of == of) {
        return restrict(left, condition.keep, &known.series);
    }
    // Where to look is known if it was looked for before.
    let start = if known.is_none() { expression.start() } else { "" };
    let Some(values) = ValuesOf::take(table, &condition.name, start) else {
        // No series has the label.
        if condition.keep {
            left.clear();
        }
        return;
    };
    let walked = match &known {
        Some(known) => values.len().saturating_sub(known.asked as usize) + known.matching.len() as usize,
        None if *wanted => values.started(),
        // Values that do not start as they must are wanted too if it is those that do not match.
        None => values.len(),
    };
    if left.len().saturating_mul(COST_OF_A_SERIES) < walked as u64 {
        by_series(table, condition.keep, &values, expression, *wanted, left);
        return;
    }
    let found = matching(&values, expression, known.as_deref());
    let kept = known.is_some() || walked >= VALUES_MIN;
    let matching = if kept { RoaringBitmap::from_sorted_iter(found.iter().copied()).ok() } else { None };
    let series = by_value(table, &values, found, *wanted);
    restrict(left, condition.keep, &series);
    if let Some(matching) = matching {
        let all_values = u32::try_from(values.len()).unwrap_or(u32::MAX);
        table.answers.keep(asked, Answer { asked: all_values, matching, of, series });
    }
}

/// Numbers of the values that match, ascending.
fn matching(values: &ValuesOf, expression: &Expression, known: Option<&Answer>) -> Vec<u32> {
    let Some(known) = known else { return values.matching(expression) };
    let mut found = known.matching.iter().collect();
    values.add_matching(expression, known.asked as usize, &mut found);
    found
}

fn restrict(left: &mut RoaringBitmap, keep: bool, series: &RoaringBitmap) {
    if keep {
        *left &= series;
    } else {
        *left -= series;
    }
}

/// Asks about the values of the series that are left.
fn by_series(
    table: &SeriesTable,
    keep: bool,
    values: &ValuesOf,
    expression: &Expression,
    wanted: bool,
    left: &mut RoaringBitmap,
) {
    let mut known: HashMap<u32, bool, ahash::RandomState> = HashMap::default();
    let mut stay = Vec::new();
    each_value(table, left, values.name, |series, value| {
        let is_wanted = value.is_some_and(|value| {
            *known
                .entry(value)
                .or_insert_with(|| values.get(value).is_some_and(|text| expression.is_match(text) == wanted))
        });
        if is_wanted == keep {
            stay.push(series);
        }
    });
    *left = RoaringBitmap::from_sorted_iter(stay).unwrap_or_default();
}

/// Says the number of each series' value of a name. The lock is let go in between.
pub(super) fn each_value(
    table: &SeriesTable,
    series: &RoaringBitmap,
    name: u32,
    mut each: impl FnMut(u32, Option<u32>),
) {
    let mut refs = series.iter();
    let mut some: Vec<(u32, Option<u32>)> = Vec::with_capacity(AT_ONCE);
    loop {
        some.clear();
        some.extend(refs.by_ref().take(AT_ONCE).map(|series| (series, None)));
        if some.is_empty() {
            return;
        }
        table.labels(|labels| {
            for (series, value) in &mut some {
                let position = table.position(SeriesRef(*series));
                *value = position.and_then(|position| labels.value_of(position, name));
            }
        });
        some.iter().for_each(|(series, value)| each(*series, *value));
    }
}

/// The series whose values are wanted, given those that match.
fn by_value(table: &SeriesTable, values: &ValuesOf, matching: Vec<u32>, wanted: bool) -> Arc<RoaringBitmap> {
    // Of two halves the smaller is united.
    let others = matching.len() > values.len() / 2;
    let taken = if others { values.without(&matching) } else { matching };
    let series = union(table, values.name, &taken);
    if others == wanted {
        let has = table.labels(|labels| labels.name_at(values.name).map(|name| Arc::clone(&name.series)));
        Arc::new(&*has.unwrap_or_default() - &*series)
    } else {
        series
    }
}

/// The series of some values of a name.
fn union(table: &SeriesTable, name: u32, values: &[u32]) -> Arc<RoaringBitmap> {
    let mut taken = Taken::default();
    for some in values.chunks(POSTINGS_AT_ONCE) {
        table.labels(|labels| {
            let posting =
                |value: &u32| labels.name_at(name).and_then(|name: &Name| name.postings.get(*value as usize));
            some.iter().filter_map(posting).for_each(|posting: &Posting| taken.take(posting));
        });
    }
    taken.union()
}
