//! Retention of single series and streams.
//!
//! The first rule that matches counts, whether it keeps rows for longer or shorter than the
//! general setting; where none matches, that one does. A file goes whole when its last row is
//! past the longest time that any rule or the general setting gives its table. Before that
//! it is rewritten without the rows of a rule once its last row is past that rule, unless a
//! merge, which drops such rows too, comes first. Which rules a file is rid of stands in its
//! tags, so it is read once for each.

use std::collections::HashMap;
use std::sync::Arc;

use isinglass_model::{Kind, Tenant};
use xxhash_rust::xxh3::xxh3_64;

use super::config::{Keep, RetentionConfig, RetentionRule, RuleKind};
use super::plan::in_unit;
use super::selector::{Selector, labels_of_stream};
use crate::append::Life;
use crate::files::{DropRows, Group};
use crate::tables::{DataFile, Kept};
use crate::tenant::TenantState;

/// Rules there may be.
const RULES_MAX: usize = 100;

/// All rules, compiled.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Of the text of all rules: with others every file is looked at again.
    digest: u64,
}

#[derive(Debug, Clone)]
struct Rule {
    kind: RuleKind,
    tenant: String,
    selector: Selector,
    keep: Keep,
}

/// The rules of a table, and the present.
#[derive(Debug)]
pub(super) struct OfTable {
    kind: Kind,
    now_unix_ms: i64,
    digest: u64,
    general: Keep,
    rules: Vec<Rule>,
    /// Of the tenant's series that a rule matches: metric, and how long.
    series: Arc<HashMap<i64, (i64, Keep)>>,
}

/// What rules say of the series of a tenant. Series only come, so each is looked at once.
#[derive(Debug, Default)]
pub(super) struct Matched {
    tenants: HashMap<Tenant, OfTenant>,
}

#[derive(Debug, Default)]
struct OfTenant {
    /// Of which life of the tenant.
    life: Option<Life>,
    seen: usize,
    keeps: Arc<HashMap<i64, (i64, Keep)>>,
}

impl Rules {
    /// The error names the rule, the value and what is wrong with it.
    pub(crate) fn compile(config: &RetentionConfig) -> Result<Self, String> {
        if config.rules.len() > RULES_MAX {
            let got = config.rules.len();
            return Err(format!("store.retention.rules has {got} rules, the limit is {RULES_MAX}"));
        }
        let rules = config.rules.iter().enumerate().map(|(at, rule)| compile(at, rule));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let text = serde_json::to_vec(&config.rules).map_err(|error| error.to_string())?;
        Ok(Self { rules, digest: xxh3_64(&text) })
    }

    /// The rules of a table; `None` if it has none.
    pub(super) fn of(
        &self,
        tenant: &TenantState,
        kind: Kind,
        now_unix_ms: i64,
        general: Option<std::time::Duration>,
        matched: &mut Matched,
    ) -> Option<OfTable> {
        let wanted = match kind {
            // The row of a series stays as long as its samples.
            Kind::Series | Kind::Samples | Kind::Histograms | Kind::Exemplars => RuleKind::Metrics,
            Kind::Logs => RuleKind::Logs,
            Kind::Spans | Kind::Rejected | Kind::Shadow | Kind::Reingested => return None,
        };
        let ours = |rule: &&Rule| rule.kind == wanted && is_like(tenant.name.as_str(), &rule.tenant);
        let rules: Vec<Rule> = self.rules.iter().filter(ours).cloned().collect();
        if rules.is_empty() {
            return None;
        }
        let series = match wanted {
            RuleKind::Metrics => matched.of(tenant, &rules),
            RuleKind::Logs => Arc::default(),
        };
        let general = general
            .map_or(Keep::Forever, |keep| Keep::For(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)));
        Some(OfTable { kind, now_unix_ms, digest: self.digest, general, rules, series })
    }
}

fn compile(at: usize, rule: &RetentionRule) -> Result<Rule, String> {
    let fault = |field: &str, value: &str, problem: &str| {
        format!("store.retention.rules[{at}].{field} = {value:?}: {problem}")
    };
    if rule.tenant.is_empty() {
        return Err(fault("tenant", "", "must be a name, with * for any text"));
    }
    let selector =
        Selector::parse(&rule.matching).map_err(|problem| fault("match", &rule.matching, &problem))?;
    Ok(Rule { kind: rule.kind, tenant: rule.tenant.clone(), selector, keep: rule.keep })
}

