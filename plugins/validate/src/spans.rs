//! Spans.

use isinglass_plugin::{Batch, Dictionary, Fixed, Integers, Lengths, Offsets, Shape, Verdicts, columns};

use crate::attributes::Attributes;
use crate::limits::Limits;
use crate::messages::quoted;
use crate::time::Age;
use crate::{reason, time};

columns! {
    /// What is read of every span.
    pub(crate) struct Spans<'a> of Shape::Spans {
        time: Integers<'a> = "time",
        trace_id: Fixed<'a, 16> = "trace_id",
        span_id: Fixed<'a, 8> = "span_id",
        name: Dictionary<'a> = "name",
        attr_offsets: Option<Offsets<'a>> = "attr.offsets",
        attr_key: Option<Dictionary<'a>> = "attr.key",
        attr_value: Option<Lengths<'a>> = "attr.value",
    }
}

pub(crate) fn check(batch: &Batch, limits: &Limits, now: i64, verdicts: &mut Verdicts) {
    let spans = Spans::of(batch);
    each_zero(spans.trace_id, |row| {
        verdicts.refuse(row, reason::INVALID_TRACE_ID, || "trace_id is all zero".to_owned());
    });
    each_zero(spans.span_id, |row| {
        verdicts.refuse(row, reason::INVALID_SPAN_ID, || "span_id is all zero".to_owned());
    });
    let age = Age { ms: limits.span_age_max_ms, key: "span_age_max_ms", code: reason::TOO_FAR_IN_PAST };
    time::check(spans.time.values(), now, limits.future_grace_ms, age, verdicts);
    name(spans.name, limits, verdicts);
    if let Some(attributes) = Attributes::of(spans.attr_offsets, spans.attr_key, spans.attr_value) {
        attribute_count(attributes, limits, verdicts);
        attributes.check_keys(limits, verdicts);
        attributes.check_values(limits, verdicts);
        attributes.check_repeats(verdicts);
    }
}

/// Calls `found` for every row whose bytes are all zero.
#[inline]
fn each_zero<const WIDTH: usize>(ids: Fixed<'_, WIDTH>, mut found: impl FnMut(usize)) {
    const BLOCK: usize = 8;
    let is_zero = |id: &[u8; WIDTH]| *id == [0; WIDTH];
    let (blocks, _) = ids.rows().as_chunks::<BLOCK>();
    let suspects =
        blocks.iter().enumerate().filter(|(_, block)| block.iter().fold(false, |any, id| any | is_zero(id)));
    let rest = blocks.len() * BLOCK..ids.rows().len();
    for row in suspects.flat_map(|(number, _)| number * BLOCK..(number + 1) * BLOCK).chain(rest) {
        if is_zero(&ids.rows()[row]) {
            found(row);
        }
    }
}

fn name(names: Dictionary<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.span_name_bytes_max;
    names.rows_where(
        |name| name.len() > max as usize,
        |row, name| {
            verdicts.refuse(row, reason::SPAN_NAME_TOO_LONG, || {
                let (name, got) = (quoted(name), name.len());
                format!("span name {name} has {got} bytes, the limit is {max} (span_name_bytes_max)")
            });
        },
    );
}

fn attribute_count(attributes: Attributes<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.span_attributes_max;
    attributes.offsets.each_longer(max as usize, |row| {
        verdicts.refuse(row, reason::TOO_MANY_ATTRIBUTES, || {
            let got = attributes.offsets.range(row).len();
            format!("there are {got} attributes, the limit is {max} (span_attributes_max)")
        });
    });
}
