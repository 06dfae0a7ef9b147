use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"
groups:
  - name: node
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: ops, tier: "1"}
    rules:
      - record: job:up:sum
        expr: sum by(job) (up)
        labels: {tier: 2}
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 10m
        labels:
          severity: page
        annotations:
          summary: "{{ $labels.instance }} is down"
  - name: empty
"#;

#[test]
fn a_whole_file() {
    let file = RuleFile::parse("rules.yml", GOOD).unwrap();
    let [node, empty] = &file.groups[..] else { panic!("{file:?}") };
    assert_eq!((node.interval_ms, node.query_offset_ms, node.limit), (Some(30_000), Some(60_000), 10));
    assert_eq!(
        (empty.interval_ms, empty.query_offset_ms, empty.limit, empty.rules.len()),
        (None, None, 0, 0)
    );
    let [record, alert] = &node.rules[..] else { panic!("{node:?}") };
    let pairs = |all: &[(&str, &str)]| -> Vec<_> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!((record.name.as_str(), record.expr.as_str()), ("job:up:sum", "sum by (job) (up)"));
    assert_eq!(record.labels, pairs(&[("team", "ops"), ("tier", "2")]));
    assert_eq!(alert.labels, pairs(&[("severity", "page"), ("team", "ops"), ("tier", "1")]));
    let RuleKind::Alerting(alert) = &alert.kind else { panic!("{alert:?}") };
    assert_eq!((alert.hold_ms, alert.keep_firing_ms), (300_000, 600_000));
    assert_eq!(alert.annotations[0].1.source(), "{{ $labels.instance }} is down");
}

#[test]
fn labels_are_texts_as_they_are_written() {
    let text = "x: &l {a: 1.50, b: true, c: '', d: 0x10}\n";
    let text =
        text.replace("x: &l", "groups:\n- name: g\n  rules:\n  - record: r\n    expr: 1\n    labels: &l");
    let text = format!("{text}  - record: s\n    expr: >\n      1 +\n      1\n    labels: *l\n");
    let file = RuleFile::parse("f", &text).unwrap_or_else(|errors| panic!("{}", errors[0]));
    for rule in &file.groups[0].rules {
        let got: Vec<_> = rule.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(got, ["a=1.50", "b=true", "c=", "d=0x10"]);
    }
    assert_eq!(file.groups[0].rules[1].expr, "1 + 1");
}

#[test]
fn files_without_groups() {
    for text in ["", "# nothing\n", "groups:\n", "groups: []", "{}"] {
        assert_eq!(RuleFile::parse("f", text).unwrap().groups, [], "{text:?}");
    }
}

fn check(rules: &str, wanted: &[&str]) {
    let text = format!("groups:\n- name: g\n  rules:\n{rules}");
    let errors = RuleFile::parse("f.yml", &text).expect_err(rules);
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, wanted, "{rules}");
}

#[test]
fn mistakes_in_rules() {
    check(
        "  - expr: up\n",
        &["f.yml: 4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"],
    );
    check(
        "  - record: a\n    alert: b\n    expr: up\n",
        &["f.yml: 4:13: group \"g\", rule 1, \"a\": only one of 'record' and 'alert' must be set"],
    );
    check("  - record: a\n", &["f.yml: 4:5: group \"g\", rule 1, \"a\": field 'expr' must be set in rule"]);
    check(
        "  - record: a\n    expr: up\n  - alert: A\n    expr: sum(\n",
        &[
            "f.yml: 7:11: group \"g\", rule 2, \"A\": could not parse expression: 1:5: parse error: unclosed left parenthesis",
        ],
    );
    check(
        "  - record: a{b=\"c\"}\n    expr: up\n    for: 1m\n    keep_firing_for: 1m\n    annotations: {a: b}\n",
        &[
            "f.yml: 4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": invalid field 'annotations' in recording rule",
            "f.yml: 4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": invalid field 'for' in recording rule",
            "f.yml: 4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": invalid field 'keep_firing_for' in recording rule",
            "f.yml: 4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": braces present in the recording rule name; should it be in expr?: a{b=\"c\"}",
        ],
    );
    check(
        "  - alert: A\n    expr: up\n    for: soon\n    labels: {__name__: x, \"\": y}\n",
        &[
            "f.yml: 4:5: group \"g\", rule 1, \"A\": invalid label name: ",
            "f.yml: 4:5: group \"g\", rule 1, \"A\": invalid label name: __name__",
            "f.yml: 6:10: group \"g\", rule 1, \"A\": invalid for: not a valid duration string: \"soon\"",
        ],
    );
    check(
        "  - alert: A\n    expr: up\n    labels: {l: '{{ foo }}'}\n    annotations: {a: '{{ if }}'}\n",
        &[
            "f.yml: 4:5: group \"g\", rule 1, \"A\": label \"l\": template: __alert_A:1: function \"foo\" not defined",
            "f.yml: 4:5: group \"g\", rule 1, \"A\": annotation \"a\": template: __alert_A:1: missing value for if",
        ],
    );
}

fn check_file(text: &str, wanted: &[&str]) {
    let errors = RuleFile::parse("f.yml", text).expect_err(text);
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, wanted, "{text}");
}

