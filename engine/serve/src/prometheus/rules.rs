//! `rules` and `alerts`, of whoever evaluates rules.

mod filter;
mod json;

use std::sync::Arc;

use async_trait::async_trait;
use isinglass_model::Tenant;
use isinglass_rules::view::GroupView;
use isinglass_rules::{GroupFigures, Sent};

use super::call::{Answer, Call};
use super::envelope::{Notes, success};
use super::text::write_html;
use crate::rules::RulesError;

use filter::Filter;
use json::{write_alerts, write_group};

/// Whoever evaluates rules, as the front door sees it.
#[async_trait]
pub trait RulesView: Send + Sync + std::fmt::Debug {
    /// The groups of a tenant by file and name.
    fn groups(&self, tenant: &Tenant) -> Vec<Arc<GroupView>>;

    /// Reads the files again. Where one is bad everything stays as it was.
    async fn reload(&self) -> Result<(), RulesError>;

    /// What was done.
    fn figures(&self) -> RulesFigures;
}

/// What was done by whoever evaluates rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RulesFigures {
    /// Whether the last reload went well; the start is one.
    pub reload_succeeded: bool,
    /// When the last reload that went well did, nanoseconds since the epoch; `None` = never.
    pub reload_success_at: Option<i64>,
    /// Groups of all tenants.
    pub groups: Vec<GroupFigures>,
    /// Alertmanagers and what was sent to them.
    pub alertmanagers: Vec<Sent>,
    /// Alerts that may wait for each of them.
    pub queue_alerts_max: usize,
}

/// Nobody evaluates rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRules;

#[async_trait]
impl RulesView for NoRules {
    fn groups(&self, _tenant: &Tenant) -> Vec<Arc<GroupView>> {
        Vec::new()
    }

    async fn reload(&self) -> Result<(), RulesError> {
        Ok(())
    }

    fn figures(&self) -> RulesFigures {
        RulesFigures {
            reload_succeeded: true,
            reload_success_at: None,
            groups: Vec::new(),
            alertmanagers: Vec::new(),
            queue_alerts_max: 0,
        }
    }
}

/// `rules`: all rules by group.
pub(super) async fn rules(call: Call) -> Answer {
    let filter = Filter::of(&call.parameters)?;
    let groups = call.app.rules.groups(&call.tenant);
    let (groups, next) = filter.page(&groups)?;
    let mut out = Vec::from(b"{\"groups\":[".as_slice());
    for (at, (group, rules)) in groups.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_group(group, rules, filter.with_alerts, &mut out);
    }
    out.push(b']');
    if let Some(next) = next {
        out.extend_from_slice(b",\"groupNextToken\":");
        write_html(&next, &mut out);
    }
    out.push(b'}');
    Ok(success(&out, &Notes::default()))
}

/// `alerts`: all alerts that are pending or firing.
pub(super) async fn alerts(call: Call) -> Answer {
    let groups = call.app.rules.groups(&call.tenant);
    let mut out = Vec::from(b"{\"alerts\":".as_slice());
    write_alerts(groups.iter().flat_map(|group| group.alerts()), &mut out);
    out.push(b'}');
    Ok(success(&out, &Notes::default()))
}
