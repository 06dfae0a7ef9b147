use isinglass_promql::Labels;

use super::*;
use crate::backend::LoadedSeries;

/// Answers by a closure, and remembers what it was asked.
struct Fake<F> {
    answer: F,
    asked: Vec<String>,
}

/// A query: its text, and its first and last time with the step between.
struct Asked<'a> {
    query: &'a str,
    start_ms: i64,
    end_ms: i64,
    step_ms: Option<i64>,
}

impl<F: FnMut(&Asked<'_>) -> Answer> Fake<F> {
    fn ask(&mut self, asked: &Asked<'_>) -> Answer {
        let step = asked.step_ms.map_or(String::new(), |step_ms| format!("..{} by {step_ms}", asked.end_ms));
        self.asked.push(format!("{} at {}{step}", asked.query, asked.start_ms));
        (self.answer)(asked)
    }
}

impl<F: FnMut(&Asked<'_>) -> Answer> Backend for Fake<F> {
    fn clear(&mut self) -> Result<(), String> {
        self.asked.push("clear".to_owned());
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        self.asked.push(format!("load {}", series.len()));
        if series.is_empty() { Err("nothing to load".to_owned()) } else { Ok(()) }
    }

    fn instant(&mut self, query: &str, time_ms: i64) -> Answer {
        self.ask(&Asked { query, start_ms: time_ms, end_ms: time_ms, step_ms: None })
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        self.ask(&Asked { query, start_ms, end_ms, step_ms: Some(step_ms) })
    }
}

fn run(text: &str, answer: impl FnMut(&Asked<'_>) -> Answer) -> (FileReport, Vec<String>) {
    let script = Script::parse("x.test", text).unwrap();
    let mut fake = Fake { answer, asked: Vec::new() };
    let report = run_script(&script, &mut fake, None);
    (report, fake.asked)
}

/// The value everywhere, under the label set `{}`.
fn constant(value: f64) -> impl Fn(&Asked<'_>) -> Answer {
    move |asked| {
        let step_ms = asked.step_ms.unwrap_or(1).max(1);
        let times = (0..).map(|at| asked.start_ms + at * step_ms).take_while(|time| *time <= asked.end_ms);
        let points = times.map(|time_ms| (time_ms, Found::Float(value))).collect();
        let rows = vec![Row { labels: Labels::empty(), points }];
        Answer::of(if asked.step_ms.is_some() { Outcome::Matrix(rows) } else { Outcome::Vector(rows) })
    }
}

fn failure(text: &str, answer: impl FnMut(&Asked<'_>) -> Answer) -> String {
    run(text, answer).0.first_failure.unwrap_or_else(|| "passed".to_owned())
}

#[test]
fn commands_run_in_order() {
    let (report, asked) =
        run("load 1m\n a 1\n\nclear\nload 1m\n\neval range from 0 to 1m step 1m x\n {} 1 1", constant(1.0));
    assert_eq!(asked, ["clear", "load 1", "clear", "load 0", "x at 0..60000 by 60000"]);
    assert_eq!((report.passed, report.failed, report.executions), (1, 1, 1));
    assert_eq!(report.first_failure.as_deref(), Some("line 5: load: nothing to load"));
}

#[test]
fn an_instant_eval_is_run_at_other_times_and_as_a_range_query() {
    let (report, asked) = run("eval instant at 5m x\n {} 1", constant(1.0));
    assert_eq!((report.passed, report.failed, report.executions), (1, 0, 12));
    assert_eq!(asked[1..3], ["x at 300000", "x at 240000..360000 by 60000"]);
    assert_eq!(asked[3..5], ["x @ 300.000 at -3000000", "x @ 300.000 at -3060000..-2940000 by 60000"]);
    let instants: Vec<_> = asked[3..].iter().filter(|asked| !asked.contains("..")).collect();
    assert_eq!(instants.len(), 5);
    assert_eq!(*instants[2], "x @ 300.000 at 60000");
}

#[test]
fn a_result_that_changes_with_the_time_is_a_failure() {
    let at = |asked: &Asked<'_>| constant(if asked.start_ms == 60_000 { 1.0 } else { 2.0 })(asked);
    let failure = failure("eval instant at 1m x\n {} 1", at);
    assert!(failure.starts_with("line 1: x: in a range query: {}: expected 1, got [2@60000]"), "{failure}");
    let at = |asked: &Asked<'_>| constant(if asked.query == "x" { 1.0 } else { 2.0 })(asked);
    let failure = super::tests::failure("eval instant at 1m x\n {} 1", at);
    assert!(failure.contains("as x @ 60.000 at -600000 ms: {}: expected 1, got [2@-600000]"), "{failure}");
}

#[test]
fn what_has_no_middle_step() {
    let executions = |text: &str, answer: &dyn Fn(&Asked<'_>) -> Answer| {
        let (report, asked) = run(text, answer);
        assert_eq!(report.failed, 0, "{report}");
        assert_eq!(report.executions, asked.len() - 1);
        asked.iter().filter(|asked| asked.contains("..")).count()
    };
    let text = |_: &Asked<'_>| Answer::of(Outcome::Text("a".to_owned()));
    assert_eq!(executions("eval instant at 1m \"a\"\n expect string `a`", &text), 0);
    assert_eq!(executions("eval instant at 1m start()\n {} 1", &constant(1.0)), 0);
    assert_eq!(executions("eval instant at 1m time()\n {} 1", &constant(1.0)), 1);
    let fails = |_: &Asked<'_>| Answer::error("no");
    assert_eq!(executions("eval instant at 1m x\n expect fail msg: no", &fails), 0);
}

#[test]
fn scalars_in_a_range_query_are_series() {
    let answer = |asked: &Asked<'_>| match asked.step_ms {
        None => Answer::of(Outcome::Scalar(3.0)),
        Some(_) => constant(3.0)(asked),
    };
    assert_eq!(failure("eval instant at 1m 3\n 3", answer), "passed");
    let missing = |asked: &Asked<'_>| match asked.step_ms {
        None => Answer::of(Outcome::Scalar(3.0)),
        Some(_) => Answer::of(Outcome::Matrix(Vec::new())),
    };
    assert!(failure("eval instant at 1m 3\n 3", missing).contains("no scalar in the middle step"));
}

