//! Conditions over a batch.
//!
//! What a resource, a scope or a series decides is asked of it, not of its rows: a pattern is
//! looked at once per distinct value. Where all rows fit, or none, no row is looked at.

use isinglass_model::Tenant;
use isinglass_model::columns::{Encoding, Shape};
use isinglass_model::labels::LabelSet;

use super::pattern::Pattern;
use super::remembered::Remembered;
use super::{Field, SERVICE_NAME, When};
use crate::columns::{Data, Offered, Prepared, Text};
use crate::shown::Shown;

/// The conditions of a binding, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    clauses: Vec<Clause>,
    remembered: Remembered,
    /// The same as JSON text, empty without any.
    text: String,
}

#[derive(Debug, Clone)]
struct Clause {
    of: Of,
    patterns: Vec<Pattern>,
    not: bool,
}

/// Where a value is found.
#[derive(Debug, Clone)]
enum Of {
    Service,
    Scope,
    Metric,
    /// The column of rows, the label of series.
    Resource {
        column: String,
        label: String,
    },
}

/// What a clause says of a batch.
enum Said {
    All,
    None,
    Rows(Vec<bool>),
}

impl Condition {
    /// Of conditions that were checked.
    pub(crate) fn new(when: &When) -> Result<Self, String> {
        if when.is_empty() {
            return Ok(Self::default());
        }
        let clause = |(field, patterns, not): (Field<'_>, &[String], bool)| {
            let patterns = patterns.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>()?;
            Ok::<_, String>(Clause { of: Of::new(field), patterns, not })
        };
        let clauses = when.clauses().map(clause).collect::<Result<_, _>>()?;
        let text = serde_json::to_string(when).map_err(|error| error.to_string())?;
        Ok(Self { clauses, text, remembered: Remembered::default() })
    }

    /// Whether there is none: all is shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// JSON text, the same for the same conditions.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The columns of log records and spans that it is asked with.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.clauses.iter().filter_map(|clause| clause.of.column())
    }

    /// The rows of a tenant's batch that are shown.
    pub(crate) fn rows(&self, tenant: &Tenant, offered: &mut Offered<'_>) -> Shown {
        if self.is_empty() {
            return Shown::all(offered.rows());
        }
        match offered.shape() {
            Shape::Samples | Shape::Series => self.rows_of_series(tenant, offered),
            Shape::Logs | Shape::Spans => self.rows_of_table(offered),
        }
    }

    fn rows_of_series(&self, tenant: &Tenant, offered: &Offered<'_>) -> Shown {
        let of = offered.series();
        let known = of.as_ref().map(|of| self.remembered.read(tenant, of));
        let mut new = Vec::new();
        let mut fits = |row: usize| {
            if let Some(fits) = known.as_ref().and_then(|known| known[row]) {
                return fits;
            }
            let mut said = None;
            offered.labels_of(row, &mut |labels| said = Some(self.fits(labels)));
            new.extend(of.as_ref().and_then(|of| Some((of.series[row], said?))));
            said.unwrap_or(false)
        };
        let fit: Vec<bool> = (0..offered.rows()).map(&mut fits).collect();
        if let Some(of) = of {
            self.remembered.write(tenant, of.life, &new);
        }
        Shown::of(&fit)
    }

    fn rows_of_table(&self, offered: &mut Offered<'_>) -> Shown {
        let rows = offered.rows();
        let mut fit: Option<Vec<bool>> = None;
        for clause in &self.clauses {
            match (clause.over(offered), &mut fit) {
                (Said::All, _) => {}
                (Said::None, _) => return Shown::all(0),
                (Said::Rows(said), None) => fit = Some(said),
                (Said::Rows(said), Some(fit)) => {
                    fit.iter_mut().zip(said).for_each(|(fit, said)| *fit &= said)
                }
            }
        }
        fit.map_or_else(|| Shown::all(rows), |fit| Shown::of(&fit))
    }

    /// Whether samples of a series are shown.
    pub(crate) fn fits(&self, labels: &LabelSet) -> bool {
        self.clauses.iter().all(|clause| clause.fits_labels(labels))
    }
}

impl Of {
    fn new(field: Field<'_>) -> Self {
        match field {
            Field::Service | Field::Resource(SERVICE_NAME) => Self::Service,
            Field::Scope => Self::Scope,
            Field::Metric => Self::Metric,
            Field::Resource(key) => {
                Self::Resource { column: format!("resource:{key}"), label: label_of(key) }
            }
        }
    }

