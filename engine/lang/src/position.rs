//! Where in a text: byte offset, line and column, and a caret under it.

use std::fmt;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Byte offset, from 0.
    pub offset: usize,
}

/// Characters of a line shown around a caret.
const CARET_CHARS_MAX: usize = 100;

impl Position {
    /// The place at a byte offset; offsets past the end or inside a character
    /// are moved back to the last place that exists.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_at = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: clamp(before.bytes().filter(|byte| *byte == b'\n').count() + 1),
            column: clamp(before[line_at..].chars().count() + 1),
            offset,
        }
    }

    /// The place at a line and column, both from 1; a column past the end of
    /// its line is moved back to it.
    pub fn at(text: &str, line: u64, column: u64) -> Self {
        let skip = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut line_at = 0;
        for _ in 0..skip {
            match text[line_at..].find('\n') {
                Some(newline) => line_at += newline + 1,
                None => return Self::of(text, text.len()),
            }
        }
        let rest = &text[line_at..];
        let end = rest.find('\n').unwrap_or(rest.len());
        let chars = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
        let within = rest[..end].char_indices().nth(chars).map_or(end, |(at, _)| at);
        Self::of(text, line_at + within)
    }

    /// The line and a caret under the place, cut to a width that fits a screen:
    ///
    /// ```text
    /// SELECT * FORM logs
    ///          ^
    /// ```
    pub fn caret(&self, text: &str) -> String {
        let place = Self::of(text, self.offset);
        let line_at = text[..place.offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[line_at..].find('\n').map_or(text.len(), |newline| line_at + newline);
        let column = place.column as usize - 1;
        let skip = column.saturating_sub(CARET_CHARS_MAX / 2);
        // Control characters would move the caret away from its place.
        let shown: String = text[line_at..end]
            .chars()
            .skip(skip)
            .take(CARET_CHARS_MAX)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        format!("{}\n{}^", shown.trim_end(), " ".repeat(column - skip))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, offset: usize, line: u32, column: u32, caret: &str) {
        let place = Position::of(text, offset);
        assert_eq!((place.line, place.column), (line, column), "{text:?} at {offset}");
        assert_eq!(place.caret(text), caret, "{text:?} at {offset}");
    }

    #[test]
    fn places() {
        check("", 0, 1, 1, "\n^");
        check("SELECT x", 7, 1, 8, "SELECT x\n       ^");
        check("a\nbc\n", 3, 2, 2, "bc\n ^");
        check("a\nbc\n", 99, 3, 1, "\n^");
        check("é!", 1, 1, 1, "é!\n^");
        check("é!", 2, 1, 2, "é!\n ^");
    }

    #[test]
    fn long_lines_are_cut() {
        let text = "x".repeat(1_000);
        assert_eq!(
            Position::of(&text, 500).caret(&text),
            format!("{}\n{}^", "x".repeat(100), " ".repeat(50))
        );
    }

    proptest! {
        #[test]
        fn line_and_column_lead_back(text in "(\\PC|\n){0,60}", offset in 0_usize..300) {
            let place = Position::of(&text, offset);
            prop_assert_eq!(Position::at(&text, place.line.into(), place.column.into()), place);
            let _ = place.caret(&text);
        }

        #[test]
        fn any_line_and_column_is_taken(text in "(\\PC|\n){0,60}", line in 0_u64..70, column: u64) {
            let place = Position::at(&text, line, column);
            prop_assert!(place.offset <= text.len());
        }
    }
}