#[test]
fn errors() {
    let fails = |_: &Asked<'_>| Answer::error("no");
    assert_eq!(failure("eval instant at 1m x", fails), "line 1: x: error: no");
    assert!(failure("eval instant at 1m x\n expect fail msg: yes", fails).contains("got \"no\""));
    assert!(failure("eval instant at 1m x\n expect fail", constant(1.0)).contains("got a result"));
    let only_in_range = |asked: &Asked<'_>| match asked.step_ms {
        None => constant(1.0)(asked),
        Some(_) => Answer::error("no"),
    };
    assert_eq!(
        failure("eval instant at 1m x\n {} 1", only_in_range),
        "line 1: x: in a range query: error: no"
    );
}

#[test]
fn samples_have_the_time_of_evaluation() {
    let late = |asked: &Asked<'_>| {
        let point = (asked.start_ms + 1, Found::Float(1.0));
        Answer::of(Outcome::Vector(vec![Row { labels: Labels::empty(), points: vec![point] }]))
    };
    assert!(failure("eval instant at 1m x\n {} 1", late).contains("has the time 60001 ms, not 60000 ms"));
}

#[test]
fn one_line_alone_with_what_it_needs() {
    let script =
        Script::parse("x.test", "load 1m\n a 1\n\neval instant at 0 x\n {} 2\n\neval instant at 0 y\n {} 1");
    let mut fake = Fake { answer: constant(1.0), asked: Vec::new() };
    let report = run_script(&script.unwrap(), &mut fake, Some(7));
    assert_eq!((report.passed, report.failed), (1, 0));
    assert_eq!(fake.asked[..3], ["clear", "load 1", "y at 0"]);
}

#[test]
fn folders() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/promql"));
    let reports =
        run_folder(folder, || Fake { answer: |_: &Asked<'_>| Answer::error("no"), asked: Vec::new() });
    assert_eq!(reports.len(), 21);
    assert_eq!(reports.iter().map(|report| report.passed + report.failed).sum::<usize>(), 1550);
    let missing = run_folder(&folder.join("missing"), || Fake { answer: constant(1.0), asked: Vec::new() });
    assert_eq!((missing.len(), missing[0].failed), (1, 1));
}
