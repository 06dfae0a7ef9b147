//! Matchers against a naive model: every matcher asked of every series.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::Fingerprint;
use proptest::prelude::*;

use super::table::SeriesTable;
use super::{MatchOp, Matcher, SeriesIndex, SeriesLimits};
use crate::StoreError;

fn set(labels: &[(String, String)]) -> LabelSet {
    let mut labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    labels.sort_unstable();
    labels.dedup_by_key(|(name, _)| *name);
    LabelSet::new(&mut labels, Temporality::Unspecified).unwrap()
}

fn texts(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn index(sets: &[LabelSet]) -> SeriesIndex {
    let table = SeriesTable::new(7, 1_000_000);
    for (id, labels) in (0..).zip(sets) {
        table.restore(id, labels.clone());
    }
    SeriesIndex { table: Arc::new(table) }
}

/// Prometheus' definition, with nothing clever about it. The expressions are some that mean
/// the same to RE2 and to the crate `regex`.
fn naive(sets: &[LabelSet], matchers: &[Matcher]) -> Vec<i64> {
    let mut wanted: Vec<i64> = (0..).take(sets.len()).collect();
    for matcher in matchers {
        let expression = regex::Regex::new(&format!("^(?s:{})$", matcher.value));
        let holds = |value: &str| match matcher.op {
            MatchOp::Equal => value == matcher.value,
            MatchOp::NotEqual => value != matcher.value,
            MatchOp::Regex => expression.as_ref().unwrap().is_match(value),
            MatchOp::NotRegex => !expression.as_ref().unwrap().is_match(value),
        };
        wanted.retain(|id| holds(sets[*id as usize].get(&matcher.name).unwrap_or_default()));
    }
    wanted
}

fn ids(index: &SeriesIndex, matchers: &[Matcher]) -> Vec<i64> {
    index.select(matchers).unwrap().ids().map(|(_, id)| id).collect()
}

const NAMES: [&str; 5] = [METRIC_NAME, "job", "pod", "ü", "missing"];

fn label() -> impl Strategy<Value = (String, String)> {
    let value = prop_oneof![
        Just(""),
        Just("a"),
        Just("b"),
        Just("ab"),
        Just("abc"),
        Just("A"),
        Just("a\nb"),
        Just("grüße"),
        Just("a.b"),
        Just("K"),
    ];
    // The last name is one that no series has.
    (prop::sample::select(&NAMES[..4]), value).prop_map(|(name, value)| (name.into(), value.into()))
}

/// Labels of which one has many values, so that both ways of asking are taken.
fn sets() -> impl Strategy<Value = Vec<LabelSet>> {
    let one = (prop::collection::vec(label(), 0..4), 0..400_u32).prop_map(|(mut labels, n)| {
        if n > 100 {
            labels.push(("pod".into(), format!("pod-{n}")));
        }
        set(&labels)
    });
    prop::collection::btree_set(one, 0..80).prop_map(|sets| sets.into_iter().collect())
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op =
        prop::sample::select(&[MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex][..]);
    let value = prop::sample::select(
        &[
            "",
            "a",
            "b",
            "ab",
            "a|b",
            "a|",
            "|",
            "a|ab|abc|x",
            ".*",
            ".+",
            "a.*",
            ".*b",
            ".*b.*",
            "a.+",
            ".",
            "..",
            "[ab]c?",
            "(?i)a",
            "(?i:AB)c?",
            "(?i)k",
            "^a$",
            "^a",
            "b$",
            "^",
            "$",
            "^$",
            "(^a|b)$",
            "a?",
            "a{1,2}b*",
            "(a|b)(b|c)?",
            "pod-1.*",
            "pod-(1|2).+",
            "pod-[0-9]+",
            ".*-3.*",
            "pod-1[0-5]5",
            "gr.*",
            "grü(ß|s)e",
            "[^a]*",
            "a\\.b",
            "a.b",
            "(.*)",
            "(.+)",
            "(?:.*)a(?:.*)",
            ".*^a",
            "a(?s:.)b",
            "x*",
            "(a.*|.*c)",
            ".*.*",
            ".+.*",
            ".*a.*b.*",
        ][..],
    );
    (prop::sample::select(&NAMES[..]), op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn as_the_model_says(sets in sets(), matchers in prop::collection::vec(matcher(), 0..4)) {
        let index = index(&sets);
        prop_assert_eq!(ids(&index, &matchers), naive(&sets, &matchers), "{:?}", matchers);
    }

    #[test]
    fn names_and_values_as_the_model_says(
        sets in sets(),
        matchers in prop::collection::vec(matcher(), 0..2),
        limit in 0..6_usize,
    ) {
        let index = index(&sets);
        let selected: Vec<&LabelSet> = naive(&sets, &matchers).iter().map(|id| &sets[*id as usize]).collect();
        let names: BTreeSet<&str> = selected.iter().flat_map(|set| set.iter().map(|(name, _)| name)).collect();
        let got = index.label_names(&matchers, None, limit).unwrap();
        prop_assert_eq!(got.cut, names.len() > limit);
        prop_assert!(got.items.iter().map(|name| &**name).eq(names.into_iter().take(limit)));
        for name in NAMES {
            let values: BTreeSet<&str> = selected.iter().filter_map(|set| set.get(name)).collect();
            let got = index.label_values(name, &matchers, None, limit).unwrap();
            prop_assert_eq!(got.cut, values.len() > limit);
            prop_assert!(got.items.iter().map(String::as_str).eq(values.into_iter().take(limit)));
            let selection = index.select(&matchers).unwrap();
            let column = selection.column(name);
            let values = column.keys.iter().map(|key| key.map(|key| column.values[key as usize].as_str()));
            prop_assert!(values.eq(selected.iter().map(|set| set.get(name))));
        }
        let got = index.series(&matchers, None, limit).unwrap();
        prop_assert_eq!(got.cut, selected.len() > limit);
        prop_assert!(got.items.iter().map(|series| &series.labels).eq(selected.into_iter().take(limit)));
    }

    /// Series that come later than the others, and in another order than that of their refs.
    #[test]
    fn loose_series_are_seen_once_they_are_stored(sets in sets(), stored in any::<u64>()) {
        let table = SeriesTable::new(7, 1_000);
        let refs: Vec<_> = (0..)
            .zip(&sets)
            .map(|(at, labels)| table.intern(Fingerprint(at), labels.clone(), SeriesLimits::NONE).unwrap())
            .collect();
        let index = SeriesIndex { table: Arc::new(table) };
        prop_assert!(index.is_empty() && index.all().is_empty());
        let seen = |at: usize| stored >> (at % 64) & 1 == 1;
        for (at, series) in refs.iter().enumerate().rev().filter(|(at, _)| seen(*at)) {
            index.table.mark_stored(*series);
            prop_assert_eq!(&index.by_id(index.table.ids(*series).1).unwrap().labels, &sets[at]);
        }
        let matcher = Matcher::new("pod", MatchOp::NotEqual, "");
        let wanted: Vec<&LabelSet> = (0..sets.len())
            .filter(|at| seen(*at) && sets[*at].get("pod").is_some())
            .map(|at| &sets[at])
            .collect();
        let got = index.series(&[matcher], None, 1_000).unwrap().items;
        prop_assert!(got.iter().map(|series| &series.labels).eq(wanted));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Who asks again is told of what came since.
    #[test]
    fn answers_keep_up(
        sets in sets(),
        matchers in prop::collection::vec(prop::collection::vec(matcher(), 1..3), 1..6),
        stages in 1..5_usize,
    ) {
        let table = Arc::new(SeriesTable::new(7, 1_000_000));
        let index = SeriesIndex { table: Arc::clone(&table) };
        let each = sets.len() / stages + 1;
        for (id, labels) in (0..).zip(&sets) {
            table.restore(id, labels.clone());
            if (id as usize + 1) % each != 0 && id as usize + 1 != sets.len() {
                continue;
            }
            let known = &sets[..=id as usize];
            for matchers in matchers.iter().chain(&matchers) {
                prop_assert_eq!(ids(&index, matchers), naive(known, matchers), "{:?}", matchers);
            }
        }
    }
}

/// What both would answer to each of these, of values that say what differs.
#[test]
fn expressions_are_those_of_re2() {
    let values = [
        "/api/{id}",
        "a{",
        "٣",
        "3",
        "é",
        "e_",
        "<b>",
        "a&&b",
        "[x]",
        "-",
        "~",
        "a.b",
        "a b",
        "S",
        "\u{17f}",
        "\n",
        "é3",
    ];
    let sets: Vec<LabelSet> = values.iter().map(|value| set(&texts(&[("v", value)]))).collect();
    let index = index(&sets);
    let check = |expression: &str, wanted: &[&str]| {
        let found = index.label_values("v", &[Matcher::new("v", MatchOp::Regex, expression)], None, 100);
        let wanted: BTreeSet<String> = wanted.iter().map(|value| (*value).to_owned()).collect();
        assert_eq!(found.unwrap().items, wanted.into_iter().collect::<Vec<_>>(), "{expression}");
    };
    check("/api/{id}", &["/api/{id}"]);
    check("a{", &["a{"]);
    check("a{,2}", &[]);
    check("\\d", &["3"]);
    check("[\\d]", &["3"]);
    check("\\D", &["٣", "é", "-", "~", "S", "\u{17f}", "\n"]);
    check("\\w", &["3", "S"]);
    check("[^\\W]+", &["3", "e_", "S"]);
    check("é\\b3", &["é3"]);
    check("\\<b\\>", &["<b>"]);
    check("[a&b]+", &["a&&b"]);
    check("[[]x[]]", &["[x]"]);
    check("[]-]", &["-"]);
    check("[+--]", &["-"]);
    check("[~~]", &["~"]);
    check("\\Qa.b\\E", &["a.b"]);
    check("\\Qa.", &[]);
    check("a\\x20b|\\x{2d}", &["a b", "-"]);
    check("\\063", &["3"]);
    check("(?i)s", &["S", "\u{17f}"]);
    check("[[:digit:]]", &["3"]);
    check("\\pL", &["é", "S", "\u{17f}"]);
    check("\\p{^L}", &["٣", "3", "-", "~", "\n"]);
    check("(?P<x>3)|(?<y>-)", &["3", "-"]);
    check("(?-s:.)", &["٣", "3", "é", "-", "~", "S", "\u{17f}"]);
    check("(?m)^$\\n?^?", &["\n"]);
}

#[test]
fn what_is_no_expression_is_refused_by_name() {
    let index = index(&[]);
    let check = |expression: &str, wanted: &str| {
        let matchers =
            [Matcher::new("job", MatchOp::Equal, "x"), Matcher::new("pod", MatchOp::Regex, expression)];
        let error = index.select(&matchers).unwrap_err();
        assert_eq!(error.kind(), isinglass_model::ErrorKind::Malformed);
        let text = error.to_string();
        assert!(text.starts_with("matcher pod=~") && text.contains(wanted), "{expression:.20}: {text}");
    };
    check("(", "unclosed group");
    check("a\\", "backslash");
    check("[a", "without ]");
    check("[b-a]", "range b-a");
    check("\\u0041", "no escape \\u");
    check("\\1", "refers to a group");
    check("(?x)a", "no flag");
    check("(?=a)", "no flag");
    check("a{1001}", "beyond 1000");
    check("*", "missing expression");
    check("(\\pL{50}){100}", "4194304 bytes");
    check(&"(".repeat(300), "unclosed");
    check(&format!("{}a{}", "(".repeat(300), ")".repeat(300)), "nest");
    check(&"x".repeat(300_000), "300000 bytes, the limit is 262144");
    let many = vec![Matcher::new("a", MatchOp::Equal, "b"); 1_001];
    assert!(matches!(index.select(&many), Err(StoreError::Matcher { .. })));
}

#[test]
fn days_restrict() {
    let table = SeriesTable::new(7, 100);
    for (id, day) in [(1, 10), (2, 11), (3, 12), (1, 12)] {
        let series = table.restore(id, set(&texts(&[("n", &id.to_string())])));
        table.days.of(day).insert(series);
    }
    let index = SeriesIndex { table: Arc::new(table) };
    let on = |days| index.label_values("n", &[], days, 10).unwrap().items.concat();
    assert_eq!(on(None), "123");
    assert_eq!(on(Some(10..=10)), "1");
    assert_eq!(on(Some(11..=12)), "123");
    assert_eq!(on(Some(12..=12)), "13");
    assert_eq!(on(Some(13..=20)), "");
    #[allow(clippy::reversed_empty_ranges, reason = "a range of no days is what is tested")]
    let none = Some(12..=10);
    assert_eq!(on(none), "");
}

/// A value that queries look for by its start is found before and after values are put in order.
#[test]
fn the_order_of_values_keeps_up() {
    let table = Arc::new(SeriesTable::new(7, 100_000));
    let index = SeriesIndex { table: Arc::clone(&table) };
    // Each time another, of which nothing is known.
    let start = |id: i64| [Matcher::new("n", MatchOp::Regex, format!("1[0-9]{{0,{}}}", 10 + id / 20))];
    let mut wanted = 0;
    for id in 0..3_000_i64 {
        table.restore(id, set(&texts(&[("n", &id.to_string())])));
        wanted += usize::from(id.to_string().starts_with('1'));
        if id % 20 == 0 {
            assert_eq!(index.select(&start(id)).unwrap().len(), wanted, "{id}");
        }
    }
    let sorted = table.labels(|labels| labels.name("n").unwrap().sorted.len());
    assert!(sorted > 1_000, "{sorted} values in order");
}

/// Readers see whole series, and all those that were there before they asked.
#[test]
fn selections_while_series_come() {
    let table = Arc::new(SeriesTable::new(7, 1_000_000));
    let done = AtomicBool::new(false);
    let labels = |n: i64| {
        let (n, half, one) = (n.to_string(), (n % 2).to_string(), "x".to_owned());
        set(&texts(&[("n", &n), ("half", &half), ("one", &one)]))
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let index = SeriesIndex { table: Arc::clone(&table) };
                while !done.load(Ordering::Acquire) {
                    let before = index.len();
                    let equal = |name: &str, value: &str| Matcher::new(name, MatchOp::Equal, value);
                    let some = index.select(&[equal("one", "x"), equal("half", "1")]).unwrap();
                    let others = Matcher::new("half", MatchOp::NotRegex, "[1-9].*");
                    let others = index.select(&[others]).unwrap();
                    assert!(some.len() >= before / 2 && others.len() >= before / 2);
                    let odd = |value: &str| value.parse::<i64>().unwrap() % 2 == 1;
                    assert!(some.label_values("n", 1_000_000).items.iter().all(|n| odd(n)));
                    assert!(!others.column("n").values.iter().any(|n| odd(n)));
                    let few = index.select(&[Matcher::new("n", MatchOp::Regex, "1.*9")]).unwrap();
                    assert!(few.column("n").values.iter().all(|n| n.starts_with('1') && n.ends_with('9')));
                }
            });
        }
        for n in 0..10_000 {
            table.restore(n, labels(n));
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(SeriesIndex { table }.len(), 10_000);
}
