use proptest::prelude::*;

use super::dfa::Dfa;
use super::{Expression, Walk};
use crate::series::texts::Texts;

/// Parts of expressions that mean the same to RE2 and to the crate `regex`.
fn part() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec![
        "a", "b", "ab", "foo", "K", "ü", "ß", "\\.", "-", "1", ".", ".", "[ab]", "[^a]", "[a-z]", "[0-9]",
        "\\d", "^", "$", "(?i:fO)", "(?i:k)", "(?i:ü)", "(?s:.)", "(?-s:.)", "\\b", "\\pL", "\\n", "(?m:^)",
        "(?m:$)",
    ]);
    let times = prop::sample::select(vec!["", "", "", "*", "+", "?", "{2}", "{1,3}", "*?", "{0,2}"]);
    let times_of = |one: &str, times: &str| match one {
        "^" | "$" | "\\b" | "(?m:^)" | "(?m:$)" => one.to_owned(),
        _ => format!("(?:{one}){times}"),
    };
    (one, times).prop_map(move |(one, times)| times_of(one, times))
}

fn expression() -> impl Strategy<Value = String> {
    let parts = || prop::collection::vec(part(), 0..5).prop_map(|parts| parts.concat());
    let around = prop::sample::select(vec!["", "", ".*", ".+", "foo", "foo.*"]);
    let flags = prop::sample::select(vec!["", "", "", "(?i)"]);
    let middle = prop_oneof![
        3 => parts(),
        1 => (parts(), parts()).prop_map(|(one, other)| format!("({one}|{other})")),
        1 => (parts(), parts()).prop_map(|(one, other)| format!("(?:{one})+{other}")),
    ];
    (flags, around.clone(), middle, around)
        .prop_map(|(flags, start, middle, end)| format!("{flags}{start}{middle}{end}"))
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        "foo",
        "FOO",
        "fo",
        "o",
        "k",
        "K",
        "\u{212a}",
        "ü",
        "Ü",
        "ß",
        "ẞ",
        "s",
        ".",
        "-",
        "1",
        "\n",
        " ",
        "٣",
        "é",
        "\u{10ffff}",
    ]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// The definition. `\b` and `\d` know only ASCII in RE2.
fn naive(expression: &str) -> regex::Regex {
    let ascii = expression.replace("\\b", "(?-u:\\b)").replace("\\d", "[0-9]");
    regex::Regex::new(&format!("^(?s:{ascii})$")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn many_values_get_the_answers_that_each_gets(
        expression in expression(),
        mut values in prop::collection::vec(value(), 0..40),
        copies in 1..40_usize,
        first in 0..700_usize,
    ) {
        // So that runs end within.
        values = std::iter::repeat_n(values, copies).flatten().collect();
        let mut texts = Texts::default();
        values.iter().for_each(|value| { texts.push(value); });
        let (naive, expression) = (naive(&expression), Expression::new(&expression).unwrap());
        let mut walk = Walk::new(&expression, values.len());
        let mut found = Vec::new();
        texts.runs(first).for_each(|run| walk.add(&run, &mut found));
        let wanted = (0..).zip(&values).skip(first).filter(|(_, value)| naive.is_match(value));
        prop_assert_eq!(found, wanted.map(|(at, _)| at).collect::<Vec<u32>>());
        for value in values.iter().take(40) {
            prop_assert_eq!(expression.is_match(value), naive.is_match(value));
            prop_assert_eq!(walk.is_match(value), naive.is_match(value));
        }
    }
}

fn found(expression: &Expression, texts: &Texts) -> Vec<u32> {
    let (mut walk, mut found) = (Walk::new(expression, texts.len()), Vec::new());
    texts.runs(0).for_each(|run| walk.add(&run, &mut found));
    found
}

/// What is too large for a table is one of the states that values lead to.
#[test]
fn expressions_without_a_whole_table() {
    let is_whole = |expression: &Expression| match expression {
        Expression::Regex(program) => program.dfa(20).map(|dfa| matches!(dfa, Dfa::Whole(_))),
        other => panic!("{other:?}"),
    };
    let mut texts = Texts::default();
    for n in 10..30 {
        texts.push(&"üy".repeat(n));
    }
    for (expression, wanted) in [("[üy]{40}x?", true), ("\\pL{40}x?", false)] {
        let expression = Expression::new(expression).unwrap();
        assert_eq!(is_whole(&expression), Some(wanted));
        assert_eq!(found(&expression, &texts), [10]);
    }
    // What RE2 does not have and tables neither.
    let words_of_any_language = regex_syntax::parse("\\bx").unwrap();
    assert!([1, 100].into_iter().all(|values| Dfa::new(&words_of_any_language, values).is_none()));
}

/// Whether there is an `a` so far from the end takes a state for each way in which they may stand.
#[test]
fn a_search_with_too_many_states_goes_on_without_them() {
    let expression = Expression::new(".*a[ab]{24}").unwrap();
    let mut texts = Texts::default();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let value =
        |bits: u64| -> String { (0..60).map(|at| if bits >> at & 1 == 1 { 'a' } else { 'b' }).collect() };
    let mut wanted = Vec::new();
    for n in 0..4_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
        texts.push(&value(random));
        wanted.extend((random >> 35 & 1 == 1).then_some(n as u32));
    }
    assert_eq!(found(&expression, &texts), wanted);
    let mut walk = Walk::new(&expression, texts.len());
    texts.runs(0).for_each(|run| walk.add(&run, &mut Vec::new()));
    assert!(!walk.has_table());
}

/// A text that ends in the next value is in neither.
#[test]
fn texts_across_values() {
    let mut texts = Texts::default();
    for value in ["xfo", "o", "", "foo", "ofo", "ofoo", "fofoo", "", "f", "oo"] {
        texts.push(value);
    }
    for (expression, wanted) in
        [(".*foo.*", vec![3, 5, 6]), (".*foo", vec![3, 5, 6]), (".+foo.?", vec![5, 6])]
    {
        let expression = Expression::new(expression).unwrap();
        assert_eq!(found(&expression, &texts), wanted, "{expression:?}");
    }
}
