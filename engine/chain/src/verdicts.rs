//! What validators answer: checked, then merged.

use isinglass_model::reason::code;
use isinglass_model::verdict::{RowRefusal, Verdicts};

use crate::abi::{ReasonOut, VerdictsOut};
use crate::failure::{Failure, shorten};
use crate::plugin::Plugin;
use crate::shown::Shown;

/// Refusals in one answer; rows point to them with one byte.
const REFUSALS_MAX: usize = 255;

const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 1 << 10;

/// Checks the answer to a call of `rows` rows. `None` = every row is kept.
pub(crate) fn check(out: VerdictsOut, rows: usize) -> Result<Option<VerdictsOut>, Failure> {
    if !out.rows.is_empty() && out.rows.len() != rows {
        return Err(Failure::contract(format!("{} verdicts for {rows} rows", out.rows.len())));
    }
    if out.reasons.len() > REFUSALS_MAX {
        return Err(Failure::contract(format!("{} reasons, the limit is {REFUSALS_MAX}", out.reasons.len())));
    }
    for reason in &out.reasons {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if reason.code.is_empty() || reason.code.len() > CODE_BYTES_MAX || !reason.code.chars().all(word) {
            let shown = shorten(&reason.code);
            return Err(Failure::contract(format!("reason code {shown:?} is not 1 to 64 of a-z 0-9 _")));
        }
        if reason.message.len() > MESSAGE_BYTES_MAX {
            let got = reason.message.len();
            return Err(Failure::contract(format!(
                "a message of {got} bytes, the limit is {MESSAGE_BYTES_MAX}"
            )));
        }
    }
    // One pass without branches: nearly always all zero.
    let highest = out.rows.iter().fold(0, |highest, row| highest.max(*row));
    if usize::from(highest) > out.reasons.len() {
        let got = out.reasons.len();
        return Err(Failure::contract(format!("a row points to reason {highest} of {got}")));
    }
    Ok((highest > 0).then_some(out))
}

/// Who refused.
pub(crate) struct Author<'a> {
    /// Name of the binding.
    pub(crate) rule: &'a str,
    pub(crate) plugin: &'a str,
    pub(crate) digest: &'a str,
}

impl<'a> Author<'a> {
    pub(crate) fn of(plugin: &'a Plugin) -> Self {
        Self { rule: &plugin.binding, plugin: &plugin.plugin, digest: &plugin.component.digest }
    }

    fn refusal(&self, reason: &ReasonOut) -> RowRefusal {
        RowRefusal {
            reason: reason.code.clone().into(),
            message: reason.message.clone(),
            plugin: self.plugin.to_owned(),
            digest: self.digest.to_owned(),
            rule: self.rule.to_owned(),
        }
    }
}

/// Adds an answer to what earlier validators said. A row keeps its first
/// refusal. Calls `refused` with the code and number of rows newly refused.
pub(crate) fn merge(
    verdicts: &mut Verdicts,
    batch_rows: usize,
    cut: &Shown,
    out: &VerdictsOut,
    author: &Author<'_>,
    mut refused: impl FnMut(&ReasonOut, u64),
) {
    verdicts.rows.resize(batch_rows, 0);
    let mut index_of: Vec<Option<u8>> = vec![None; out.reasons.len()];
    let mut counts = vec![0_u64; out.reasons.len()];
    let refusals = &mut verdicts.refusals;
    let mut refuse = |row: &mut u8, verdict: u8| {
        let Some(reason) = usize::from(verdict).checked_sub(1).filter(|_| *row == 0) else { return };
        *row = *index_of[reason].get_or_insert_with(|| index(refusals, author.refusal(&out.reasons[reason])));
        counts[reason] += 1;
    };
    match cut.rows() {
        Ok(rows) => {
            verdicts.rows[rows].iter_mut().zip(&out.rows).for_each(|(row, verdict)| refuse(row, *verdict));
        }
        Err(picked) => {
            let pairs = picked.iter().zip(&out.rows);
            pairs.for_each(|(row, verdict)| refuse(&mut verdicts.rows[*row as usize], *verdict));
        }
    }
    for (reason, count) in out.reasons.iter().zip(counts).filter(|(_, count)| *count > 0) {
        refused(reason, count);
    }
}

/// The one-byte index of a refusal, which is added if it is new. When all
/// indexes are taken, one of the same code stands in for it; the last index is
/// kept for codes that find none.
fn index(refusals: &mut Vec<RowRefusal>, refusal: RowRefusal) -> u8 {
    let same = |other: &RowRefusal| *other == refusal;
    let alike = |other: &RowRefusal| other.reason == refusal.reason && other.plugin == refusal.plugin;
    let at = match refusals.iter().position(same) {
        Some(at) => at,
        None if refusals.len() < REFUSALS_MAX - 1 => {
            refusals.push(refusal);
            refusals.len() - 1
        }
        None => match refusals.iter().position(alike) {
            Some(at) => at,
            None if refusals.len() < REFUSALS_MAX => {
                refusals.push(refusal);
                REFUSALS_MAX - 1
            }
            None => REFUSALS_MAX - 1,
        },
    };
    u8::try_from(at + 1).unwrap_or(u8::MAX)
}

