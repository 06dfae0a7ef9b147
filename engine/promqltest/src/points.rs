//! The notation of samples: `1+2x5 _ stale {{count:1}}x3`.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series>

use std::sync::Arc;

use isinglass_promql::Histogram;
use isinglass_promql::value::STALE;

use crate::text::number;

/// No line may stand for more points.
const POINTS_MAX: usize = 1 << 20;

/// What stands at one step.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// `_`.
    Missing,
    /// A float; `stale` is the stale marker.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// Its buckets and counts.
        histogram: Arc<Histogram>,
        /// Whether a counter-reset hint was written, so that it must be the same.
        hint_given: bool,
    },
}

/// The steps of a line, without the labels before them.
///
/// # Errors
///
/// What is wrong, in words; also more than a million points.
pub fn parse(line: &str) -> Result<Vec<Slot>, String> {
    let mut slots = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = item_end(rest)?;
        let (item, tail) = rest.split_at(end);
        expand(item, &mut slots).map_err(|fault| format!("{item:?}: {fault}"))?;
        rest = tail.trim_start();
    }
    Ok(slots)
}

/// An item ends at white space that is in no histogram.
fn item_end(text: &str) -> Result<usize, String> {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("{{") {
            at += rest.find("}}").ok_or_else(|| format!("no closing braces in {text:?}"))? + 2;
        } else if rest.starts_with(char::is_whitespace) {
            break;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    Ok(at)
}

fn expand(item: &str, slots: &mut Vec<Slot>) -> Result<(), String> {
    if let Some(rest) = item.strip_prefix('_') {
        // The one repetition that does not count the value it starts with.
        let times = if rest.is_empty() { 1 } else { repetition(rest, slots)? };
        slots.extend(std::iter::repeat_n(Slot::Missing, times));
        return Ok(());
    }
    if item == "stale" {
        slots.push(Slot::Float(STALE));
        return Ok(());
    }
    if item.starts_with("{{") { histograms(item, slots) } else { floats(item, slots) }
}

fn floats(item: &str, slots: &mut Vec<Slot>) -> Result<(), String> {
    let (mut value, rest) = number::prefix(item).ok_or("no number")?;
    let (increment, rest) = match rest.as_bytes().first() {
        None => {
            slots.push(Slot::Float(value));
            return Ok(());
        }
        Some(b'+' | b'-') => number::prefix(rest).ok_or("no increment")?,
        Some(_) => (0.0, rest),
    };
    for _ in 0..=repetition(rest, slots)? {
        slots.push(Slot::Float(value));
        value += increment;
    }
    Ok(())
}

fn histograms(item: &str, slots: &mut Vec<Slot>) -> Result<(), String> {
    let (base, hint_given, rest) = histogram(item)?;
    let slot = |histogram: &Arc<Histogram>| Slot::Histogram { histogram: Arc::clone(histogram), hint_given };
    let mut current = Arc::new(base);
    if rest.is_empty() {
        slots.push(slot(&current));
        return Ok(());
    }
    let sign = rest.as_bytes().first().copied().filter(|byte| matches!(byte, b'+' | b'-'));
    let Some(sign) = sign else {
        let times = repetition(rest, slots)? + 1;
        slots.extend(std::iter::repeat_n(slot(&current), times));
        return Ok(());
    };
    let (step, _, rest) = histogram(&rest[1..])?;
    let times = repetition(rest, slots)?;
    slots.push(slot(&current));
    for _ in 0..times {
        current = Arc::new(next(&current, &step, sign)?);
        slots.push(slot(&current));
    }
    Ok(())
}

fn next(current: &Histogram, step: &Histogram, sign: u8) -> Result<Histogram, String> {
    if current.schema > step.schema {
        return Err(format!("cannot merge from schema {} to {}", step.schema, current.schema));
    }
    let mut next = current.clone();
    let added = if sign == b'-' { next.sub(step) } else { next.add(step) };
    added.map(|_| next).map_err(|fault| fault.to_string())
}

fn histogram(text: &str) -> Result<(Histogram, bool, &str), String> {
    let end = text.find("}}").filter(|_| text.starts_with("{{")).ok_or("no histogram")? + 2;
    let (histogram, hint_given) = Histogram::parse_test(&text[..end])?;
    Ok((histogram, hint_given, &text[end..]))
}

/// `xN`: N.
fn repetition(text: &str, slots: &[Slot]) -> Result<usize, String> {
    let digits = text.strip_prefix('x').ok_or_else(|| format!("no repetition at {text:?}"))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{digits:?} is no count"));
    }
    let times: usize = digits.parse().map_err(|_| format!("{digits:?} is no count"))?;
    if times.saturating_add(slots.len()) >= POINTS_MAX {
        return Err(format!("more than {POINTS_MAX} points"));
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use isinglass_promql::histogram::ResetHint;
    use proptest::prelude::*;

    use super::*;

    /// Missing points as `None`; floats by their bits, so that NaN is itself.
    fn check(line: &str, expected: &[Option<f64>]) {
        let got: Vec<_> = parse(line)
            .unwrap()
            .into_iter()
            .map(|slot| match slot {
                Slot::Missing => None,
                Slot::Float(value) => Some(value.to_bits()),
                Slot::Histogram { .. } => panic!("a histogram in {line:?}"),
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|value| value.map(f64::to_bits)).collect();
        assert_eq!(got, expected, "{line:?}");
    }

    #[test]
    fn floats_of_every_notation() {
        check("", &[]);
        check("5", &[Some(5.0)]);
        check("1 -2\t+3.5", &[Some(1.0), Some(-2.0), Some(3.5)]);
        check("_", &[None]);
        check("_x3 1", &[None, None, None, Some(1.0)]);
        check("stale", &[Some(STALE)]);
        check("1+2x3", &[Some(1.0), Some(3.0), Some(5.0), Some(7.0)]);
        check("1-2x2", &[Some(1.0), Some(-1.0), Some(-3.0)]);
    }

    #[test]
    fn repeated_floats() {
        check("7x2", &[Some(7.0); 3]);
        check("0x1", &[Some(0.0); 2]);
        check("NaNx1", &[Some(f64::NAN); 2]);
        check("Inf -Inf +Inf", &[Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(f64::INFINITY)]);
        check("1e2+1e1x1", &[Some(100.0), Some(110.0)]);
        check("0+0.1x3", &[Some(0.0), Some(0.1), Some(0.2), Some(0.1 + 0.1 + 0.1)]);
    }

    fn sums(line: &str) -> Vec<f64> {
        let sum = |slot| match slot {
            Slot::Histogram { histogram, .. } => histogram.sum,
            other => panic!("{other:?}"),
        };
        parse(line).unwrap().into_iter().map(sum).collect()
    }

    #[test]
    fn histograms_of_every_notation() {
        assert_eq!(sums("{{}}"), [0.0]);
        assert_eq!(sums("{{sum:2 count:1}}x2"), [2.0; 3]);
        assert_eq!(sums("{{sum:2 count:1}}+{{sum:3 count:1}}x2 {{sum:1}}"), [2.0, 5.0, 8.0, 1.0]);
        assert_eq!(sums("{{sum:9 count:3}}-{{sum:3 count:1}}x2"), [9.0, 6.0, 3.0]);
        assert_eq!(sums("{{schema:-53 sum:1 custom_values:[5 10] buckets:[1 2 ]}}"), [1.0]);
    }

    #[test]
    fn a_hint_counts_only_where_it_is_written() {
        for (line, expected, hint) in [
            ("{{sum:1}}", false, ResetHint::Unknown),
            ("{{sum:1 counter_reset_hint:gauge}}", true, ResetHint::Gauge),
            ("{{sum:1 counter_reset_hint:unknown}}", true, ResetHint::Unknown),
        ] {
            match &parse(line).unwrap()[..] {
                [Slot::Histogram { histogram, hint_given }] => {
                    assert_eq!((*hint_given, histogram.reset_hint), (expected, hint), "{line:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_notation() {
        for wrong in [
            "x",
            "1x",
            "1+x2",
            "1+2",
            "1x-1",
            "1x+1",
            "_5",
            "_x",
            "stalex2",
            "1,2",
            "1+-2x0",
            "{{}",
            "{{}}+1x2",
            "{{}}+{{}}",
            "{{what:1}}",
            "1x99999999999",
            "1x1048576",
            "{{schema:1}}+{{schema:0}}x1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "[ _xstale0-9+.{}:\\[\\]sumcoNInfé-]{0,40}") {
            let _slots = parse(&line);
        }
    }
}
