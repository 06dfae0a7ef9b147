//! What was expected against what was said, as lines for a person.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Answer;
use super::case::{Delta, Take, Verdict, Wanted};
use super::halves::halves;
use super::transformed::Left;

/// What differs; empty = nothing.
pub(super) fn wanted(wanted: &Wanted, got: &Answer) -> Vec<String> {
    match (wanted, got) {
        (Wanted::Rows(wanted), Answer::Rows(got)) => rows(wanted, got),
        (Wanted::Verdicts(wanted), Answer::Verdicts(got)) => verdicts(wanted, got),
        (Wanted::Plan { plan, .. }, Answer::Plan(got)) => takes(plan, got),
        (
            Wanted::Derived { deltas: wanted, halves: wanted_halves, pairs: wanted_pairs },
            Answer::Derived { deltas: got, halves: got_halves, pairs: got_pairs },
        ) => {
            let mut lines = series("series", wanted, got);
            lines.extend(wanted_halves.iter().flat_map(|wanted| halves(wanted, got_halves)));
            let pairs = |wanted: &Vec<Delta>| series("pairs: series", wanted, got_pairs);
            lines.extend(wanted_pairs.iter().flat_map(pairs));
            lines
        }
        _ => vec!["the answer is of another world".to_owned()],
    }
}

/// What differs between two answers to the same rows.
pub(super) fn answers(first: &Answer, other: &Answer) -> Vec<String> {
    match (first, other) {
        (Answer::Rows(first), Answer::Rows(other)) => rows(first, other),
        (Answer::Verdicts(first), Answer::Verdicts(other)) => verdicts(first, other),
        (Answer::Plan(first), Answer::Plan(other)) => takes(first, other),
        (
            Answer::Derived { deltas, halves: first_halves, pairs },
            Answer::Derived { deltas: others, halves: other_halves, pairs: other_pairs },
        ) => {
            let mut lines = series("series", deltas, others);
            lines.extend(halves(first_halves, other_halves));
            lines.extend(series("pairs: series", pairs, other_pairs));
            lines
        }
        _ => vec!["the answer is of another world".to_owned()],
    }
}

pub(super) fn line(what: &str, wanted: impl std::fmt::Display, got: impl std::fmt::Display) -> String {
    format!("{what}\n    expected  {wanted}\n    got       {got}")
}

fn verdicts(wanted: &[Verdict], got: &[Verdict]) -> Vec<String> {
    let differ = |wanted: &Verdict, got: &Verdict| match (wanted, got) {
        (Verdict::Refuse { code, message: None }, Verdict::Refuse { code: got, .. }) => code != got,
        _ => wanted != got,
    };
    let rows = wanted.iter().zip(got).enumerate().filter(|(_, (wanted, got))| differ(wanted, got));
    rows.map(|(row, (wanted, got))| line(&format!("verdict of row {}", row + 1), said(wanted), said(got)))
        .collect()
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Keep => "keep".to_owned(),
        Verdict::Refuse { code, message: None } => code.clone(),
        Verdict::Refuse { code, message: Some(message) } => format!("{code}: {message}"),
    }
}

fn rows(wanted: &[Left], got: &[Left]) -> Vec<String> {
    let each = wanted.iter().zip(got).enumerate();
    each.flat_map(|(row, (wanted, got))| row_lines(&format!("row {}", row + 1), wanted, got)).collect()
}

fn row_lines(row: &str, wanted: &Left, got: &Left) -> Vec<String> {
    match (wanted, got) {
        (Left::Row(wanted), Left::Row(got)) => {
            let fields: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
            let differ = fields.into_iter().filter(|field| wanted.get(*field) != got.get(*field));
            let value = |of: &BTreeMap<String, String>, field| {
                of.get(field).map_or("nothing", |value| value).to_owned()
            };
            differ
                .map(|field| line(&format!("{field} of {row}"), value(wanted, field), value(got, field)))
                .collect()
        }
        (Left::Gone { reason, message: None }, Left::Gone { reason: got, .. }) if reason == got => Vec::new(),
        _ if wanted == got => Vec::new(),
        _ => vec![line(row, left(wanted), left(got))],
    }
}

fn left(of: &Left) -> String {
    match of {
        Left::Row(_) => "goes on".to_owned(),
        Left::Gone { reason, message: None } => reason.clone(),
        Left::Gone { reason, message: Some(message) } => format!("{reason}: {message}"),
    }
}

