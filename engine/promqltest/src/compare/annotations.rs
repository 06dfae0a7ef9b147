//! Errors, warnings and infos.

use crate::backend::Answer;
use crate::script::{Annotations, Expectation, TextMatch};

/// Whether an error is the one that is expected.
///
/// # Errors
///
/// What differs, in words.
pub fn check_error(expected: &TextMatch, error: &str) -> Result<(), String> {
    if expected.matches(error) {
        return Ok(());
    }
    Err(format!("expected an error with {expected}, got {error:?}"))
}

/// Whether the warnings and infos of an answer are those that are expected.
///
/// # Errors
///
/// What differs, in words.
pub fn check_annotations(expectation: &Expectation, answer: &Answer) -> Result<(), String> {
    check("warning", &expectation.warnings, &answer.warnings)?;
    check("info", &expectation.infos, &answer.infos)
}

fn check(kind: &str, expected: &Annotations, got: &[String]) -> Result<(), String> {
    let all = match expected {
        Annotations::Ignored => return Ok(()),
        Annotations::None if got.is_empty() => return Ok(()),
        Annotations::None => return Err(format!("expected no {kind}, got {got:?}")),
        Annotations::Matching(all) => all,
    };
    if let Some(missing) = all.iter().find(|expected| !got.iter().any(|text| expected.matches(text))) {
        return Err(format!("expected a {kind} with {missing}, got {got:?}"));
    }
    match got.iter().find(|text| !all.iter().any(|expected| expected.matches(text))) {
        Some(surplus) => Err(format!("unexpected {kind} {surplus:?}")),
        None => Ok(()),
    }
}
