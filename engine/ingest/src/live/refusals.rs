//! Verdicts with sentences of their own.

use isinglass_model::verdict::{RowRefusal, Verdicts};

/// Refusals of one batch; a verdict is one byte.
const REFUSALS_MAX: usize = 255;
/// Sentences of one code; what comes beyond gets a general one.
const SENTENCES_PER_CODE: usize = 16;

/// Collects the rows that are refused; all others are kept.
pub(super) struct Refusals {
    count: usize,
    verdicts: Verdicts,
}

impl Refusals {
    pub(super) fn of(count: usize) -> Self {
        Self { count, verdicts: Verdicts::default() }
    }

    #[cold]
    pub(super) fn refuse(&mut self, row: usize, code: &'static str, sentence: impl FnOnce() -> String) {
        let Verdicts { rows, refusals, .. } = &mut self.verdicts;
        rows.resize(self.count, 0);
        let of_code = refusals.iter().filter(|refusal| refusal.reason == code).count();
        let message = match of_code < SENTENCES_PER_CODE {
            true => sentence(),
            false => format!("further items are refused for {code}"),
        };
        let known = refusals.iter().position(|known| known.reason == code && known.message == message);
        let at = known.unwrap_or_else(|| {
            if refusals.len() < REFUSALS_MAX {
                let (plugin, digest) = (String::new(), String::new());
                refusals.push(RowRefusal { reason: code.into(), message, plugin, digest });
            }
            refusals.len() - 1
        });
        rows[row] = u8::try_from(at + 1).unwrap_or(u8::MAX);
    }

    pub(super) fn into_verdicts(self) -> Verdicts {
        self.verdicts
    }
}
