//! Parameters of `rules`.

use std::collections::BTreeMap;
use std::sync::Arc;

use isinglass_lang::promql::quoted;
use isinglass_promql::{Labels, Matchers};
use isinglass_rules::view::{GroupView, RuleView};

use super::super::failure::Failure;
use super::super::params::{Parameters, integer};

/// Which rules are asked for.
pub(super) struct Filter {
    alerting: bool,
    recording: bool,
    pub(super) with_alerts: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    /// Sets of matchers; the labels of a rule have to match one of them.
    matchers: Vec<Matchers>,
    page: Option<usize>,
    token: String,
}

impl Filter {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Failure> {
        let kind = parameters.get("type").to_lowercase();
        if !["", "alert", "record"].contains(&kind.as_str()) {
            return Err(Failure::parameter("type", format_args!("not supported value {}", quoted(&kind))));
        }
        let (page, token) = (group_limit(parameters)?, parameters.get("group_next_token").to_owned());
        if page.is_none() && !token.is_empty() {
            let reason = "group_limit needs to be present in order to paginate over the groups";
            return Err(Failure::parameter("group_next_token", reason));
        }
        let all = |name| parameters.all(name).map(str::to_owned).collect();
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            with_alerts: !excludes_alerts(parameters)?,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            matchers: matchers(parameters)?,
            page,
            token,
        })
    }

    fn takes_group(&self, group: &GroupView) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn takes(&self, rule: &RuleView) -> bool {
        let (kind, name, labels) = match rule {
            RuleView::Alerting(rule) => (self.alerting, &rule.name, &rule.labels),
            RuleView::Recording(rule) => (self.recording, &rule.name, &rule.labels),
        };
        kind && (self.names.is_empty() || self.names.contains(name)) && self.matches(labels)
    }

    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matchers.is_empty() || {
            let labels = Labels::new(labels);
            self.matchers.iter().any(|matchers| matchers.matches(&labels))
        }
    }

    /// The groups of one page with those of their rules that are asked for; groups without any are
    /// left out. The text names the first group of the next page.
    pub(super) fn page<'a>(
        &self,
        groups: &'a [Arc<GroupView>],
    ) -> Result<(Vec<Chosen<'a>>, Option<String>), Failure> {
        let from = match self.token.as_str() {
            "" => 0,
            wanted => groups.iter().position(|group| token(group) == wanted).ok_or_else(|| {
                let reason = format!("invalid group_next_token '{wanted}'. were rule groups changed?");
                Failure::parameter("group_next_token", reason)
            })?,
        };
        let chosen = groups[from..].iter().filter(|group| self.takes_group(group));
        let chosen = chosen.map(|group| {
            let rules: Vec<_> = group.rules.iter().filter(|rule| self.takes(rule)).collect();
            (&**group, rules)
        });
        let mut chosen = chosen.filter(|(_, rules)| !rules.is_empty());
        let page = chosen.by_ref().take(self.page.unwrap_or(usize::MAX)).collect();
        Ok((page, chosen.next().map(|(group, _)| token(group))))
    }
}

fn excludes_alerts(parameters: &Parameters) -> Result<bool, Failure> {
    match parameters.get("exclude_alerts").to_lowercase().as_str() {
        "" | "0" | "f" | "false" => Ok(false),
        "1" | "t" | "true" => Ok(true),
        other => {
            // In the words of Go's `strconv.ParseBool`.
            let reason = format!("strconv.ParseBool: parsing {}: invalid syntax", quoted(other));
            let reason = format_args!("error converting exclude_alerts: {reason}");
            Err(Failure::parameter("exclude_alerts", reason))
        }
    }
}

/// Groups of one page; `None` = all.
fn group_limit(parameters: &Parameters) -> Result<Option<usize>, Failure> {
    let text = parameters.get("group_limit");
    if text.is_empty() {
        return Ok(None);
    }
    let limit = integer(text).map_err(|reason| {
        let reason = reason.replacen("Atoi", "ParseInt", 1);
        Failure::parameter("group_limit", format_args!("group_limit needs to be a valid number: {reason}"))
    })?;
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ => Err(Failure::parameter("group_limit", "group_limit needs to be greater than 0")),
    }
}

/// A group and those of its rules that are asked for.
pub(super) type Chosen<'a> = (&'a GroupView, Vec<&'a RuleView>);

fn matchers(parameters: &Parameters) -> Result<Vec<Matchers>, Failure> {
    let sets = parameters.matchers().map_err(Failure::bad_data)?;
    let compile = |set: &Vec<_>| Matchers::new(set).map_err(|error| Failure::bad_data(error.to_string()));
    sets.iter().map(compile).collect()
}

fn token(group: &GroupView) -> String {
    format!("{};{}", group.file, group.name)
}
