//! `for` after a restart: since when an alert is active is read back from `ALERTS_FOR_STATE`, so
//! that a restart does not start its wait again.

use std::collections::HashMap;

use isinglass_lang::promql::quoted;
use isinglass_promql::Labels;
use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::value::is_stale;

use super::alerting::{ALERT_NAME, ALERTS_FOR_STATE};
use super::{Environment, Group, MILLI, Rule, Settings};
use crate::ports::{ForState, UnixNanos};
use crate::template::time::SECOND;

impl Group {
    /// Takes over since when alerts were active before a restart. It is called once, after the
    /// group has been evaluated twice: the first time what it builds on may not be there yet.
    pub async fn restore(&mut self, now: UnixNanos, env: &Environment) {
        for at in 0..self.rules.len() {
            self.restore_rule(at, now, env).await;
            // Without a state that can be read the rule goes on as it is: it is not tried again.
            self.rules[at].restored = true;
        }
        self.restores = false;
    }

    async fn restore_rule(&mut self, at: usize, now: UnixNanos, env: &Environment) {
        let rule = &self.rules[at];
        let Some(hold_ms) = rule.alerting().map(|spec| spec.hold_ms) else { return };
        if hold_ms < env.settings.for_grace_period_ms || rule.active.is_empty() {
            return;
        }
        let selector = format!("{ALERTS_FOR_STATE}{{{ALERT_NAME}={}}}", quoted(&rule.spec.name));
        let until_ms = now.div_euclid(MILLI);
        let after_ms = until_ms.saturating_sub(env.settings.outage_tolerance_ms);
        match env.evaluate.newest(&self.tenant, &selector, after_ms, until_ms).await {
            Ok(states) => self.rules[at].restore(states, hold_ms.saturating_mul(MILLI), now, &env.settings),
            Err(error) => tracing::warn!(
                tenant = %self.tenant, file = %self.file, group = %self.spec.name, rule = %rule.spec.name,
                %error, "'for' state was not restored"
            ),
        }
    }
}

impl Rule {
    fn restore(&mut self, states: Vec<ForState>, hold: i64, now: UnixNanos, settings: &Settings) {
        let labels = |state: &ForState| state.labels.retain(|name| name != METRIC_NAME);
        let states: HashMap<Labels, _> = states.iter().map(|state| (labels(state), state)).collect();
        for alert in self.active.values_mut() {
            // A stale marker: it was not active when it was last heard of.
            if let Some(state) = states.get(&alert.labels).filter(|state| !is_stale(state.value)) {
                let grace = settings.for_grace_period_ms.saturating_mul(MILLI);
                alert.active_at = active_at(state, hold, now, grace);
            }
        }
    }
}

/// Since when an alert counts as active.
fn active_at(state: &ForState, hold: i64, now: UnixNanos, grace: i64) -> UnixNanos {
    let down_at = state.time_ms.div_euclid(1_000).saturating_mul(SECOND);
    // A value that is no time saturates, which makes the alert fire at once or wait in full.
    let active = (state.value as i64).saturating_mul(SECOND);
    let pending = down_at.saturating_sub(active);
    let remaining = hold.saturating_sub(pending);
    if remaining <= 0 {
        // It fired before, and does so again in the next evaluation.
        active
    } else if remaining < grace {
        // What it depends on gets the time of grace to come back.
        now.saturating_add(grace).saturating_sub(hold)
    } else {
        // The time that it was down does not count.
        active.saturating_add(now.saturating_sub(down_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything in seconds.
    fn check(newest: i64, active: i64, hold: i64, now: i64, wanted: i64) {
        let state = ForState { labels: Labels::empty(), time_ms: newest * 1_000, value: active as f64 };
        let restored = active_at(&state, hold * SECOND, now * SECOND, 600 * SECOND);
        assert_eq!(restored, wanted * SECOND, "{newest} {active} {hold} {now}");
    }

    #[test]
    fn since_when_an_alert_is_active() {
        check(10_000, 1_000, 3_600, 10_500, 1_000);
        check(10_000, 6_400, 3_600, 10_500, 6_400);
        check(10_000, 6_700, 3_600, 10_500, 10_500 + 600 - 3_600);
        check(10_000, 9_000, 3_600, 10_500, 9_500);
    }
}
