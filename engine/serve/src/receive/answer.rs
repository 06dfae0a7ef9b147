//! What a sender is told about its request, in the words of its protocol.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use isinglass_ingest::Outcome;
use isinglass_model::counts::truncate_text;
use isinglass_model::reason::is_dropped;
use isinglass_store::Durability;

use crate::problem::one_line;
use crate::rpc::{ExportResponse, PartialSuccess};

/// What "stored" means: `sync`, `interval:<ms>` or `os`.
const DURABILITY: &str = "x-isinglass-durability";
/// There, with `true`, when this batch was stored before and is not stored again.
const DUPLICATE: &str = "x-isinglass-duplicate";
/// Prometheus keeps 1,024 bytes of an error, Loki's clients about as much.
const TEXT_BYTES_MAX: usize = 1_000;

/// Headers that every answer to a write has.
pub(super) fn headers(outcome: &Outcome, headers: &mut HeaderMap) {
    let durability = match outcome.durability {
        Durability::Sync => HeaderValue::from_static("sync"),
        Durability::Os => HeaderValue::from_static("os"),
        // Digits and a colon: always a header value.
        interval => HeaderValue::from_str(&interval.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("interval")),
    };
    headers.insert(DURABILITY, durability);
    if outcome.duplicate {
        headers.insert(DUPLICATE, HeaderValue::from_static("true"));
    }
}

/// The answer of remote write and Loki push: 204 if nothing is refused, else 400
/// with what is stored and the first faults. 400 makes the sender drop the
/// batch, which is right: what could be stored is stored.
pub(super) fn plain(outcome: &Outcome) -> Response {
    let mut response = Response::default();
    headers(outcome, response.headers_mut());
    if outcome.counts.refused_total() == 0 {
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    *response.body_mut() = format!("{}\n", rejected_text(outcome)).into();
    response
}

/// The answer of OTLP: partial success if something is not stored.
pub(super) fn export(outcome: &Outcome) -> ExportResponse {
    let rejected = outcome.counts.refused_total();
    ExportResponse {
        partial_success: (rejected > 0).then(|| PartialSuccess {
            rejected: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: rejected_text(outcome),
        }),
    }
}

/// One line: how many of how many are stored, then the faults.
fn rejected_text(outcome: &Outcome) -> String {
    let counts = &outcome.counts;
    let mut text = format!(
        "stored {} of {} items, rejected {}: {}",
        counts.stored,
        counts.received,
        counts.refused_total(),
        one_line(&faults(outcome))
    );
    truncate_text(&mut text, TEXT_BYTES_MAX);
    text
}

/// The faults; of a repeated batch only its counts are remembered.
fn faults(outcome: &Outcome) -> String {
    if !outcome.faults.is_empty() {
        return outcome.fault_text();
    }
    let reasons: Vec<String> = outcome
        .counts
        .rejected
        .iter()
        .filter(|(reason, _)| !is_dropped(reason))
        .map(|(reason, items)| format!("{reason} ({items} items)"))
        .collect();
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use isinglass_ingest::Fault;
    use isinglass_model::Counts;

    use super::*;

    fn outcome(rejected: &[(&'static str, u64)]) -> Outcome {
        let total: u64 = rejected.iter().map(|(_, items)| items).sum();
        Outcome {
            counts: Counts {
                received: 10,
                stored: 10 - total,
                rejected: rejected.iter().map(|(reason, items)| ((*reason).into(), *items)).collect(),
                ..Counts::default()
            },
            faults: rejected
                .iter()
                .map(|(reason, items)| Fault {
                    reason: (*reason).into(),
                    message: format!("about {reason}\nin two lines"),
                    items: *items,
                })
                .collect(),
            duplicate: false,
            durability: Durability::Sync,
        }
    }

    #[test]
    fn all_stored() {
        let response = plain(&outcome(&[]));
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()[DURABILITY], "sync");
        assert_eq!(export(&outcome(&[])), ExportResponse::default());
    }

    #[test]
    fn the_level_of_durability_is_told() {
        for (durability, text) in
            [(Durability::Sync, "sync"), (Durability::Interval(250), "interval:250"), (Durability::Os, "os")]
        {
            let response = plain(&Outcome { durability, ..outcome(&[]) });
            assert_eq!(response.headers()[DURABILITY], text);
        }
    }

    #[test]
    fn some_rejected() {
        let outcome = outcome(&[("label_invalid", 2), ("line_too_long", 1)]);
        let response = plain(&outcome);
        assert_eq!(response.status(), 400);
        let text = rejected_text(&outcome);
        assert!(text.starts_with("stored 7 of 10 items, rejected 3: label_invalid"), "{text}");
        assert!(text.contains("line_too_long"), "{text}");
        assert!(!text.contains('\n'), "{text}");
        let partial = export(&outcome).partial_success.unwrap();
        assert_eq!((partial.rejected, partial.error_message), (3, text));
    }

    #[test]
    fn a_repeat_is_told_the_counts() {
        let outcome = Outcome { faults: Vec::new(), duplicate: true, ..outcome(&[("label_invalid", 2)]) };
        assert_eq!(plain(&outcome).headers()[DUPLICATE], "true");
        assert_eq!(rejected_text(&outcome), "stored 8 of 10 items, rejected 2: label_invalid (2 items)");
    }

    #[test]
    fn long_faults_are_cut() {
        let mut outcome = outcome(&[("label_invalid", 2)]);
        outcome.faults[0].message = "é".repeat(2_000);
        assert!(rejected_text(&outcome).len() <= TEXT_BYTES_MAX);
    }
}
