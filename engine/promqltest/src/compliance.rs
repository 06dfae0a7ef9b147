//! The queries of Prometheus' compliance suite.
//!
//! The suite is a list of templates in YAML (`tests/promql/compliance-queries.yml`); a template is
//! expanded with each value of each of its arguments. Only the part of YAML in which that file is
//! written is read here.
//!
//! <https://github.com/prometheus/compliance/tree/main/promql>

/// A query of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Case {
    /// The query.
    pub query: String,
    /// It must give an error.
    pub should_fail: bool,
    /// It must give a result, whatever it is.
    pub skip_comparison: bool,
}

/// Why a text is no list of templates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComplianceError {
    /// A line is wrong.
    #[error("line {line}: cannot read {text:?}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A template names an argument without values.
    #[error("no values for {{{{.{argument}}}}} in {query:?}")]
    Argument {
        /// The argument.
        argument: String,
        /// The template.
        query: String,
    },
}

/// The values of an argument of a template.
fn values(argument: &str) -> Option<&'static [&'static str]> {
    Some(match argument {
        "range" => &["1s", "15s", "1m", "5m", "15m", "1h"],
        "offset" => &["1m", "5m", "10m"],
        "simpleAggrOp" => &["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
        "simpleTimeAggrOp" => &["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last"],
        "topBottomOp" => &["topk", "bottomk"],
        "quantile" => &["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
        "arithBinOp" => &["+", "-", "*", "/", "%", "^"],
        "compBinOp" => &["==", "!=", "<", ">", "<=", ">="],
        "binOp" => &["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="],
        "simpleMathFunc" => &["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"],
        "extrapolatedRateFunc" => &["delta", "rate", "increase"],
        "clampFunc" => &["clamp_min", "clamp_max"],
        "instantRateFunc" => &["idelta", "irate"],
        "dateFunc" => &["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"],
        _ => return None,
    })
}

/// All queries of a list of templates, in its order.
///
/// # Errors
///
/// [`ComplianceError`].
pub fn expand(yaml: &str) -> Result<Vec<Case>, ComplianceError> {
    let mut cases = Vec::new();
    for template in templates(yaml)? {
        let mut expanded = vec![template.case];
        for argument in &template.arguments {
            let with = |case: &Case| with_values(case, argument);
            expanded = expanded.iter().map(with).collect::<Result<Vec<_>, _>>()?.concat();
        }
        cases.extend(expanded);
    }
    Ok(cases)
}

fn with_values(case: &Case, argument: &str) -> Result<Vec<Case>, ComplianceError> {
    let (query, argument) = (&case.query, argument.to_owned());
    let Some(values) = values(&argument) else {
        return Err(ComplianceError::Argument { argument, query: query.clone() });
    };
    let place = format!("{{{{.{argument}}}}}");
    Ok(values.iter().map(|value| Case { query: query.replace(&place, value), ..*case }).collect())
}

#[derive(Debug, Default)]
struct Template {
    case: Case,
    arguments: Vec<String>,
}

fn templates(yaml: &str) -> Result<Vec<Template>, ComplianceError> {
    let mut templates: Vec<Template> = Vec::new();
    for (at, line) in yaml.lines().enumerate() {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') || text == "test_cases:" {
            continue;
        }
        let read = match text.strip_prefix("- query:") {
            Some(query) => {
                let case = Case { query: scalar(query), ..Case::default() };
                templates.push(Template { case, arguments: Vec::new() });
                Some(())
            }
            None => templates.last_mut().and_then(|template| template.field(text)),
        };
        if read.is_none() {
            return Err(ComplianceError::Line { line: at + 1, text: text.to_owned() });
        }
    }
    Ok(templates)
}

impl Template {
    fn field(&mut self, text: &str) -> Option<()> {
        if let Some(argument) = text.strip_prefix("- ") {
            self.arguments.push(scalar(argument));
            return Some(());
        }
        let (key, value) = text.split_once(':')?;
        let value = value.trim();
        match key {
            "should_fail" => self.case.should_fail = value.parse().ok()?,
            "skip_comparison" => self.case.skip_comparison = value.parse().ok()?,
            "variant_args" if value.is_empty() => {}
            "variant_args" => {
                let list = value.strip_prefix('[')?.strip_suffix(']')?;
                self.arguments.extend(list.split(',').map(scalar));
            }
            _ => return None,
        }
        Some(())
    }
}

/// A text in single quotes, in which a quote is doubled, or without quotes.
fn scalar(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(yaml: &str) -> Vec<String> {
        expand(yaml).unwrap().into_iter().map(|case| case.query).collect()
    }

    #[test]
    fn templates_are_expanded_with_all_values() {
        assert_eq!(queries("test_cases:\n- query: '''a'''\n- query: b + 1"), ["'a'", "b + 1"]);
        assert_eq!(
            queries("- query: x offset {{.offset}}\n  variant_args:\n  - offset"),
            ["x offset 1m", "x offset 5m", "x offset 10m"]
        );
        let two = queries(
            "- query: '{{.topBottomOp}}(1, x[{{.range}}])'\n  variant_args: ['topBottomOp', 'range']",
        );
        assert_eq!(two.len(), 12);
        assert_eq!((two[0].as_str(), two[11].as_str()), ("topk(1, x[1s])", "bottomk(1, x[1h])"));
        let case = &expand("- query: x\n  should_fail: true\n  skip_comparison: true").unwrap()[0];
        assert!(case.should_fail && case.skip_comparison);
    }

    #[test]
    fn what_is_no_list_of_templates() {
        for wrong in ["query: x", "- query: x\n  what: 1", "- query: x\n  should_fail: maybe", "- offset"] {
            assert!(matches!(expand(wrong), Err(ComplianceError::Line { .. })), "{wrong:?}");
        }
        let unknown = "- query: '{{.what}}'\n  variant_args: [what]";
        assert!(matches!(expand(unknown), Err(ComplianceError::Argument { .. })));
    }

    #[test]
    fn the_suite_in_this_repository() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/promql/compliance-queries.yml");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(templates(&text).unwrap().len(), 83);
        let cases = expand(&text).unwrap();
        assert_eq!(cases.len(), 377);
        assert!(cases.iter().all(|case| !case.query.contains("{{")));
        assert_eq!(cases.iter().filter(|case| case.should_fail).count(), 4);
    }
}
