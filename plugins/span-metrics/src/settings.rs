//! The configuration.

use isinglass_plugin::Config;

use crate::attributes::label_name;
use crate::graph;
use crate::names::Sanitizer;
use crate::policy::Policy;
use crate::profile::Profile;

const NAMES_MAX: usize = 32;
const BOUNDS_MAX: usize = 128;
const POLICIES_MAX: usize = 32;
/// Regular expressions of all policies: each holds memory, and is asked about every distinct text.
const REGEXES_MAX: usize = 64;
/// Exponential buckets that the host takes.
const HOST_NATIVE_BUCKETS_MAX: u32 = 1_000;

/// What can be configured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) profile: Profile,
    /// Columns and attributes that become labels.
    pub(crate) dimensions: Vec<String>,
    /// Upper bounds of the latency histogram in its unit, ascending.
    pub(crate) bounds: Vec<f64>,
    /// Whether histograms have classic buckets.
    pub(crate) classic: bool,
    /// Buckets that their exponential form may have; 0 = none.
    pub(crate) exponential_buckets_max: u32,
    /// Whether exemplars are given.
    pub(crate) exemplars: bool,
    /// Their label with the trace's id.
    pub(crate) exemplar_label: String,
    pub(crate) sanitizer: Sanitizer,
    pub(crate) policies: Vec<Policy>,
    /// The attribute with the part of spans that are sent.
    pub(crate) ratio_attribute: Option<String>,
    pub(crate) tracestate: bool,
    pub(crate) target_info: bool,
    /// Resource attributes that `traces_target_info` leaves out.
    pub(crate) target_info_excluded: Vec<String>,
    /// Resource attributes of which the first that is there names the host; empty = no host info.
    pub(crate) host_identifiers: Vec<String>,
    /// Value of the label `__metrics_gen_instance`; empty = no such label.
    pub(crate) gen_instance: String,
    pub(crate) graph: Option<graph::Settings>,
}

impl Settings {
    pub(crate) fn read(mut config: Config) -> Result<Self, String> {
        let profile = Profile::read(&mut config)?;
        let mut dimensions = config.texts("dimensions")?;
        if config.boolean("status_message", false)? {
            dimensions.insert(0, "status_message".to_owned());
        }
        let bounds = config.numbers("histogram_buckets")?;
        let (classic, exponential) = forms(&mut config)?;
        let exponential_buckets_max = config.u32("native_buckets_max", profile.native_buckets_max())?;
        let target_info = config.boolean("target_info", false)?;
        let host_info = config.boolean("host_info", false)?;
        let host_identifiers = config.texts("host_identifiers")?;
        let settings = Self {
            bounds: if bounds.is_empty() { profile.bounds() } else { bounds },
            classic,
            exponential_buckets_max: if exponential { exponential_buckets_max } else { 0 },
            exemplars: config.boolean("exemplars", profile.exemplars())?,
            exemplar_label: config.text("exemplar_label")?.unwrap_or_else(|| "traceID".to_owned()),
            sanitizer: Sanitizer::read(&mut config)?,
            policies: policies(&mut config)?,
            ratio_attribute: config.text("span_multiplier_attribute")?.filter(|name| !name.is_empty()),
            tracestate: config.boolean("span_multiplier_tracestate", false)?,
            target_info,
            target_info_excluded: config.texts("target_info_excluded")?,
            host_identifiers: match host_info {
                true if host_identifiers.is_empty() => vec!["k8s.node.name".to_owned(), "host.id".to_owned()],
                true => host_identifiers,
                false => Vec::new(),
            },
            gen_instance: config.text("metrics_gen_instance")?.unwrap_or_default(),
            graph: graph::Settings::read(config.object("service_graph")?, profile.service_graph())?,
            profile,
            dimensions,
        };
        config.finish()?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let mut own = vec![self.profile.service_label(), "span_name", "span_kind", "status_code", "le"];
        if self.target_info {
            own.extend(["job", "instance"]);
        }
        check_names("dimensions", &self.dimensions, &own)?;
        check_names("host_identifiers", &self.host_identifiers, &[])?;
        check_bounds("histogram_buckets", &self.bounds)?;
        let limit = HOST_NATIVE_BUCKETS_MAX;
        if !self.classic && self.exponential_buckets_max == 0 {
            return Err("native_buckets_max is 0, but histograms are native only".to_owned());
        }
        if self.exponential_buckets_max > limit {
            return Err(format!(
                "native_buckets_max is {}, the limit is {limit}",
                self.exponential_buckets_max
            ));
        }
        Ok(())
    }
}

/// Whether histograms are classic, and whether they are exponential.
fn forms(config: &mut Config) -> Result<(bool, bool), String> {
    match config.text("histograms")?.as_deref() {
        None | Some("classic") => Ok((true, false)),
        Some("native") => Ok((false, true)),
        Some("both") => Ok((true, true)),
        Some(other) => Err(format!("histograms is \"{other}\", not classic, native or both")),
    }
}

fn policies(config: &mut Config) -> Result<Vec<Policy>, String> {
    let policies = config.objects("filter_policies")?;
    if policies.len() > POLICIES_MAX {
        return Err(format!("filter_policies has {} entries, the limit is {POLICIES_MAX}", policies.len()));
    }
    let policies: Vec<Policy> = policies.into_iter().map(Policy::read).collect::<Result<_, _>>()?;
    let regexes: usize = policies.iter().map(Policy::regexes).sum();
    if regexes > REGEXES_MAX {
        return Err(format!("filter_policies has {regexes} regular expressions, the limit is {REGEXES_MAX}"));
    }
    Ok(policies)
}

/// Bounds each of which is twice the last.
pub(crate) fn doubling(first: f64, count: u32) -> Vec<f64> {
    (0..count).map(|power| first * f64::from(1_u32 << power)).collect()
}

/// Checks names of attributes that become labels beside `own`.
pub(crate) fn check_names(key: &str, names: &[String], own: &[&str]) -> Result<(), String> {
    if names.len() > NAMES_MAX {
        return Err(format!("{key} has {} entries, the limit is {NAMES_MAX}", names.len()));
    }
    let labels: Vec<String> = names.iter().map(|name| label_name(name)).collect();
    for (at, (name, label)) in names.iter().zip(&labels).enumerate() {
        if label.is_empty() {
            return Err(format!("{key} has an empty name"));
        }
        if own.contains(&label.as_str()) {
            return Err(format!("dimension \"{name}\" would be a second label of that name"));
        }
        if labels[..at].contains(label) {
            return Err(format!("dimension \"{name}\" is given twice"));
        }
    }
    Ok(())
}

/// Checks bounds of buckets.
pub(crate) fn check_bounds(key: &str, bounds: &[f64]) -> Result<(), String> {
    if bounds.len() > BOUNDS_MAX {
        return Err(format!("{key} has {} entries, the limit is {BOUNDS_MAX}", bounds.len()));
    }
    if bounds.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(format!("{key} is not ascending")) }
}
