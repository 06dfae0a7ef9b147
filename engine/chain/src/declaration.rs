//! What a deriver declares, checked.

use hashbrown::HashSet;
use isinglass_model::deltas::{DerivedKind, DerivedMetric, PairRule, Pairing};

use crate::abi::pairs::{DeclarationOut, DeclaredKindOut, DeclaredOut, PairingOut, RuleOut};
use crate::failure::{Failure, shorten};

const METRICS_MAX: usize = 100;
const BOUNDS_MAX: usize = 200;
const EXPONENTIAL_BUCKETS_MAX: u32 = 1_000;
const ADDITIONS_MAX: usize = 100;
const WAIT_MS_MAX: u32 = 600_000;
const PENDING_MAX: u32 = 1_000_000;
pub(crate) const NAME_BYTES_MAX: usize = 255;
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 10;

/// What a deriver writes under a configuration.
#[derive(Debug, Default)]
pub(crate) struct Declaration {
    pub(crate) metrics: Vec<DerivedMetric>,
    pub(crate) pairing: Option<Pairing>,
    pub(crate) exemplar_label: String,
}

/// Checks what a deriver declares.
pub(crate) fn check_declaration(out: DeclarationOut) -> Result<Declaration, Failure> {
    let metrics = check_metrics(out.metrics)?;
    let pairing = out.pairing.map(|pairing| check_pairing(pairing, &metrics)).transpose()?;
    if !out.exemplar_label.is_empty() {
        check_name("label", &out.exemplar_label)?;
    }
    Ok(Declaration { metrics, pairing, exemplar_label: out.exemplar_label })
}

fn check_metrics(metrics: Vec<DeclaredOut>) -> Result<Vec<DerivedMetric>, Failure> {
    if metrics.len() > METRICS_MAX {
        return Err(Failure::contract(format!("{} metrics, the limit is {METRICS_MAX}", metrics.len())));
    }
    let mut names = HashSet::new();
    for metric in &metrics {
        check_name("metric", &metric.name)?;
        if !names.insert(metric.name.clone()) {
            return Err(Failure::contract(format!("metric {:?} is declared twice", metric.name)));
        }
        check_metric(metric)?;
    }
    Ok(metrics.into_iter().map(declared).collect())
}

fn check_metric(metric: &DeclaredOut) -> Result<(), Failure> {
    let fault = |text: &str| Err(Failure::contract(format!("metric {:?}: {text}", metric.name)));
    if metric.help.len() > TEXT_BYTES_MAX || metric.unit.len() > NAME_BYTES_MAX {
        return fault("help or unit is too long");
    }
    let histogram = metric.kind == DeclaredKindOut::Histogram;
    if !histogram && (metric.classic || !metric.bounds.is_empty() || metric.exponential_buckets_max > 0) {
        return fault(if metric.bounds.is_empty() {
            "it is no histogram"
        } else {
            "a counter has no bounds"
        });
    }
    if histogram && !metric.classic && metric.exponential_buckets_max == 0 {
        return fault("a histogram must be classic, exponential or both");
    }
    if metric.bounds.len() > BOUNDS_MAX || metric.exponential_buckets_max > EXPONENTIAL_BUCKETS_MAX {
        return fault("too many bounds");
    }
    let finite = metric.bounds.iter().all(|bound| bound.is_finite());
    let ascending = metric.bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if finite && ascending { Ok(()) } else { fault("bounds must be finite and ascending") }
}

fn declared(metric: DeclaredOut) -> DerivedMetric {
    let kind = match metric.kind {
        DeclaredKindOut::Counter => DerivedKind::Counter,
        DeclaredKindOut::Gauge => DerivedKind::Gauge,
        DeclaredKindOut::Histogram => DerivedKind::Histogram,
    };
    let DeclaredOut { name, help, unit, classic, bounds, exponential_buckets_max, .. } = metric;
    DerivedMetric { name, kind, help, unit, classic, bounds, exponential_buckets_max }
}

fn check_pairing(out: PairingOut, metrics: &[DerivedMetric]) -> Result<Pairing, Failure> {
    let PairingOut { wait_ms, pending_max, additions, exemplars } = out;
    let fault = |text: String| Err(Failure::contract(format!("pairing: {text}")));
    if wait_ms > WAIT_MS_MAX {
        return fault(format!("wait-ms is {wait_ms}, the limit is {WAIT_MS_MAX}"));
    }
    if pending_max > PENDING_MAX {
        return fault(format!("pending-max is {pending_max}, the limit is {PENDING_MAX}"));
    }
    if additions.len() > ADDITIONS_MAX {
        return fault(format!("{} additions, the limit is {ADDITIONS_MAX}", additions.len()));
    }
    let mut checked: Vec<(PairRule, u16)> = Vec::with_capacity(additions.len());
    for addition in additions {
        let (rule, metric) = (rule(addition.rule), addition.metric);
        match metrics.get(usize::from(metric)) {
            Some(declared) if declared.kind == rule.kind() => {}
            _ => return fault(format!("metric {metric} is not a {:?}, as {rule:?} needs", rule.kind())),
        }
        if checked.iter().any(|(_, known)| *known == metric) {
            return fault(format!("metric {metric} is added to twice"));
        }
        checked.push((rule, metric));
    }
    Ok(Pairing { wait_ms, pending_max, additions: checked, exemplars })
}

fn rule(out: RuleOut) -> PairRule {
    match out {
        RuleOut::Pairs => PairRule::Pairs,
        RuleOut::Marked => PairRule::Marked,
        RuleOut::Presence => PairRule::Presence,
        RuleOut::FirstValue => PairRule::FirstValue,
        RuleOut::SecondValue => PairRule::SecondValue,
        RuleOut::Gap => PairRule::Gap,
        RuleOut::Unpaired => PairRule::Unpaired,
        RuleOut::Dropped => PairRule::Dropped,
    }
}

/// Checks a name that a plugin gives.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| first(c) || c.is_ascii_digit() || (c == ':' && what == "metric");
    if name.starts_with(first) && name.chars().all(rest) && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::contract(format!("{:?} is no {what} name", shorten(name))))
}

#[cfg(test)]
mod tests;
