//! What is counted.

use isinglass_plugin::Config;

/// Fields and columns that are labels.
const LABELS_MAX: usize = 16;
/// Labels that are there anyway.
const GIVEN: [&str; 2] = ["service", "severity"];

/// The configuration.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) metric: String,
    pub(crate) labels: Vec<String>,
    pub(crate) fields: Vec<String>,
    pub(crate) services: Vec<String>,
    pub(crate) severities: Vec<String>,
    pub(crate) contains: Vec<String>,
    /// Field and value.
    pub(crate) equals: Vec<(String, String)>,
    /// Field and metric.
    pub(crate) sums: Vec<(String, String)>,
}

impl Counts {
    pub(crate) fn read(mut config: Config) -> Result<Self, String> {
        let metric = config.text("metric")?.unwrap_or_else(|| "log_records_total".to_owned());
        let counts = Self {
            metric,
            labels: config.texts("labels")?,
            fields: config.texts("fields")?,
            services: config.texts("services")?,
            severities: config.texts("severities")?,
            contains: config.texts("contains")?,
            equals: pairs(&mut config, "equals", "value")?,
            sums: pairs(&mut config, "sums", "metric")?,
        };
        config.finish()?;
        counts.check()
    }

    fn check(self) -> Result<Self, String> {
        let names: Vec<String> = GIVEN
            .into_iter()
            .map(str::to_owned)
            .chain(self.labels.iter().cloned())
            .chain(self.field_labels())
            .collect();
        if names.len() > LABELS_MAX + GIVEN.len() || self.sums.len() > LABELS_MAX {
            return Err(format!("there are more than {LABELS_MAX} labels or sums"));
        }
        let repeated = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        match repeated {
            Some((_, name)) => Err(format!("label {name:?} is given twice")),
            None => Ok(self),
        }
    }

    /// Names of the labels that fields become.
    pub(crate) fn field_labels(&self) -> impl Iterator<Item = String> {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        self.fields.iter().map(move |field| field.chars().map(letter).collect())
    }

    /// Whether lines have to be read.
    pub(crate) fn reads_lines(&self) -> bool {
        !(self.fields.is_empty()
            && self.contains.is_empty()
            && self.equals.is_empty()
            && self.sums.is_empty())
    }
}

fn pairs(
    config: &mut Config,
    list: &'static str,
    second: &'static str,
) -> Result<Vec<(String, String)>, String> {
    let pair = |mut object: Config| {
        let field = object.text("field")?.ok_or_else(|| object.fault_of("field", "is missing"))?;
        let other = object.text(second)?.ok_or_else(|| object.fault_of(second, "is missing"))?;
        object.finish()?;
        Ok((field, other))
    };
    config.objects(list)?.into_iter().map(pair).collect()
}
