//! What a validator answers.

/// Reasons of one batch; a verdict is one byte.
const REASONS_MAX: usize = 255;
/// Messages of one code; beyond that a general one is used.
const MESSAGES_PER_CODE: usize = 16;

/// Why rows are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Lower-case words with underscores, at most 64 bytes.
    pub code: &'static str,
    /// One sentence: which field, which limit.
    pub message: String,
}

/// Collects the rows that are refused; all others are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    count: usize,
    rows: Vec<u8>,
    reasons: Vec<Reason>,
}

impl Verdicts {
    /// Keeps all of `rows` rows so far.
    pub fn of(rows: usize) -> Self {
        Self { count: rows, ..Self::default() }
    }

    /// Refuses a row. The first refusal of a row stands. `message` is only
    /// called if it is needed.
    #[cold]
    pub fn refuse(&mut self, row: usize, code: &'static str, message: impl FnOnce() -> String) {
        if !self.is_refused(row) {
            let message = if self.has_room(code) { message() } else { general(code) };
            self.set(row, code, message);
        }
    }

    /// Whether a row is refused.
    pub fn is_refused(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|verdict| *verdict != 0)
    }

    /// The reason a row is refused for.
    pub fn reason_of(&self, row: usize) -> Option<&Reason> {
        let number = usize::from(*self.rows.get(row)?);
        self.reasons.get(number.checked_sub(1)?)
    }

    /// One byte per row, 0 = keep; empty if all are kept.
    pub fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// The reasons that occur.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Of bytes and reasons made elsewhere. The host checks them.
    pub fn from_parts(rows: Vec<u8>, reasons: Vec<Reason>) -> Self {
        Self { count: rows.len(), rows, reasons }
    }

    /// The bytes and reasons for the host.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Reason>) {
        (self.rows, self.reasons)
    }

    /// A code has a bounded number of messages, so that input cannot make the
    /// table overflow.
    #[inline(never)]
    fn has_room(&self, code: &str) -> bool {
        self.reasons.iter().filter(|reason| reason.code == code).count() < MESSAGES_PER_CODE
    }

    #[inline(never)]
    fn set(&mut self, row: usize, code: &'static str, message: String) {
        if self.rows.is_empty() {
            self.rows = vec![0; self.count];
        }
        let known = self.reasons.iter().position(|reason| reason.code == code && reason.message == message);
        let at = known.unwrap_or_else(|| {
            if self.reasons.len() < REASONS_MAX {
                self.reasons.push(Reason { code, message });
            }
            self.reasons.len() - 1
        });
        self.rows[row] = u8::try_from(at + 1).unwrap_or(u8::MAX);
    }
}

#[inline(never)]
fn general(code: &str) -> String {
    ["further items are refused for ", code].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_stands() {
        let mut verdicts = Verdicts::of(3);
        verdicts.refuse(1, "a", || "first".into());
        verdicts.refuse(1, "b", || unreachable!());
        verdicts.refuse(2, "a", || "first".into());
        assert_eq!(verdicts.rows(), [0, 1, 1]);
        assert_eq!(verdicts.reasons(), [Reason { code: "a", message: "first".into() }]);
    }

    #[test]
    fn nothing_refused_costs_nothing() {
        let (rows, reasons) = Verdicts::of(1_000_000).into_parts();
        assert_eq!((rows.capacity(), reasons.capacity()), (0, 0));
    }

    #[test]
    fn messages_are_bounded() {
        const CODES: [&str; 20] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
            "t",
        ];
        let mut verdicts = Verdicts::of(CODES.len() * 100);
        for (row, code) in CODES.iter().flat_map(|code| [code; 100]).enumerate() {
            verdicts.refuse(row, code, || row.to_string());
        }
        assert_eq!(verdicts.reasons().len(), REASONS_MAX);
        assert!(verdicts.rows().iter().all(|verdict| *verdict != 0));
        assert_eq!(
            verdicts.reason_of(50).map(|reason| &*reason.message),
            Some("further items are refused for a")
        );
    }
}
