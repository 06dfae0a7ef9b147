//! The configuration.

use isinglass_plugin::Config;

const DIMENSIONS_MAX: usize = 32;
const BOUNDS_MAX: usize = 128;

/// Labels that every series has.
const OWN_LABELS: [&str; 5] = ["service", "span_name", "span_kind", "status_code", "le"];

/// What can be configured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Columns that become labels of the same name.
    pub(crate) dimensions: Vec<String>,
    /// Upper bounds of the latency histogram in seconds, ascending.
    pub(crate) bounds: Vec<f64>,
    /// Whether exemplars are given.
    pub(crate) exemplars: bool,
}

impl Settings {
    pub(crate) fn read(mut config: Config) -> Result<Self, String> {
        let mut dimensions = config.texts("dimensions")?;
        if config.boolean("status_message", false)? {
            dimensions.insert(0, "status_message".to_owned());
        }
        let bounds = config.numbers("histogram_buckets")?;
        let exemplars = config.boolean("exemplars", true)?;
        config.finish()?;
        check_dimensions(&dimensions)?;
        check_bounds(&bounds)?;
        let bounds = if bounds.is_empty() { default_bounds() } else { bounds };
        Ok(Self { dimensions, bounds, exemplars })
    }
}

/// Tempo's: 2 ms to 16.384 s.
fn default_bounds() -> Vec<f64> {
    (0..14).map(|power| 0.002 * f64::from(1_u32 << power)).collect()
}

fn check_dimensions(dimensions: &[String]) -> Result<(), String> {
    if dimensions.len() > DIMENSIONS_MAX {
        return Err(format!("dimensions has {} entries, the limit is {DIMENSIONS_MAX}", dimensions.len()));
    }
    for (at, name) in dimensions.iter().enumerate() {
        if OWN_LABELS.contains(&name.as_str()) {
            return Err(format!("dimension \"{name}\" would be a second label of that name"));
        }
        if dimensions[..at].contains(name) {
            return Err(format!("dimension \"{name}\" is given twice"));
        }
    }
    Ok(())
}

fn check_bounds(bounds: &[f64]) -> Result<(), String> {
    if bounds.len() > BOUNDS_MAX {
        return Err(format!("histogram_buckets has {} entries, the limit is {BOUNDS_MAX}", bounds.len()));
    }
    if bounds.is_sorted_by(|a, b| a < b) {
        Ok(())
    } else {
        Err("histogram_buckets is not ascending".to_owned())
    }
}
