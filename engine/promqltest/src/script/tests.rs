use isinglass_promql::Sample;
use isinglass_promql::value::STALE;
use proptest::prelude::*;

use super::*;
use crate::points::Slot;

/// Evals of each file of `tests/promql`.
const EVALS: [(&str, usize); 21] = [
    ("aggregators", 113),
    ("at_modifier", 55),
    ("collision", 1),
    ("duration_expression", 42),
    ("extended_vectors", 115),
    ("fill-modifier", 32),
    ("functions", 299),
    ("histograms", 128),
    ("info", 37),
    ("limit", 23),
    ("literals", 21),
    ("name_label_dropping", 19),
    ("native_histograms", 372),
    ("operators", 150),
    ("range_queries", 9),
    ("selectors", 22),
    ("staleness", 13),
    ("start_timestamps", 18),
    ("subquery", 25),
    ("trig_functions", 16),
    ("type_and_unit", 40),
];

fn upstream(name: &str) -> Script {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/promql");
    Script::read(&Path::new(folder).join(format!("{name}.test"))).unwrap()
}

#[test]
fn every_eval_of_upstream_is_found() {
    let (mut instant, mut range, mut fail) = (0, 0, 0);
    for (name, expected) in EVALS {
        let script = upstream(name);
        assert_eq!(script.evals().count(), expected, "{name}");
        for (_, eval) in script.evals() {
            match eval.times {
                Times::Instant(_) => instant += 1,
                Times::Range(_) => range += 1,
            }
            fail += usize::from(eval.expect.fail.is_some());
        }
    }
    assert_eq!((instant, range, fail), (1324, 226, 25));
}

fn parse(text: &str) -> Vec<Command> {
    Script::parse("x.test", text).unwrap().commands
}

fn eval(text: &str) -> Eval {
    match parse(text).pop().unwrap().kind {
        CommandKind::Eval(eval) => *eval,
        other => panic!("{other:?}"),
    }
}

