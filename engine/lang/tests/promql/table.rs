//! Expressions with what they are written as, or with their error: `expressions.txt`.

use isinglass_lang::promql::{parse, parse_metric, parse_selector, pretty};

use crate::support::bare;

const TABLE: &str = include_str!("expressions.txt");

struct Entry<'a> {
    line: usize,
    text: String,
    wanted: &'a str,
}

fn entries() -> Vec<Entry<'static>> {
    let mut entries = Vec::new();
    let mut text: Option<String> = None;
    for (line, row) in TABLE.lines().enumerate() {
        let (mark, rest) = row.split_at(row.len().min(1));
        match (mark, text.take()) {
            ("" | "#", None) => {}
            (">", None) => text = Some(rest.strip_prefix(' ').unwrap_or(rest).replace("␤", "\n")),
            ("=" | "!", Some(text)) => entries.push(Entry { line: line + 1, text, wanted: row }),
            _ => panic!("line {} is neither an expression nor its result: {row}", line + 1),
        }
    }
    entries
}

#[test]
fn all_entries() {
    let entries = entries();
    let mut wrong = Vec::new();
    for Entry { line, text, wanted } in &entries {
        let got = match parse(text) {
            Ok(expr) if *wanted == "=" && expr.to_string() == *text => "=".to_owned(),
            Ok(expr) => format!("= {expr}"),
            Err(fault) => format!("! {fault}"),
        };
        if got != *wanted {
            wrong.push(format!("line {line}: {text}\n  wanted {wanted}\n  got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} entries\n{}", wrong.len(), entries.len(), wrong.join("\n"));
    assert!(entries.len() >= 250, "{} entries", entries.len());
}

#[test]
fn what_is_written_is_the_same_tree() {
    for Entry { line, text, .. } in entries() {
        let Ok(expr) = parse(&text) else { continue };
        for written in [expr.to_string(), pretty(&expr)] {
            let again = parse(&written).unwrap_or_else(|fault| panic!("line {line}: {written}\n{fault}"));
            if !written.contains("Inf ^") {
                assert_eq!(bare(again), bare(expr.clone()), "line {line}: {text}\nas {written}");
            }
        }
    }
}

#[test]
fn selectors() {
    let cases = [
        ("up", Ok("up")),
        ("{job=~\".*\"}", Ok("{job=~\".*\"}")),
        ("{}", Ok("{}")),
        ("a{b=\"c\",}", Ok("a{b=\"c\"}")),
        ("up[5m]", Err("1:3: parse error: unexpected \"[\"")),
        ("up offset 5m", Err("1:4: parse error: unexpected <offset>")),
        ("up or up", Err("1:4: parse error: unexpected <op:or>")),
        ("1", Err("1:1: parse error: unexpected number \"1\"")),
        ("", Err("1:1: parse error: unexpected end of input")),
        ("{a=~\"(\"}", Err("1:2: parse error: error parsing regexp: missing closing ): `(`")),
    ];
    for (text, wanted) in cases {
        let got =
            parse_selector(text).map(|selector| selector.to_string()).map_err(|fault| fault.to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), wanted, "{text}");
    }
}

#[test]
fn series() {
    let check = |text: &str, wanted: &[(&str, &str)]| {
        let got = parse_metric(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let got: Vec<_> = got.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
        assert_eq!(got, wanted, "{text}");
    };
    check("up", &[("__name__", "up")]);
    check("", &[]);
    check("{}", &[]);
    check("up{job=\"x\", a='y',}", &[("__name__", "up"), ("a", "y"), ("job", "x")]);
    check("{\"a.b\", \"c.d\"=\"e\"}", &[("__name__", "a.b"), ("c.d", "e")]);
    check("sum{by=\"x\"}", &[("__name__", "sum"), ("by", "x")]);
    let wrong = [
        ("{\"a\"xx}", "unexpected identifier \"xx\" in label set, expected \",\" or \"}\""),
        ("{\"a\"=, x=\"y\"}", "unexpected \",\" in label set, expected string"),
        ("{\"a}", "unterminated quoted string"),
        ("a{b!=\"c\"}", "unexpected <op:!=> in label set, expected \"=\""),
        ("a b", "unexpected identifier \"b\""),
    ];
    for (text, wanted) in wrong {
        let got = parse_metric(text).expect_err(text);
        assert_eq!(got.message, wanted, "{text}");
    }
}

#[test]
fn long_expressions_are_split() {
    let check = |text: &str, wanted: &str| {
        let expr = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(pretty(&expr), wanted, "{text}");
    };
    check("sum by(a)(b)", "sum by (a) (b)");
    check(" a[5m:]", "a[5m:]");
    let selector =
        "task:errors:rate10s{job=\"some-very-long-name-of-a-job\",instance=\"some-instance-of-it\"}";
    let sorted = "task:errors:rate10s{instance=\"some-instance-of-it\",job=\"some-very-long-name-of-a-job\"}";
    check(
        &format!("sum without (a) (rate({selector}[5m]))"),
        &format!("sum without (a) (\n  rate({sorted}[5m])\n)"),
    );
    check(
        &format!("topk(10, {selector} > bool on (x) group_left {selector})"),
        &format!("topk(\n  10,\n    {sorted}\n  > bool on (x) group_left ()\n    {sorted}\n)"),
    );
    check(
        &format!("label_replace(-({selector} + 1 or 2 * {selector}), \"a\", \"b\", \"c\", \"d\")"),
        &format!(
            "label_replace(\n  -(\n      {sorted} + 1\n    or\n      2 * {sorted}\n  ),\n  \"a\",\n  \"b\",\n  \"c\",\n  \"d\"\n)"
        ),
    );
    check(
        &format!("max_over_time(avg({selector} / {selector})[1h:5m] @ 10)"),
        &format!("max_over_time(\n  avg(\n      {sorted}\n    /\n      {sorted}\n  )[1h:5m] @ 10.000\n)"),
    );
}