/// Refuses every row that it is shown and that is not refused yet, because a plugin failed
/// whose policy is `reject`. Says how many.
pub(crate) fn refuse_rest(
    verdicts: &mut Verdicts,
    rows: usize,
    shown: &Shown,
    author: &Author<'_>,
    failure: &Failure,
) -> u64 {
    let refusal = RowRefusal {
        reason: code::PLUGIN_ERROR.into(),
        message: format!("plugin {} failed ({})", author.plugin, failure.kind.as_str()),
        plugin: author.plugin.to_owned(),
        digest: author.digest.to_owned(),
        rule: author.rule.to_owned(),
    };
    let refusal = index(&mut verdicts.refusals, refusal);
    verdicts.rows.resize(rows, 0);
    let mut refused = 0;
    for row in shown.iter() {
        let verdict = &mut verdicts.rows[row];
        if *verdict == 0 {
            *verdict = refusal;
            refused += 1;
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[u8], codes: &[&str]) -> VerdictsOut {
        let reason = |code: &&str| ReasonOut { code: (*code).to_owned(), message: format!("because {code}") };
        VerdictsOut { rows: rows.to_vec(), reasons: codes.iter().map(reason).collect() }
    }

    fn check_fault(out: VerdictsOut, fault: &str) {
        let failure = check(out, 3).unwrap_err();
        assert!(failure.message.contains(fault), "{failure}");
    }

    #[test]
    fn answers_are_checked() {
        assert!(check(answer(&[], &["unused"]), 3).unwrap().is_none());
        assert!(check(answer(&[0, 0, 0], &[]), 3).unwrap().is_none());
        assert!(check(answer(&[0, 1, 2], &["a", "b"]), 3).unwrap().is_some());
        check_fault(answer(&[0, 0], &[]), "2 verdicts for 3 rows");
        check_fault(answer(&[0, 0, 1], &[]), "a row points to reason 1 of 0");
        check_fault(answer(&[0, 0, 3], &["a", "b"]), "a row points to reason 3 of 2");
        check_fault(answer(&[], &["Not A Word"]), "is not 1 to 64 of");
        check_fault(answer(&[], &[""]), "is not 1 to 64 of");
        check_fault(answer(&[], &["a"; 256]), "256 reasons");
        let mut long = answer(&[], &["a"]);
        long.reasons[0].message = "x".repeat(1_025);
        check_fault(long, "a message of 1025 bytes");
    }

    fn merged(answers: &[VerdictsOut]) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for out in answers {
            merge(
                &mut verdicts,
                3,
                &(0..3).into(),
                out,
                &Author { rule: "r", plugin: "p@1", digest: "d" },
                |_, _| {},
            );
        }
        verdicts
    }

    #[test]
    fn the_first_refusal_of_a_row_wins() {
        let verdicts = merged(&[answer(&[0, 1, 0], &["first"]), answer(&[1, 1, 0], &["second"])]);
        assert_eq!(verdicts.rows, [2, 1, 0]);
        assert_eq!(verdicts.refusal(0).unwrap().reason, "second");
        assert_eq!(verdicts.refusal(1).unwrap().reason, "first");
        assert_eq!(verdicts.refusal(2), None);
    }

    #[test]
    fn what_was_refused_before_keeps_its_reason() {
        let mut verdicts = merged(&[answer(&[0, 1, 0], &["first"])]);
        let author = Author { rule: "r", plugin: "q@1", digest: "" };
        let failure = Failure::new(crate::failure::FailureKind::Time, "");
        assert_eq!(refuse_rest(&mut verdicts, 3, &Shown::all(3), &author, &failure), 2);
        assert_eq!(verdicts.rows, [2, 1, 2]);
        assert_eq!(verdicts.refusal(0).unwrap().message, "plugin q@1 failed (time)");
    }

    #[test]
    fn equal_refusals_share_an_index() {
        let verdicts = merged(&[answer(&[1, 0, 0], &["same"]), answer(&[0, 2, 1], &["same", "same"])]);
        assert_eq!(verdicts.rows, [1, 1, 1]);
    }

    #[test]
    fn more_refusals_than_indexes_keep_their_code_where_possible() {
        let codes: Vec<String> = (0..200).map(|n| format!("a{n}")).collect();
        let many: Vec<&str> = codes.iter().map(String::as_str).collect();
        let mut verdicts = Verdicts::default();
        for plugin in ["p@1", "q@1"] {
            let out = VerdictsOut { rows: (1..=200).collect(), reasons: answer(&[], &many).reasons };
            let cut = if plugin == "p@1" { 0..200 } else { 200..400 };
            merge(
                &mut verdicts,
                400,
                &cut.into(),
                &out,
                &Author { rule: "r", plugin, digest: "" },
                |_, _| {},
            );
        }
        assert_eq!(verdicts.refusals.len(), 255);
        assert!(verdicts.rows.iter().all(|row| *row != 0));
        assert_eq!(verdicts.refusal(199).unwrap().reason, "a199");
        assert_eq!(verdicts.refusal(253).unwrap().reason, "a53");
    }
}
