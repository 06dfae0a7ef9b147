//! What holds for any text.

use std::fmt::Write as _;

use isinglass_lang::promql::ast::{Duration, Expr, ExprKind};
use isinglass_lang::promql::{
    Limits, parse, parse_metric, parse_selector, parse_within, pretty, resolve_durations, walk,
};
use proptest::prelude::*;

use crate::support::bare;

/// Bits of expressions, so that random texts are often nearly right.
fn soup() -> impl Strategy<Value = String> {
    let bits = [
        "a",
        "b:c",
        "sum",
        "rate",
        "topk",
        "info",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "fill",
        "fill_left",
        "bool",
        "offset",
        "smoothed",
        "anchored",
        "start",
        "end",
        "step",
        "range",
        "min_of",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "=",
        "=~",
        "!=",
        "!~",
        "==",
        "<",
        "</",
        ">/",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "@",
        "and",
        "or",
        "unless",
        "atan2",
        "1",
        "0x1f",
        "5m",
        "1h30m",
        "NaN",
        "Inf",
        "1e3",
        "0",
        "\"x\"",
        "'é'",
        "`y`",
        "\"\\xff\"",
        "\"(\"",
        " ",
        "\n",
        "# c\n",
        "é",
        "\u{0}",
        "\\",
        "_",
    ];
    prop::collection::vec(prop::sample::select(bits.to_vec()), 0..24).prop_map(|bits| bits.join(" "))
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_][a-z0-9_]{0,3}", Just("\"a.b\"".to_owned()), Just("by".into()), Just("step".into())]
}

fn matcher() -> impl Strategy<Value = String> {
    let label = prop_oneof!["[a-z_][a-z0-9_]{0,3}", Just("\"a.b\"".to_owned())];
    (label, prop::sample::select(vec!["=", "!=", "=~", "!~"]), "[a-z.é]{1,4}")
        .prop_map(|(label, op, value)| format!("{label}{op}\"{value}\""))
}

fn duration() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[1-9][0-9]{0,2}(ms|s|m|h|d)",
        "[1-9][0-9]{0,3}",
        Just("step()".to_owned()),
        Just("range()".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let op = prop::sample::select(vec!["+", "-", "*", "/", "%", "^"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(one, op, other)| format!("{one}{op}{other}")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("-({inner}+1)")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("max_of({one}, {other})")),
        ]
    })
}

fn modifiers() -> impl Strategy<Value = String> {
    let offset = prop_oneof![
        "[1-9]m".prop_map(|offset| format!(" offset {offset}")),
        "[1-9]m".prop_map(|offset| format!(" offset -{offset}")),
        duration().prop_map(|offset| format!(" offset ({offset})")),
        Just(String::new()),
    ];
    let at = prop_oneof![
        Just(String::new()),
        Just(" @ start()".into()),
        "[0-9]{1,4}\\.[0-9]{3}".prop_map(|at| format!(" @ -{at}"))
    ];
    (offset, at, any::<bool>())
        .prop_map(|(offset, at, first)| if first { format!("{offset}{at}") } else { format!("{at}{offset}") })
}

fn selector() -> impl Strategy<Value = String> {
    let name =
        prop_oneof!["[a-z]{1,4}:[a-z]{1,3}", Just("up".to_owned()), Just("sum".into()), Just("end".into())];
    (name, prop::collection::vec(matcher(), 0..3)).prop_map(|(name, matchers)| {
        if matchers.is_empty() { name } else { format!("{name}{{{}}}", matchers.join(",")) }
    })
}

/// Vectors, well typed.
fn vector() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (selector(), modifiers()).prop_map(|(selector, modifiers)| selector + &modifiers),
        (selector(), duration(), modifiers())
            .prop_map(|(selector, range, modifiers)| format!("rate({selector}[{range}]{modifiers})")),
        (selector(), prop::sample::select(vec!["smoothed", "anchored"]))
            .prop_map(|(selector, extension)| format!("increase({selector}[5m] {extension})")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "!=",
            "<",
            "<=",
            ">",
            ">=",
            "== bool",
            "and",
            "or",
            "unless",
            "</",
            ">/",
            "+ fill(1)",
            "* fill_left(-0.5)",
            "- on()",
        ]);
        let labels = prop::collection::vec(label(), 0..3).prop_map(|labels| labels.join(", ")).boxed();
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(one, op, other)| format!("{one} {op} {other}")),
            (inner.clone(), labels.clone(), inner.clone())
                .prop_map(|(one, on, other)| format!("{one} / on ({on}) group_left () {other}")),
            (inner.clone(), -9_i32..9).prop_map(|(one, number)| format!("{one} ^ {number}")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("-{inner}")),
            (inner.clone(), labels.clone()).prop_map(|(inner, by)| format!("sum({inner}) by ({by})")),
            (inner.clone(), labels).prop_map(|(inner, by)| format!("topk without ({by}) (3, {inner})")),
            (inner.clone(), duration())
                .prop_map(|(inner, range)| format!("avg_over_time(({inner})[{range}:])")),
            inner.prop_map(|inner| format!("label_replace({inner}, \"a\", \"\\n$1\", 'b', `c\\d`)")),
        ]
    })
}

