use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn labels(all: &[(&str, &str)]) -> Arc<BTreeMap<String, String>> {
    Arc::new(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn data(value: Value) -> Arc<Data> {
    Arc::new(Data {
        labels: labels(&[("instance", "web1.example.com:9100"), ("job", "node")]),
        external_labels: labels(&[("cluster", "eu")]),
        external_url: "http://prom.example.com/path".into(),
        value,
    })
}

fn series(all: &[(&str, &str)], value: f64) -> Arc<TemplateSeries> {
    Arc::new(TemplateSeries { labels: labels(all), value: Value::Float(value) })
}

/// `metric` has two series, `nothing` none, all else is an error.
async fn query(expr: String) -> Result<Value, String> {
    match expr.as_str() {
        "metric" => Ok(Value::List(Arc::new(vec![
            series(&[("__name__", "metric"), ("instance", "b")], 21.0),
            series(&[("__name__", "metric"), ("instance", "a")], 11.0),
        ]))),
        "nothing" => Ok(Value::List(Arc::default())),
        other => Err(format!("no {other}")),
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("these queries never wait"),
    }
}

fn expand(text: &str, value: Value) -> Result<String, String> {
    let template = Template::of_alert("A", text).map_err(|fault| fault.named("__alert_A"))?;
    ready(template.expand(&data(value), 1_700_000_000 * time::SECOND, query))
}

fn check(cases: &[(&str, &str)]) {
    for (text, written) in cases {
        assert_eq!(expand(text, Value::Float(1234.5)).as_deref(), Ok(*written), "{text}");
    }
}

/// The end of the message, behind the names and places that all have.
fn check_errors(cases: &[(&str, &str)]) {
    for (text, ending) in cases {
        let message = expand(text, Value::Float(1234.5)).expect_err(text);
        assert!(message.ends_with(ending), "{text}: {message}");
    }
}

#[test]
fn values_of_an_alert() {
    check(&[
        ("plain text", "plain text"),
        ("", ""),
        ("{{ $labels.job }} of {{ $labels.instance }}", "node of web1.example.com:9100"),
        ("{{ $labels.missing }}!", "!"),
        ("{{ .Labels.job }} {{ .Value }} {{ $value }}", "node 1234.5 1234.5"),
        ("{{ $externalLabels.cluster }} {{ .ExternalLabels.cluster }}", "eu eu"),
        (
            "{{ $externalURL }} {{ externalURL }}{{ pathPrefix }}",
            "http://prom.example.com/path http://prom.example.com/path/path",
        ),
        ("{{ $labels }}", "map[instance:web1.example.com:9100 job:node]"),
        ("{{ $.Labels.job }}", "node"),
        ("{{ now | humanizeTimestamp }}", "2023-11-14 22:13:20 +0000 UTC"),
    ]);
}

#[test]
fn white_space_and_comments() {
    check(&[
        ("a {{- 1 -}} b", "a1b"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("a{{/* gone */}}b", "ab"),
        ("{{ \"{{\" }}", "{{"),
        ("{{ `}}` }}", "}}"),
        ("x {{ -3 }} y", "x -3 y"),
        ("x }} y", "x }} y"),
    ]);
}

#[test]
fn constants() {
    check(&[
        ("{{ 1 }} {{ 0x1F }} {{ 1_000 }} {{ 0b11 }} {{ 017 }} {{ 'a' }} {{ '\\n' }}", "1 31 1000 3 15 97 10"),
        ("{{ 1.5 }} {{ 1e3 }} {{ .5 }} {{ -2.0 }}", "1.5 1000 0.5 -2"),
        ("{{ true }} {{ false }}", "true false"),
        (r#"{{ "a\tb\u00e9" }}{{ `raw\t` }}"#, "a\tb\u{e9}raw\\t"),
    ]);
}

#[test]
fn control() {
    check(&[
        ("{{ if true }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if $labels.missing }}yes{{ else if $labels.job }}job{{ else }}no{{ end }}", "job"),
        ("{{ with $labels.job }}{{ . }}{{ end }}{{ with \"\" }}x{{ else }}empty{{ end }}", "nodeempty"),
        ("{{ with \"\" }}x{{ else with \"b\" }}{{ . }}{{ end }}", "b"),
        (
            "{{ range $name, $value := $labels }}{{ $name }}={{ $value }} {{ end }}",
            "instance=web1.example.com:9100 job=node ",
        ),
        ("{{ range query \"nothing\" }}x{{ else }}none{{ end }}", "none"),
        ("{{ range $i, $s := query \"metric\" }}{{ $i }}:{{ .Value }} {{ end }}", "0:21 1:11 "),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        (
            "{{ range 5 }}{{ if eq . 3 }}{{ break }}{{ end }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}",
            "02",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" $labels.job }}", "<node>"),
        (
            "{{ define \"t\" }}{{ .arg0 }}-{{ .arg1 }}{{ .arg2 }}{{ end }}{{ template \"t\" (args 1 \"b\") }}",
            "1-b<no value>",
        ),
        ("{{ block \"t\" 5 }}[{{ . }}]{{ end }}", "[5]"),
    ]);
}

#[test]
fn pipes_and_comparisons() {
    check(&[
        ("{{ $value | printf \"%.1f\" }}", "1234.5"),
        ("{{ \"a\" | printf \"%s%s\" \"b\" }}", "ba"),
        ("{{ (printf \"%d\" 3) | len }}", "1"),
        ("{{ eq 1 1 }} {{ eq \"a\" \"b\" \"a\" }} {{ ne 1 2 }} {{ eq 1.0 1.0 }}", "true true true true"),
        ("{{ lt 1 2 }} {{ le 2 2 }} {{ gt \"b\" \"a\" }} {{ ge 1.5 2.5 }}", "true true true false"),
        ("{{ gt $value 1000.0 }}", "true"),
        ("{{ and 1 0 2 }} {{ or 0 \"\" 3 }} {{ not 0 }}", "0 3 true"),
        ("{{ or 1 (index $labels 5) }}", "1"),
        (
            "{{ len $labels }} {{ len \"abc\" }} {{ index $labels \"job\" }} {{ slice \"abcd\" 1 3 }}",
            "2 3 node bc",
        ),
        ("{{ print 1 2 \"a\" 3 }}|{{ println \"a\" 1 }}", "1 2a3|a 1\n"),
    ]);
}

#[test]
fn queries() {
    check(&[
        ("{{ query \"metric\" | first | value }}", "21"),
        ("{{ query \"metric\" | first | label \"instance\" }}", "b"),
        ("{{ (query \"metric\" | first).Labels.instance }}", "b"),
        (
            "{{ range query \"metric\" | sortByLabel \"instance\" }}{{ .Labels.instance }}{{ .Value }} {{ end }}",
            "a11 b21 ",
        ),
        ("{{ with query \"metric\" }}{{ . | first | value | humanize }}{{ end }}", "21"),
        ("{{ query \"metric\" | len }} {{ (index (query \"metric\") 1).Value }}", "2 11"),
        ("{{ query \"metric\" | first | strvalue }}", ""),
        (
            "{{ range query \"metric\" }}{{ . }}{{ end }}",
            "{map[__name__:metric instance:b] 21}{map[__name__:metric instance:a] 11}",
        ),
    ]);
}

#[test]
fn numbers_for_people() {
    check(&[
        (
            "{{ humanize 0.0 }} {{ humanize 1234567.0 }} {{ humanize .00012 }} {{ humanize \"-1500\" }}",
            "0 1.235M 120u -1.5k",
        ),
        ("{{ humanize1024 0.0 }} {{ humanize1024 1048576.0 }} {{ humanize1024 12 }}", "0 1Mi 12"),
        (
            "{{ humanizeDuration 0.0 }} {{ humanizeDuration 1.5 }} {{ humanizeDuration 3661 }} {{ humanizeDuration -90.0 }} {{ humanizeDuration 86400.0 }} {{ humanizeDuration 0.012 }}",
            "0s 1.5s 1h 1m 1s -1m 30s 1d 0h 0m 0s 12ms",
        ),
        ("{{ humanizePercentage 0.123456 }} {{ humanizePercentage 1 }}", "12.35% 100%"),
        ("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        (
            "{{ (toTime 1435065584.128).Year }} {{ (toTime 0).Format \"2006-01-02\" }} {{ toTime 0 }}",
            "2015 1970-01-01 1970-01-01 00:00:00 +0000 UTC",
        ),
        (
            "{{ toDuration 3600 }} {{ (toDuration 90.0).Minutes }} {{ toDuration 60 | humanizeDuration }}",
            "1h0m0s 1.5 1m 0s",
        ),
        ("{{ parseDuration \"1h30m\" }}", "5400"),
    ]);
}

#[test]
fn texts() {
    check(&[
        (
            "{{ title \"hello wORLD don't\" }} {{ toUpper \"aé\" }} {{ toLower \"AB\" }}",
            "Hello WORLD Don't AÉ ab",
        ),
        ("{{ match \"a.c\" \"xabcx\" }} {{ reReplaceAll \"(a)(b)\" \"$2${1}\" \"abab\" }}", "true baba"),
        ("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", "web1.example.com web1:9100"),
        (
            "{{ graphLink \"up == 1\" }} {{ tableLink \"up\" }}",
            "/graph?g0.expr=up+%3D%3D+1&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
        ),
        (
            "{{ urlQueryEscape \"a b&c\" }} {{ urlquery \"a b\" }} {{ safeHtml \"<b>\" }} {{ html \"<b>\" }}",
            "a+b%26c a+b <b> &lt;b&gt;",
        ),
    ]);
}

#[test]
fn histograms_are_written_out() {
    let (histogram, _) =
        isinglass_promql::Histogram::parse_test("{{schema:0 sum:5 count:4 buckets:[1 3]}}").unwrap();
    let value = Value::Histogram(Arc::new(histogram));
    assert_eq!(expand("{{ $value }}", value).unwrap(), "{count:4, sum:5, (0.5,1]:1, (1,2]:3}");
}

#[test]
fn what_cannot_be_read() {
    check_errors(&[
        ("{{ foo }}", "template: __alert_A:1: function \"foo\" not defined"),
        ("{{ $x }}", "undefined variable \"$x\""),
        ("{{ if true }}", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{", "unclosed action"),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{ }}", "missing value for command"),
        ("{{ 1 | 2 }}", "non executable command in pipeline stage 2: 2"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("a\n\n{{ foo }}", "template: __alert_A:3: function \"foo\" not defined"),
        ("{{ /* a */ }}", "unexpected '/' in command"),
        ("{{ 1x }}", "bad number syntax: \"1x\""),
        ("{{ if }}x{{ end }}", "missing value for if"),
        ("{{ template t }}", "unexpected <t> in template clause"),
        ("{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}", "unexpected {{define}}"),
    ]);
}

#[test]
fn what_cannot_be_run() {
    check_errors(&[
        (
            "{{ $labels.job.x }}",
            "executing \"__alert_A\" at <$labels.job.x>: can't evaluate field x in type string",
        ),
        ("{{ query \"bad\" }}", "at <query \"bad\">: error calling query: no bad"),
        (
            "{{ query \"nothing\" | first }}",
            "at <first>: error calling first: first() called on vector with no elements",
        ),
        ("{{ gt $value 5 }}", "error calling gt: incompatible types for comparison"),
        ("{{ humanize \"x\" }}", "error calling humanize: strconv.ParseFloat: parsing \"x\": invalid syntax"),
        ("{{ toUpper 1 }}", "wrong type for value; expected string; got int"),
        ("{{ humanize }}", "wrong number of args for humanize: want 1 got 0"),
        ("{{ len 1 }}", "error calling len: len of type int"),
        ("{{ match \"(\" \"a\" }}", "unclosed group"),
        ("{{ template \"none\" }}", "template \"none\" not defined"),
        ("{{ range $value }}{{ end }}", "range can't iterate over 1234.5"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ 1 2 }}", "can't give argument to non-function 1"),
        ("{{ index (query \"metric\") 7 }}", "error calling index: index out of range: 7"),
    ]);
}

#[test]
fn everything_is_bounded() {
    check_errors(&[
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "exceeded maximum template depth (32)",
        ),
        ("{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}", "more than 100000 steps"),
        (
            "{{ $x := \"0123456789\" }}{{ range 50 }}{{ $x = print $x $x }}{{ end }}",
            "result is longer than 65536 bytes",
        ),
        ("{{ range 90000 }}abc{{ end }}", "result is longer than 65536 bytes"),
        ("{{ range 20 }}{{ query (printf \"q%d\" .) }}{{ end }}", "error calling query: no q0"),
        ("{{ printf \"%100000d\" 1 }}", "error calling printf: result is longer than 65536 bytes"),
    ]);
    let deep = |count: usize| format!("{{{{ {}1{} }}}}", "(".repeat(count), ")".repeat(count));
    assert_eq!(expand(&deep(50), Value::Nil).as_deref(), Ok("1"));
    assert!(expand(&deep(100_000), Value::Nil).unwrap_err().contains("template has"));
    assert!(expand(&deep(20_000), Value::Nil).unwrap_err().ends_with("nested deeper than 64"));
    assert!(expand(&"{{if 1}}".repeat(8_000), Value::Nil).unwrap_err().ends_with("nested deeper than 64"));
}

#[test]
fn places_are_those_of_upstream() {
    let message = expand("{{ $labels.job.x }}", Value::Nil).unwrap_err();
    let column = ALERT_VARIABLES.len() + 3;
    let place = format!("error executing template __alert_A: template: __alert_A:1:{column}: executing");
    assert!(message.starts_with(&place), "{message}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\{\\{|\\}\\}|[ -~]|\\PC|\n){0,60}") {
        let _ = expand(&text, Value::Float(1.0));
    }

    #[test]
    fn no_tokens_panic(parts in proptest::collection::vec(proptest::sample::select(vec![
        "{{", "}}", "{{-", "-}}", " ", "if", "range", "with", "end", "else", "define", "template", "block",
        "break", "continue", "\"t\"", "$x", "$labels", ".job", ".", "|", "(", ")", ":=", "=", ",", "1", "1.5",
        "printf", "\"%5.2f\"", "query", "\"metric\"", "first", "value", "index", "slice", "humanize", "len", "eq",
        "/*", "*/", "'a'", "nil", "true", "toTime", "args", "é",
    ]), 0..30)) {
        let _ = expand(&parts.join(""), Value::Float(1.0));
        let _ = expand(&format!("{{{{ {} }}}}", parts.join(" ")), Value::Int(i64::MIN));
    }

    #[test]
    fn no_verb_panics(verb in "[%+# 0.0-9*a-zA-Zé-]{0,8}", float: f64, int: i64, text in "\\PC{0,5}") {
        let args = [Value::Float(float), Value::Int(int), Value::text(&text), Value::Nil, Value::Time(int), Value::Duration(int)];
        for arg in args {
            let _ = printf::format(&format!("%{verb}"), &[arg], 100);
        }
        let _ = (humanize::metric(float), humanize::binary(float), humanize::duration(float));
        let _ = (humanize::timestamp(float), time::layout(int, &text), humanize::time_of(float));
    }
}
