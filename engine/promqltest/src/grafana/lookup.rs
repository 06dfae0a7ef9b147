//! The queries from which variables get their options.

/// What a variable asks the data source for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// `label_values(label)`, `label_values(selector, label)`: values of a label, of all series or
    /// of those selected.
    LabelValues {
        /// The label.
        label: String,
        /// A selector, with variables in it.
        selector: Option<String>,
    },
    /// `label_names()`: names of labels.
    LabelNames,
    /// `metrics(pattern)`: names of metrics.
    Metrics(String),
    /// `query_result(expr)`: series of an instant query, each as a text with labels and value.
    QueryResult(String),
    /// Anything else: the series of a selector.
    Series(String),
}

impl Lookup {
    /// Reads what stands in a variable's query.
    pub fn of(query: &str) -> Self {
        let query = query.trim_end();
        let argument = |name: &str| query.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(inside) = argument("label_values").filter(|inside| !inside.is_empty()) {
            return Self::label_values(inside);
        }
        match (argument("metrics"), argument("query_result"), query) {
            (Some(pattern), ..) if !pattern.is_empty() => Self::Metrics(pattern.to_owned()),
            (_, Some(expr), _) if !expr.is_empty() => Self::QueryResult(expr.to_owned()),
            (.., "label_names()") => Self::LabelNames,
            _ => Self::Series(query.to_owned()),
        }
    }

    /// The label stands behind the last comma.
    fn label_values(inside: &str) -> Self {
        let (selector, label) = match inside.rsplit_once(',') {
            Some((selector, label)) => (Some(selector.to_owned()), label),
            None => (None, inside),
        };
        Self::LabelValues { label: label.trim().to_owned(), selector }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, wanted: Lookup) {
        assert_eq!(Lookup::of(query), wanted, "{query}");
    }

    #[test]
    fn as_grafana_reads_them() {
        let values = |label: &str, selector: Option<&str>| Lookup::LabelValues {
            label: label.to_owned(),
            selector: selector.map(str::to_owned),
        };
        check("label_values(job)", values("job", None));
        check("label_values(up, job) ", values("job", Some("up")));
        check(r#"label_values(up{a="b,c",d=~"$e"}, job)"#, values("job", Some(r#"up{a="b,c",d=~"$e"}"#)));
        check("query_result(sum by (a) (b))", Lookup::QueryResult("sum by (a) (b)".into()));
        check("metrics(node_.+)", Lookup::Metrics("node_.+".into()));
        check("label_names()", Lookup::LabelNames);
        check("up{a=\"b\"}", Lookup::Series("up{a=\"b\"}".into()));
        check("label_values()", Lookup::Series("label_values()".into()));
    }
}
