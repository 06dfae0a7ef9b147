//! Patterns of log lines in SQL, by the same code as the counters of `log-patterns`.
//!
//! ```sql
//! SELECT log_pattern(body) AS pattern, count(*) FROM logs GROUP BY pattern ORDER BY 2 DESC;
//! SELECT service, log_patterns(body) FROM logs GROUP BY service;
//! SELECT span_name_patterns(name) FROM spans;
//! ```

use isinglass_plugin::{
    Arguments, Config, Fault, Function, FunctionLibrary, Grouping, Plugin, Request, States, ValueType,
    Values, accumulate, export_functions, json_text, merge,
};
use pattern_mining::{CONFIG_SCHEMA, Pattern, Patterns, Sketch, mask_name};

/// Patterns in the answer of the aggregate.
const SHOWN_MAX: usize = 100;

/// Index of the function of names.
const NAMES: usize = 2;

const FUNCTIONS: [Function; 3] = [
    Function::scalar("log_pattern", &[ValueType::Text], ValueType::Text)
        .help("The pattern of a log line: what varies is <_>."),
    Function::aggregate("log_patterns", &[ValueType::Text], ValueType::Text)
        .help("The patterns of log lines by Drain, as JSON, the most frequent first."),
    Function::aggregate("span_name_patterns", &[ValueType::Text], ValueType::Text)
        .help("Patterns for span-metrics of names that differ in places with many words, as JSON."),
];

/// The plugin.
#[derive(Debug)]
pub struct LogPattern {
    patterns: Patterns,
}

impl Plugin for LogPattern {
    const NAME: &'static str = "log-pattern";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = CONFIG_SCHEMA;
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(config: Config) -> Result<Self, String> {
        Patterns::read(config).map(|patterns| Self { patterns })
    }
}

impl FunctionLibrary for LogPattern {
    fn functions(&self) -> Vec<Function> {
        FUNCTIONS.to_vec()
    }

    fn call(&self, _: usize, arguments: &Arguments) -> Result<Values, Fault> {
        let lines = arguments.text(0)?;
        let patterns: Vec<String> = (0..arguments.rows())
            .map(|row| {
                let mut pattern = String::new();
                self.patterns.of(lines.get(row).unwrap_or_default(), &mut pattern);
                pattern
            })
            .collect();
        Ok(Values::texts(patterns.iter().map(String::as_str)).valid_where(arguments.validity()))
    }

    fn accumulate(
        &self,
        function: usize,
        grouping: &Grouping,
        arguments: &Arguments,
    ) -> Result<States, Fault> {
        let lines = arguments.text(0)?;
        let mut pattern = String::new();
        Ok(accumulate(grouping, arguments.rows(), |sketch: &mut Sketch, row| {
            if let Some(line) = lines.get(row) {
                match function {
                    NAMES => pattern = mask_name(line),
                    _ => self.patterns.of(line, &mut pattern),
                }
                sketch.add(&pattern);
            }
        }))
    }

    fn merge(&self, _: usize, grouping: &Grouping, states: &States) -> Result<States, Fault> {
        merge::<Sketch>(grouping, states)
    }

    fn finish(&self, function: usize, states: &States) -> Result<Values, Fault> {
        let shown = |sketch: &Sketch| match function {
            NAMES => as_json(sketch.lines(), "spans", &sketch.mine_names()),
            _ => as_json(sketch.lines(), "lines", &sketch.mine()),
        };
        let texts: Vec<String> = states.read::<Sketch>()?.iter().map(shown).collect();
        Ok(Values::texts(texts.iter().map(String::as_str)))
    }
}

/// `{"lines":3,"patterns":[{"pattern":"…","lines":2},…]}`
fn as_json(count: u64, of: &str, patterns: &[Pattern]) -> String {
    let pattern = |Pattern { text, lines }: &Pattern| {
        ["{\"pattern\":", &json_text(text), ",\"", of, "\":", &lines.to_string(), "}"].concat()
    };
    let patterns: Vec<String> = patterns.iter().take(SHOWN_MAX).map(pattern).collect();
    ["{\"", of, "\":", &count.to_string(), ",\"patterns\":[", &patterns.join(","), "]}"].concat()
}

export_functions!(LogPattern);

#[cfg(test)]
mod tests {
    use isinglass_plugin::{Column, Data};

    use super::*;

    const LINES: [&str; 5] =
        ["user bob left", "user eve left", "took 5ms", "took 6ms", "user \"x\" left at 10:00"];

    fn arguments(lines: &[&str]) -> Arguments {
        let data = Data::Text(lines.iter().copied().collect());
        Arguments::new(lines.len(), vec![Column { slot: 0, validity: None, data }])
    }

    fn plugin() -> LogPattern {
        LogPattern::configure(Config::parse("").unwrap()).unwrap()
    }

    #[test]
    fn a_pattern_per_line() {
        let expected = ["user bob left", "user eve left", "took <_>", "took <_>", "user \"<_>\" left at <_>"];
        assert_eq!(plugin().call(0, &arguments(&LINES)).unwrap(), Values::texts(expected));
    }

    #[test]
    fn names_with_many_words_in_a_place_have_a_pattern() {
        let names: Vec<String> =
            (0..30).map(|at| format!("GET /users/{}/orders/{at}", "bob".repeat(at + 1))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["GET /users"]).collect();
        let one = Grouping { groups: 1, of_row: Vec::new() };
        let states = plugin().accumulate(NAMES, &one, &arguments(&names)).unwrap();
        let expected = r#"{"spans":31,"patterns":[{"pattern":"GET /users/<_>/orders/<_>","spans":30}]}"#;
        assert_eq!(plugin().finish(NAMES, &states).unwrap(), Values::texts([expected]));
    }

    #[test]
    fn patterns_of_a_group_do_not_depend_on_where_it_is_cut() {
        let one = Grouping { groups: 1, of_row: Vec::new() };
        let expected = r#"{"lines":5,"patterns":[{"pattern":"took <_>","lines":2},{"pattern":"user <_> left","lines":2},{"pattern":"user \"<_>\" left at <_>","lines":1}]}"#;
        for cut in 0..=LINES.len() {
            let part = |lines: &[&str]| {
                let states = plugin().accumulate(1, &one, &arguments(lines)).unwrap();
                states.read::<Sketch>().unwrap().remove(0)
            };
            let parts = States::of(&[part(&LINES[cut..]), part(&LINES[..cut])]);
            let merged = plugin().merge(1, &Grouping { groups: 1, of_row: vec![0, 0] }, &parts).unwrap();
            assert_eq!(plugin().finish(1, &merged).unwrap(), Values::texts([expected]), "{cut}");
        }
    }
}