fn all_known(expr: &Expr) -> bool {
    let mut known = true;
    walk(expr, &mut |expr: &Expr| {
        known &= match &expr.kind {
            ExprKind::Selector(selector) => !matches!(selector.offset, Some(Duration::Computed(_))),
            ExprKind::Range(range) => matches!(range.range, Duration::Millis(1..)),
            _ => true,
        }
    });
    known
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![soup(), "\\PC{0,40}", "[-+a({\\[^:5m@\"'`#é]{0,60}"]) {
        let places_are_within = |start: usize, end: usize| {
            start <= end && end <= text.len() && text.is_char_boundary(start) && text.is_char_boundary(end)
        };
        match parse(&text) {
            Ok(expr) => walk(&expr, &mut |expr: &Expr| {
                assert!(places_are_within(expr.span.start, expr.span.end), "{text}");
            }),
            Err(fault) => {
                prop_assert!(places_are_within(fault.span.start, fault.span.end), "{}: {}", text, fault);
                let _ = fault.caret(&text);
            }
        }
        let _ = parse_selector(&text);
        let _ = parse_metric(&text);
    }

    #[test]
    fn what_is_written_is_read_back(text in vector()) {
        let expr = parse(&text).map_err(|fault| TestCaseError::fail(format!("{text}\n{fault}")))?;
        for written in [expr.to_string(), pretty(&expr)] {
            let again = parse(&written).map_err(|fault| TestCaseError::fail(format!("{written}\n{fault}")))?;
            prop_assert_eq!(again.to_string(), expr.to_string());
            prop_assert_eq!(bare(again), bare(expr.clone()), "{}\nas {}", text, written);
        }
    }

    #[test]
    fn durations_become_known_or_are_refused(text in vector(), step in 0..100_000_i64, range in 0..100_000_i64) {
        let mut expr = parse(&text).map_err(|fault| TestCaseError::fail(format!("{text}\n{fault}")))?;
        if resolve_durations(&mut expr, step, range).is_ok() {
            prop_assert!(all_known(&expr), "{}", expr);
        }
    }
}

/// Uses a tree in every way that recurses over it.
fn use_up(text: &str) {
    let shown: String = text.chars().take(40).collect();
    match parse(text) {
        Ok(expr) => {
            assert_eq!(expr.clone(), expr, "{shown}");
            assert!(!format!("{expr} {expr:?} {}", pretty(&expr)).is_empty(), "{shown}");
            let mut resolved = expr;
            let _ = resolve_durations(&mut resolved, 1_000, 0);
        }
        Err(fault) => {
            let clear = ["nested deeper than", "tokens", "bytes, the limit"];
            assert!(clear.iter().any(|clear| fault.message.contains(clear)), "{shown}: {fault}");
        }
    }
}

#[test]
fn deep_texts_do_not_overflow_the_stack() {
    for count in [50, 90, 96, 100, 200, 254, 255, 256, 300, 10_000] {
        let with = |one: &str, middle: &str, other: &str| {
            format!("{}{middle}{}", one.repeat(count), other.repeat(count))
        };
        use_up(&with("a + ", "a", ""));
        use_up(&with("a ^ ", "a", ""));
        use_up(&with("(", "a", ")"));
        use_up(&with("-", "a", ""));
        use_up(&with("- + ", "1", ""));
        use_up(&with("abs(", "a", ")"));
        use_up(&with("sum by (a) (", "a", ")"));
        use_up(&with("a or (", "a", ")"));
        use_up(&with("max_over_time(", "a", "[5m:])"));
        use_up(&format!("rate(a[{}])", with("(", "1", ")")));
        use_up(&format!("rate(a[{}])", with("1+", "1", "")));
        use_up(&format!("rate(a[{}])", with("1^", "1", "")));
        use_up(&format!("a offset {}", with("-(", "1", ")")));
        use_up(&format!("a offset {}", with("min_of(1,", "1", ")")));
        let mut chain = String::from("a");
        for at in 0..count {
            let _ = write!(chain, " or on (x) m{at}");
        }
        use_up(&chain);
    }
}

#[test]
fn limits_are_kept() {
    let limits = Limits { text_bytes_max: 20, tokens_max: 5, nesting_max: 4, depth_max: 3 };
    let check = |text: &str, wanted: &str| {
        let got = parse_within(text, &limits).map_or_else(|fault| fault.to_string(), |_| String::new());
        assert_eq!(got, wanted, "{text}");
    };
    check("a + a + a", "");
    check("a a a a a a a a a a a a", "1:21: parse error: the query has 23 bytes, the limit is 20");
    check("a + a + a + a", "1:12: parse error: the query has more than 5 tokens");
    check("---a", "1:1: parse error: the query is nested deeper than 3 levels");
    check("----a", "1:5: parse error: the query is nested deeper than 4 levels");
}