#[test]
fn mistakes_in_groups() {
    check_file(
        "groups:\n- name: a\n- name: a\n- interval: 1m\n",
        &[
            "f.yml: 3:3: groupname: \"a\" is repeated in the same file",
            "f.yml: 4:3: Groupname must not be empty",
        ],
    );
    check_file(
        "groups:\n- name: a\n  interval: 5 minutes\n  labels: {__name__: x}\n",
        &[
            "f.yml: 2:3: invalid label name: __name__",
            "f.yml: 3:13: invalid interval: unknown unit \" minutes\" in duration \"5 minutes\"",
        ],
    );
}

#[test]
fn what_is_no_yaml_of_rules() {
    for (text, place, part) in [
        ("groups:\n- name: a\n  rule: []\n", (3, 3), "rule"),
        ("group: []\n", (1, 1), "group"),
        ("groups:\n- name: a\n  rules:\n  - record: a\n    exp: up\n", (5, 5), "exp"),
        ("groups: 5\n", (1, 9), ""),
        ("groups:\n- name: [a]\n", (2, 9), ""),
        ("groups:\n- name: a\n  name: b\n", (3, 3), "name"),
        ("groups:\n- name: a\n  limit: many\n", (3, 10), ""),
        ("groups: [\n", (1, 9), "unclosed bracket '['"),
    ] {
        let errors = RuleFile::parse("f.yml", text).expect_err(text);
        assert_eq!(errors.len(), 1, "{text}");
        assert_eq!(errors[0].place, Some(place), "{text}: {}", errors[0]);
        assert!(errors[0].message.contains(part), "{text}: {}", errors[0]);
        assert!(!errors[0].message.contains('\n'), "{text}: {}", errors[0]);
    }
}

#[test]
fn files_that_want_too_much() {
    let deep = |open: &str| format!("groups: {}", open.repeat(200_000));
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &('b'..='z')
            .map(|name| {
                let before = char::from_u32(u32::from(name) - 1).unwrap();
                format!("{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}]\n")
            })
            .collect::<String>();
    for text in [deep("["), deep("{a: "), deep("- "), bomb, " ".repeat(FILE_BYTES_MAX + 1)] {
        assert!(RuleFile::parse("f", &text).is_err());
    }
    let expr = format!("groups:\n- name: g\n  rules:\n  - record: r\n    expr: {}1\n", "(".repeat(100_000));
    assert!(RuleFile::parse("f", &expr).unwrap_err()[0].to_string().contains("could not parse expression"));
}

#[test]
fn rules_that_write_the_same_series() {
    let text = "groups:\n- name: a\n  rules:\n  - {record: r, expr: up}\n  - {record: r, expr: down}\n  - {record: r, expr: up, labels: {a: b}}\n- name: b\n  rules:\n  - {record: r, expr: up}\n";
    let file = RuleFile::parse("f", text).unwrap();
    assert_eq!(file.duplicates(), ["group \"a\", rule 2, \"r\"", "group \"b\", rule 1, \"r\""]);
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\PC|\n|  |- |: |groups:\n|rules:|expr: up){0,40}") {
        let _ = RuleFile::parse("f", &text);
    }
}
