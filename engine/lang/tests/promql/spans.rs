//! Where each part of an expression stands: what warnings point at.

use isinglass_lang::promql::{ast::Expr, parse, walk};

/// Checks the texts of all nodes, outer ones first.
fn check(text: &str, wanted: &[&str]) {
    let expr = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let mut got = Vec::new();
    walk(&expr, &mut |expr: &Expr| got.push(&text[expr.span.start..expr.span.end]));
    assert_eq!(got, wanted, "{text}");
}

#[test]
fn every_node() {
    check(" 1 ", &["1"]);
    check("-1", &["-1"]);
    check(" +a", &["+a", "a"]);
    check("a + -b", &["a + -b", "a", "-b", "b"]);
    check("( a )", &["( a )", "a"]);
    check("a{b='c'} offset 5m @ 7", &["a{b='c'} offset 5m @ 7"]);
    check("a @ start() ", &["a @ start()"]);
    check("a smoothed", &["a"]);
    check("a[5m] offset 1m", &["a[5m] offset 1m", "a"]);
    check("a[5m] anchored @ end()", &["a[5m] anchored @ end()", "a"]);
    check("a offset 1m [5m:] @ 3", &["a offset 1m [5m:] @ 3", "a offset 1m"]);
    check("rate ( a[5m] )", &["rate ( a[5m] )", "a[5m]", "a"]);
    check("(sum(a) )", &["(sum(a) )", "sum(a)", "a"]);
    check("sum(a) by (b) + 1", &["sum(a) by (b) + 1", "sum(a) by (b)", "a", "1"]);
    check("topk by (b) (3, a)", &["topk by (b) (3, a)", "3", "a"]);
    check("# a\nb +\n c", &["b +\n c", "b", "c"]);
    check("info(a, {b='c'})", &["info(a, {b='c'})", "a", "{b='c'}"]);
}

#[test]
fn places_of_errors() {
    let check = |text: &str, start: usize, end: usize, wanted: &str| {
        let fault = parse(text).expect_err(text);
        assert_eq!((fault.span.start, fault.span.end), (start, end), "{text}: {fault}");
        assert_eq!(fault.to_string(), wanted, "{text}");
    };
    let bool_needed = "comparisons between scalars must use BOOL modifier";
    check("1 == 1", 2, 4, &format!("1:3: parse error: {bool_needed}"));
    check("a\n and\n  1 == 1", 11, 13, &format!("3:5: parse error: {bool_needed}"));
    check(
        "foo + bool bar",
        4,
        10,
        "1:5: parse error: bool modifier can only be used on comparison operators",
    );
    check("sum(", 4, 4, "1:5: parse error: unclosed left parenthesis");
    check("foo{a*\"b\"}", 5, 10, "1:6: parse error: unexpected character inside braces: '*'");
    let fault = parse("a +\nsum(1)").expect_err("a scalar");
    assert_eq!(fault.caret("a +\nsum(1)"), "sum(1)\n    ^");
}