    fn column(&self) -> Option<&str> {
        match self {
            Self::Service => Some("service"),
            Self::Scope => Some("scope_name"),
            Self::Resource { column, .. } => Some(column),
            Self::Metric => None,
        }
    }
}

/// The label that an attribute of a resource is in Prometheus, as `decode` has it.
fn label_of(key: &str) -> String {
    if key == "service.instance.id" {
        return "instance".to_owned();
    }
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let label: String = key.chars().map(word).collect();
    match label.as_bytes() {
        [b'0'..=b'9', ..] => format!("key_{label}"),
        [b'_', other, ..] if *other != b'_' => format!("key{label}"),
        _ => label,
    }
}

/// The namespace that `job` begins with.
fn namespace<'a>(labels: &'a LabelSet, label: &str) -> Option<&'a str> {
    let job = labels.get("job").filter(|_| label == "service_namespace")?;
    job.split_once('/').map(|(namespace, _)| namespace)
}

impl Clause {
    fn fits(&self, value: Option<&str>) -> bool {
        self.patterns.iter().any(|pattern| pattern.fits(value)) != self.not
    }

    fn whole(&self, value: Option<&str>) -> Said {
        if self.fits(value) { Said::All } else { Said::None }
    }

    fn fits_labels(&self, labels: &LabelSet) -> bool {
        let metric = || Some(labels.metric()).filter(|name| !name.is_empty());
        match &self.of {
            Of::Metric => self.fits(metric()),
            Of::Scope => self.fits(labels.get("otel_scope_name")),
            Of::Resource { label, .. } => self.fits(labels.get(label).or_else(|| namespace(labels, label))),
            Of::Service => match (labels.get("service_name"), labels.get("job")) {
                (None, Some(job)) => {
                    // As OTLP has it, `job` is the service with its namespace before it.
                    let name = job.split_once('/').map(|(_, name)| name);
                    let any = |pattern: &Pattern| {
                        pattern.fits(Some(job)) || name.is_some_and(|name| pattern.fits(Some(name)))
                    };
                    self.patterns.iter().any(any) != self.not
                }
                (name, _) => self.fits(name.or_else(|| labels.get("service"))),
            },
        }
    }

    fn over(&self, offered: &mut Offered<'_>) -> Said {
        let rows = offered.rows();
        let column = self.of.column().and_then(|name| offered.column(name, Encoding::Dictionary));
        let Some(column) = column else { return self.whole(None) };
        match &column.data {
            Data::Dictionary { keys, values } => self.over_texts(column, keys, values, rows),
            Data::I64(numbers) => self.over_numbers(column, numbers),
            _ => self.whole(None),
        }
    }

    fn over_texts(&self, column: &Prepared, keys: &[u32], values: &Text, rows: usize) -> Said {
        let mut used = vec![values.len() <= rows; values.len()];
        if values.len() > rows {
            keys.iter().for_each(|key| used[*key as usize] = true);
        }
        let text = |at: usize| std::str::from_utf8(values.value(at)).ok();
        let fit: Vec<bool> = used.iter().enumerate().map(|(at, used)| *used && self.fits(text(at))).collect();
        let absent = self.fits(None);
        let nulls = column.has_nulls();
        let of_used = || fit.iter().zip(&used).filter(|(_, used)| **used).map(|(fit, _)| *fit);
        if of_used().all(|fit| fit) && (absent || !nulls) {
            return Said::All;
        }
        if !of_used().any(|fit| fit) && (!absent || !nulls) {
            return Said::None;
        }
        let fits = |(row, key): (usize, &u32)| if column.is_valid(row) { fit[*key as usize] } else { absent };
        Said::Rows(keys.iter().enumerate().map(fits).collect())
    }

    /// Numbers as text. They come in runs: a resource has one.
    fn over_numbers(&self, column: &Prepared, numbers: &[i64]) -> Said {
        let absent = self.fits(None);
        let mut last: Option<(i64, bool)> = None;
        let fits = |(row, number): (usize, &i64)| {
            if !column.is_valid(row) {
                return absent;
            }
            match last {
                Some((known, fits)) if known == *number => fits,
                _ => {
                    let fits = self.fits(Some(&number.to_string()));
                    last = Some((*number, fits));
                    fits
                }
            }
        };
        Said::Rows(numbers.iter().enumerate().map(fits).collect())
    }
}
