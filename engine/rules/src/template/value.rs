//! Values of templates.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Arc;

use isinglass_promql::Histogram;

use super::number::shortest;
use super::time::{format_duration, format_time};

/// What a part of a template stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: a missing entry of a map.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A native histogram.
    Histogram(Arc<Histogram>),
    /// Labels by name; a missing one is empty.
    Labels(Arc<BTreeMap<String, String>>),
    /// What `args` makes.
    Map(Arc<BTreeMap<String, Value>>),
    /// One series of a query.
    Series(Arc<TemplateSeries>),
    /// All series of a query.
    List(Arc<Vec<Arc<TemplateSeries>>>),
    /// Nanoseconds since the epoch.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// What a template is about.
    Data(Arc<Data>),
}

/// A series of a query, as templates see it.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateSeries {
    /// All its labels, the metric's name among them.
    pub labels: Arc<BTreeMap<String, String>>,
    /// A float or a histogram.
    pub value: Value,
}

/// What a template of an alert is about: `.Labels`, `.ExternalLabels`, `.ExternalURL`, `.Value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Labels of the series that made the alert.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Labels of this instance.
    pub external_labels: Arc<BTreeMap<String, String>>,
    /// Where this instance is reached.
    pub external_url: Arc<str>,
    /// The value of the series: a float or a histogram.
    pub value: Value,
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Whether `if` takes the first way: false, zero, nothing and what is empty do not.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(map) => !map.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::List(all) => !all.is_empty(),
            Self::Histogram(_) | Self::Series(_) | Self::Time(_) | Self::Data(_) => true,
        }
    }

    /// Its type, as messages name it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Histogram(_) => "*histogram.FloatHistogram",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Series(_) => "*template.sample",
            Self::List(_) => "template.queryResult",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Data(_) => "template.Data",
        }
    }
}

/// As Go's `fmt.Print` writes it.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<no value>"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&shortest(*value)),
            Self::Text(text) => f.write_str(text),
            Self::Histogram(histogram) => write!(f, "{histogram}"),
            Self::Labels(map) => write_map(f, map),
            Self::Map(map) => write_map(f, map),
            Self::Series(series) => write!(f, "{series}"),
            Self::List(all) => {
                f.write_str("[")?;
                for (at, series) in all.iter().enumerate() {
                    write!(f, "{}{series}", if at > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Time(nanos) => f.write_str(&format_time(*nanos)),
            Self::Duration(nanos) => f.write_str(&format_duration(*nanos)),
            Self::Data(data) => write!(f, "{data}"),
        }
    }
}

impl Display for TemplateSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        write_map(f, &self.labels)?;
        write!(f, " {}}}", self.value)
    }
}

impl Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        write_map(f, &self.labels)?;
        f.write_str(" ")?;
        write_map(f, &self.external_labels)?;
        write!(f, " {} {}}}", self.external_url, self.value)
    }
}

fn write_map<V: Display>(f: &mut fmt::Formatter<'_>, map: &BTreeMap<String, V>) -> fmt::Result {
    f.write_str("map[")?;
    for (at, (name, value)) in map.iter().enumerate() {
        write!(f, "{}{name}:{value}", if at > 0 { " " } else { "" })?;
    }
    f.write_str("]")
}