/// Entries of both sides by key, and the fields of those that are on both.
pub(super) fn by_key<T>(
    what: &str,
    wanted: &[T],
    got: &[T],
    key: impl Fn(&T) -> String,
    fields: impl Fn(&T, &T) -> Vec<(&'static str, String, String)>,
) -> Vec<String> {
    let mut sides: BTreeMap<String, (Option<&T>, Option<&T>)> = BTreeMap::new();
    wanted.iter().for_each(|entry| sides.entry(key(entry)).or_default().0 = Some(entry));
    got.iter().for_each(|entry| sides.entry(key(entry)).or_default().1 = Some(entry));
    let mut lines = Vec::new();
    for (key, sides) in sides {
        match sides {
            (Some(wanted), Some(got)) => {
                let differ = fields(wanted, got).into_iter().filter(|(_, wanted, got)| wanted != got);
                lines.extend(
                    differ.map(|(field, wanted, got)| line(&format!("{field} of {what} {key}"), wanted, got)),
                );
            }
            (Some(_), None) => lines.push(line(&format!("{what} {key}"), "it", "nothing")),
            (None, Some(_)) => lines.push(line(&format!("{what} {key}"), "nothing", "it")),
            (None, None) => {}
        }
    }
    lines
}

/// Sums of floats depend a little on their order.
pub(super) fn rounded(value: f64) -> String {
    format!("{}", format!("{value:.12e}").parse::<f64>().unwrap_or(value))
}

pub(super) fn takes(wanted: &[Take], got: &[Take]) -> Vec<String> {
    by_key(
        "bucket",
        wanted,
        got,
        |take| format!("{:?}", take.bucket),
        |wanted, got| {
            let field = |name, of: fn(&Take) -> f64| (name, rounded(of(wanted)), rounded(of(got)));
            vec![
                field("rate_per_second", |take| take.rate_per_second),
                field("burst", |take| take.burst),
                field("cost", |take| take.cost),
            ]
        },
    )
}

fn series(what: &str, wanted: &[Delta], got: &[Delta]) -> Vec<String> {
    let key = |delta: &Delta| {
        let labels: Vec<_> = delta.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{}{{{}}}", delta.metric, labels.join(", "))
    };
    by_key(what, wanted, got, key, |wanted, got| {
        let buckets = |delta: &Delta| {
            let counts: Vec<_> = delta.buckets.iter().map(|count| rounded(*count)).collect();
            format!("[{}]", counts.join(", "))
        };
        vec![("value", rounded(wanted.value), rounded(got.value)), ("buckets", buckets(wanted), buckets(got))]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(message: Option<&str>) -> Verdict {
        Verdict::Refuse { code: "no".to_owned(), message: message.map(str::to_owned) }
    }

    #[test]
    fn a_message_counts_only_where_it_is_expected() {
        let check = |wanted: Verdict, got: Verdict, lines: usize| {
            assert_eq!(verdicts(&[wanted], &[got]).len(), lines);
        };
        check(refuse(None), refuse(Some("because")), 0);
        check(refuse(Some("because")), refuse(Some("because")), 0);
        check(refuse(Some("why")), refuse(Some("because")), 1);
        check(Verdict::Keep, refuse(Some("because")), 1);
        check(refuse(None), Verdict::Keep, 1);
    }

    #[test]
    fn what_is_left_of_a_row_is_compared_by_field() {
        let row = |fields: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Left::Row(fields.iter().map(own).collect())
        };
        let gone = |message: Option<&str>| Left::Gone {
            reason: "dropped:x".into(),
            message: message.map(str::to_owned),
        };
        let lines = rows(&[row(&[("a", "1"), ("b", "2")])], &[row(&[("b", "3"), ("c", "4")])]);
        assert_eq!(lines[0], "a of row 1\n    expected  1\n    got       nothing");
        assert_eq!((lines.len(), rows(&[row(&[])], &[row(&[])]).len()), (3, 0));
        assert!(rows(&[gone(None)], &[gone(Some("why"))]).is_empty());
        assert_eq!(rows(&[gone(Some("because"))], &[gone(Some("why"))]).len(), 1);
        assert_eq!(
            rows(&[row(&[])], &[gone(None)])[0],
            "row 1\n    expected  goes on\n    got       dropped:x"
        );
    }

    #[test]
    fn differences_name_field_and_both_sides() {
        let take =
            |bucket: &str, cost: f64| Take { bucket: bucket.into(), rate_per_second: 1.0, burst: 2.0, cost };
        let lines = takes(&[take("a", 1.0), take("b", 1.0)], &[take("b", 2.0), take("c", 1.0)]);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "cost of bucket \"b\"\n    expected  1\n    got       2");
        assert!(takes(&[take("a", 0.3)], &[take("a", 0.1 + 0.2)]).is_empty());
        let delta = |value| Delta {
            metric: "m".into(),
            labels: [("a".into(), "b".into())].into(),
            value,
            buckets: vec![],
        };
        assert_eq!(
            series("series", &[delta(1.0)], &[delta(2.0)])[0].lines().next(),
            Some("value of series m{a=\"b\"}")
        );
    }
}