/// Whether a text is like a pattern in which `*` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*');
    let end = parts.next_back().unwrap_or_default();
    for part in parts {
        // The first place is as good as any later one.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

impl Matched {
    fn of(&mut self, tenant: &TenantState, rules: &[Rule]) -> Arc<HashMap<i64, (i64, Keep)>> {
        let known = self.tenants.entry(tenant.name.clone()).or_default();
        if known.life != Some(tenant.life) {
            *known = OfTenant { life: Some(tenant.life), ..OfTenant::default() };
        }
        let from = std::mem::replace(&mut known.seen, tenant.series.len());
        for new in tenant.series.chunks(from..known.seen) {
            for series in new {
                let label = |name: &str| series.labels.get(name);
                if let Some(rule) = rules.iter().find(|rule| rule.selector.matches(label)) {
                    let keep = (series.metric_id, rule.keep);
                    Arc::make_mut(&mut known.keeps).insert(series.series_id, keep);
                }
            }
        }
        Arc::clone(&known.keeps)
    }
}

impl OfTable {
    fn from(&self, keep: Keep) -> i64 {
        match keep {
            Keep::Forever => i64::MIN,
            Keep::For(ms) => {
                let ms = i64::try_from(ms).unwrap_or(i64::MAX);
                in_unit(self.kind, self.now_unix_ms.saturating_sub(ms))
            }
        }
    }

    /// Before this time no row is kept, whatever it is; `None` if some are for ever.
    pub(super) fn keep_any_from(&self) -> Option<i64> {
        let all = self.rules.iter().map(|rule| rule.keep).chain([self.general]);
        all.map(|keep| self.from(keep)).min().filter(|from| *from > i64::MIN)
    }

    /// What files that a rewrite of these makes are rid of.
    pub(super) fn kept(&self, inputs: &[DataFile]) -> Option<Kept> {
        let last = inputs.iter().map(|file| file.time.map_or(i64::MAX, |(_, last)| last)).max()?;
        let passed = self.passed(last);
        Some(Kept { digest: self.digest, keep_ms: passed.max().unwrap_or(0) })
    }

    /// The times of the rules, and the general one, that a row of a time is past.
    fn passed(&self, last: i64) -> impl Iterator<Item = u64> + '_ {
        let all = self.rules.iter().map(|rule| rule.keep).chain([self.general]);
        all.filter_map(move |keep| match keep {
            Keep::For(ms) if last < self.from(keep) => Some(ms),
            _ => None,
        })
    }

    /// A file that holds rows past a rule and was not rewritten since they are.
    pub(super) fn next(&self, files: &[DataFile]) -> Option<DataFile> {
        files.iter().find(|file| self.is_due(file)).cloned()
    }

    fn is_due(&self, file: &DataFile) -> bool {
        let Some((_, last)) = file.time else { return false };
        let rid_of = file.kept.filter(|kept| kept.digest == self.digest).map_or(0, |kept| kept.keep_ms);
        self.passed(last).any(|keep_ms| keep_ms > rid_of && self.may_hold(file, keep_ms))
    }

    /// Whether a file can have rows of a rule of this time.
    fn may_hold(&self, file: &DataFile, keep_ms: u64) -> bool {
        let Some((first, last)) = file.metric_id else { return true };
        if self.general == Keep::For(keep_ms) {
            return true;
        }
        self.series
            .values()
            .any(|(metric, keep)| *keep == Keep::For(keep_ms) && (first..=last).contains(metric))
    }
}

impl DropRows for OfTable {
    fn keep_from(&self, group: Group<'_>) -> Option<i64> {
        let keep = match group {
            Group::Series { series_id, .. } => self.series.get(&series_id).map(|(_, keep)| *keep),
            Group::Stream { service, stream } => {
                let labels = labels_of_stream(stream);
                let label = |name: &str| {
                    let own = labels.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
                    own.or((name == "service").then_some(service))
                };
                self.rules.iter().find(|rule| rule.selector.matches(label)).map(|rule| rule.keep)
            }
            Group::Trace(_) | Group::All => None,
        };
        Some(self.from(keep.unwrap_or(self.general)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(rule: RetentionRule, want: &str) {
        let config = RetentionConfig { rules: vec![rule], ..RetentionConfig::default() };
        assert_eq!(Rules::compile(&config).unwrap_err(), format!("store.retention.rules[0].{want}"));
    }

    #[test]
    fn bad_rules_are_named_with_their_value() {
        let rule = |tenant: &str, matching: &str| RetentionRule {
            kind: RuleKind::Metrics,
            tenant: tenant.into(),
            matching: matching.into(),
            keep: Keep::Forever,
        };
        refused(rule("", "up"), "tenant = \"\": must be a name, with * for any text");
        refused(rule("*", "{a=}"), "match = \"{a=}\": byte 3: a quoted value expected, found \"}\"");
        let many = RetentionConfig { rules: vec![rule("*", "up"); 101], ..RetentionConfig::default() };
        assert_eq!(
            Rules::compile(&many).unwrap_err(),
            "store.retention.rules has 101 rules, the limit is 100"
        );
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (text, pattern, want) in [
            ("team-a", "team-a", true),
            ("team-a", "team-*", true),
            ("team-a", "*", true),
            ("team-a", "*-a", true),
            ("team-a", "t*m*a", true),
            ("team-a", "team", false),
            ("team-a", "team-a*b", false),
            ("team-a", "team-a*a", false),
            ("abcab", "a*b*b", true),
            ("aaaa", "*a*b*", false),
        ] {
            assert_eq!(is_like(text, pattern), want, "{text} {pattern}");
        }
    }
}
