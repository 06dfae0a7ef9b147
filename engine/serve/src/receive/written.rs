//! What is stored of a request of remote write 2.0, in headers of every answer of
//! which that is known.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use isinglass_model::{Counts, ErrorKind};

use crate::problem::Problem;

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Adds the headers. A sender takes a 2xx without them for one of a receiver that
/// does not know 2.0.
pub(super) fn add(counts: &Counts, headers: &mut HeaderMap) {
    headers.insert(SAMPLES, HeaderValue::from(counts.stored_others()));
    headers.insert(HISTOGRAMS, HeaderValue::from(counts.stored_histograms));
    headers.insert(EXEMPLARS, HeaderValue::from(counts.stored_exemplars));
}

/// Adds the headers to a refusal: nothing is stored. After a timeout or a fault of
/// ours that is not known, and nothing is said.
pub(super) fn add_none(problem: &Problem, headers: &mut HeaderMap) {
    if !matches!(problem.kind, ErrorKind::Timeout | ErrorKind::Internal) {
        add(&Counts::default(), headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &HeaderMap) -> Vec<&str> {
        [SAMPLES, HISTOGRAMS, EXEMPLARS]
            .iter()
            .filter_map(|name| headers.get(name))
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    #[test]
    fn samples_histograms_exemplars() {
        let counts = Counts {
            received: 9,
            stored: 6,
            stored_histograms: 2,
            stored_exemplars: 1,
            rejected: [("label_invalid".into(), 3)].into(),
        };
        let mut headers = HeaderMap::new();
        add(&counts, &mut headers);
        assert_eq!(shown(&headers), ["3", "2", "1"]);
    }

    #[test]
    fn a_refusal_says_nothing_where_nothing_is_known() {
        for (problem, want) in [
            (Problem::malformed("x"), 3),
            (Problem::unavailable("x"), 3),
            (Problem::timeout("x"), 0),
            (Problem::internal("x"), 0),
        ] {
            let mut headers = HeaderMap::new();
            add_none(&problem, &mut headers);
            assert_eq!(shown(&headers), vec!["0"; want], "{problem:?}");
        }
    }
}
