//! Start timestamps: `metric{…}@st -30s-1mx2 _ 0`.
//!
//! A start timestamp says since when a sample counts. It is written as an offset from the time of
//! the sample, one for each step.

use crate::text::duration;

/// No line may stand for more offsets.
const OFFSETS_MAX: usize = 1 << 20;

/// Offsets by step in milliseconds; `None` where there is none.
pub type Offsets = Vec<Option<i64>>;

/// The two halves of a line of start timestamps: its label set, empty for those of all series, and
/// its offsets. `None` for any other line.
pub fn split(line: &str) -> Option<(&str, &str)> {
    let (head, offsets) = line.split_once([' ', '\t'])?;
    Some((head.strip_suffix("@st")?, offsets))
}

/// Offsets from a text such as `_ -30s-1mx2 0`; `*` is the one before again.
///
/// # Errors
///
/// What is wrong, in words; also more than a million offsets.
pub fn parse(text: &str) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for item in text.split_whitespace() {
        expand(item, &mut offsets).map_err(|fault| format!("{item:?}: {fault}"))?;
    }
    Ok(offsets)
}

fn expand(item: &str, offsets: &mut Offsets) -> Result<(), String> {
    if let Some(rest) = item.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { repetition(rest, offsets)? };
        if times == 0 {
            return Err("no step at all".to_owned());
        }
        offsets.extend(std::iter::repeat_n(None, times));
        return Ok(());
    }
    let (mut offset, rest) = match item.strip_prefix('*') {
        Some(rest) => (offsets.iter().rev().find_map(|offset| *offset).unwrap_or_default(), rest),
        None => duration::signed_prefix(item)?,
    };
    let (increment, rest) = match rest.as_bytes().first() {
        None => {
            offsets.push(Some(offset));
            return Ok(());
        }
        Some(b'+' | b'-') if !item.starts_with('*') => duration::signed_prefix(rest)?,
        Some(_) => (0, rest),
    };
    for _ in 0..=repetition(rest, offsets)? {
        offsets.push(Some(offset));
        offset = offset.saturating_add(increment);
    }
    Ok(())
}

fn repetition(text: &str, offsets: &Offsets) -> Result<usize, String> {
    let digits = text.strip_prefix('x').ok_or_else(|| format!("no repetition at {text:?}"))?;
    let times: usize = digits.parse().map_err(|_| format!("{digits:?} is no count"))?;
    if times.saturating_add(offsets.len()) >= OFFSETS_MAX {
        return Err(format!("more than {OFFSETS_MAX} offsets"));
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        let check = |text: &str, expected: &[Option<i64>]| {
            assert_eq!(parse(text).as_deref(), Ok(expected), "{text:?}");
        };
        check("_ -1m", &[None, Some(-60_000)]);
        check("_x2 0", &[None, None, Some(0)]);
        check("-30s-1mx2", &[Some(-30_000), Some(-90_000), Some(-150_000)]);
        check("-59999msx1", &[Some(-59_999); 2]);
        check("-0msx2", &[Some(0); 3]);
        check("1ms+1msx1", &[Some(1), Some(2)]);
        check("-5s _ * *x1", &[Some(-5000), None, Some(-5000), Some(-5000), Some(-5000)]);
        for wrong in ["5", "-", "_x0", "_y", "1m1", "1m+1m", "1mx", "1h1mx1x", "*+1mx1", "1mx9999999"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lines_of_start_timestamps() {
        assert_eq!(split(r#"m{a="b"}@st _ -1m"#), Some((r#"m{a="b"}"#, "_ -1m")));
        assert_eq!(split("@st -1m"), Some(("", "-1m")));
        assert_eq!(split("m 1 2"), None);
        assert_eq!(split("m"), None);
    }
}