fn load(text: &str) -> Vec<LoadedSeries> {
    match parse(text).pop().unwrap().kind {
        CommandKind::Load(series) => series,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_and_their_lines() {
    let text = "# comment\n\nload 1m\n  a 1\n  # ends the block\n\nclear\neval instant at 5m a\n  a 1\n\n\
                eval range from 0 to 1m step 30s a\n";
    let lines: Vec<_> = parse(text).iter().map(|command| command.line).collect();
    assert_eq!(lines, [3, 7, 8, 11]);
}

#[test]
fn times_and_queries() {
    let check = |text: &str, times: Times, query: &str| {
        let eval = eval(text);
        assert_eq!((eval.times, eval.query.as_str()), (times, query), "{text:?}");
    };
    let range = |start_ms, end_ms, step_ms| Times::Range(Window { start_ms, end_ms, step_ms });
    check("eval instant at 0 up", Times::Instant(0), "up");
    check("eval instant at 1h30m  sum(up) + 1", Times::Instant(5_400_000), "sum(up) + 1");
    check("eval\tinstant\tat\t1s\tup", Times::Instant(1000), "up");
    check("eval_ordered instant at 1s sort(up)", Times::Instant(1000), "sort(up)");
    check("eval range from 1m to 10m step 30s up", range(60_000, 600_000, 30_000), "up");
    check("eval range from 0 to 0 step 1s a to b step c", range(0, 0, 1000), "a to b step c");
    check(
        "eval instant at 1m x[1m]\n  expect range vector from 10s to 50s step 10s\n  x 1 2",
        Times::Instant(50_000),
        "x[1m]",
    );
}

#[test]
fn expected_results() {
    let series = |text: &str| match eval(text).expect.result {
        Expected::Series(series) => series,
        other => panic!("{other:?}"),
    };
    assert!(series("eval instant at 0 x").is_empty());
    let two = series("eval instant at 0 x\n  x{a=\"b\"} 1\n  {} NaN");
    assert_eq!(two[0].labels.to_string(), r#"{__name__="x", a="b"}"#);
    assert_eq!(two[0].slots, [Slot::Float(1.0)]);
    assert_eq!(two[1].labels, isinglass_promql::Labels::empty());
    assert_eq!(series("eval range from 0 to 2m step 1m x\n  x 1 _ 3")[0].slots.len(), 3);
    assert!(matches!(eval("eval instant at 0 1\n  -0x10").expect.result, Expected::Scalar(-16.0)));
    let text = eval("eval instant at 0 \"a\"\n  expect string \"a\\n\"").expect.result;
    assert!(matches!(text, Expected::Text(text) if text == "a\n"));
}

#[test]
fn expected_failures_and_annotations() {
    let fail = |text: &str| eval(text).expect.fail.map(|fail| fail.to_string());
    assert_eq!(fail("eval instant at 0 x"), None);
    assert_eq!(fail("eval_fail instant at 0 x").as_deref(), Some("any text"));
    assert_eq!(fail("eval instant at 0 x\n expect fail").as_deref(), Some("any text"));
    assert_eq!(fail("eval instant at 0 x\n expect fail msg: a: b").as_deref(), Some("\"a: b\""));
    assert_eq!(
        fail("eval_fail range from 0 to 1s step 1s x\n expected_fail_message no").as_deref(),
        Some("\"no\"")
    );
    assert_eq!(
        fail("eval_fail instant at 0 x\n expected_fail_regexp n.*").as_deref(),
        Some("the pattern \"n.*\"")
    );

    let count = |annotations: &Annotations| match annotations {
        Annotations::Ignored => "ignored".to_owned(),
        Annotations::None => "none".to_owned(),
        Annotations::Matching(all) => all.len().to_string(),
    };
    let check = |text: &str, warnings: &str, infos: &str| {
        let expect = eval(text).expect;
        assert_eq!((count(&expect.warnings).as_str(), count(&expect.infos).as_str()), (warnings, infos));
    };
    check("eval instant at 0 x", "ignored", "ignored");
    check("eval_warn instant at 0 x", "1", "ignored");
    check("eval_info instant at 0 x", "ignored", "1");
    check("eval instant at 0 x\n expect no_warn\n expect info", "none", "1");
    check("eval instant at 0 x\n expect warn msg: a\n expect warn regex: b\n expect no_info", "2", "none");
}

#[test]
fn loaded_series() {
    let series = load("load 30s\n  a{b=\"c\"} 1 _ stale\n  d {{sum:1}}x1\n  a{b=\"c\"} 2 3");
    assert_eq!(series.len(), 2, "the last line of a label set counts");
    let points = |at: usize| -> Vec<_> { series[at].points.iter().map(|point| point.time_ms).collect() };
    assert_eq!((points(0), points(1)), (vec![0, 30_000], vec![0, 30_000]));

    let stale = load("load 1m\n  a 1 _ stale");
    assert_eq!(stale[0].points[1].time_ms, 120_000);
    assert!(matches!(stale[0].points[1].sample, Sample::Float(value) if value.to_bits() == STALE.to_bits()));
}

#[test]
fn start_timestamps() {
    let starts = |text: &str| -> Vec<_> {
        load(text).iter().flat_map(|series| &series.points).map(|point| point.start_ms).collect()
    };
    assert_eq!(starts("load 1m\n  a 1 2"), [None, None]);
    assert_eq!(starts("load 1m\n  a@st _ -30s\n  a 1 2"), [None, Some(30_000)]);
    assert_eq!(starts("load 1m\n  @st 0s -1m\n  a 1 _ 3"), [Some(0), Some(120_000)]);
    assert_eq!(starts("load 1m\n  a{b=\"c\"}@st -1mx1\n  a{b=\"c\"} _ 2"), [Some(0)]);
}

#[test]
fn errors_name_file_and_line() {
    let check = |text: &str, line: usize| {
        let error = Script::parse("x.test", text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("x.test:{line}: ")), "{text:?}: {error}");
    };
    check("what", 1);
    check("\nload", 2);
    check("load 1m\n a 1\n a x", 3);
    check("load_with 1m", 1);
    check("load 1m\n a@st 1m", 2);
    check("load 1m\n a@st 1m\n b 1", 3);
    check("load 1m\n a@st 1m\n a 1 2", 3);
    check("load 1m\n a@st 1m\n b@st 1m", 3);
    check("eval instant at 0", 1);
    check("eval instant at x up", 1);
    check("eval_what instant at 0 up", 1);
    check("eval_fail2 instant at 0 up", 1);
    check("eval range from 1m to 0 step 1s up", 1);
    check("eval sometimes up", 1);
    check("eval instant at 0 up\n up 1 2", 2);
    check("eval instant at 0 up\n up 1\n up 1", 3);
    check("eval instant at 0 up\n expect nothing", 2);
    check("eval instant at 0 up\n expect warn what: x", 2);
    check("eval instant at 0 up\n expect warn regex: (", 2);
    check("eval instant at 0 up\n expect warn\n expect no_warn", 3);
    check("eval instant at 0 up\n expect fail\n expect fail", 3);
    check("eval instant at 0 up\n expect string up", 2);
    check("eval instant at 0 1\n 1\n 2", 3);
}

proptest! {
    #[test]
    fn no_text_panics(text in "(load 1m|eval instant at 0 x|expect |a@st| |\n|[a-z0-9{}\"'_x+é-]){0,30}") {
        let _script = Script::parse("x", &text);
    }
}

/// Upstream's runner refuses a script with a query that cannot be parsed, so all of these can; the
/// rewritten ones as well, and to the same.
#[test]
fn every_query_of_upstream_and_its_variants_can_be_parsed() {
    use isinglass_lang::promql::parse;

    let mut queries = 0;
    for (name, _) in EVALS {
        for (line, eval) in upstream(name).evals() {
            let time_ms = match eval.times {
                Times::Instant(time_ms) => time_ms,
                Times::Range(window) => window.start_ms,
            };
            for variant in crate::variants::variants(&eval.query, time_ms) {
                let printed = match parse(&variant.query) {
                    Ok(expr) => expr.to_string(),
                    Err(fault) => panic!("{name}:{line}: {}: {fault}", variant.query),
                };
                let again = parse(&printed).map(|expr| expr.to_string());
                assert_eq!(again.as_ref(), Ok(&printed), "{name}:{line}");
                queries += 1;
            }
        }
    }
    assert!(queries > 1550 * 5, "{queries}");
}
