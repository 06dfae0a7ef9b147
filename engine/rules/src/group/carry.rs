//! What a group takes over from the one that it replaces.

use std::collections::{HashMap, VecDeque};
use std::mem;

use super::{Group, Rule};
use crate::file::GroupSpec;

impl Group {
    /// Whether a file says the same of it still.
    pub fn is(&self, spec: &GroupSpec) -> bool {
        *self.spec == *spec
    }

    /// Takes over what is known of rules that have the same name and labels; of several the first
    /// of one goes to the first of the other. What other rules have written gets stale markers
    /// after the next evaluation.
    pub fn carry_over(&mut self, mut from: Self) {
        self.evaluation_nanos = from.evaluation_nanos;
        self.last_evaluation = from.last_evaluation;
        self.counts = from.counts;
        // A group that is replaced before it was restored leaves that to the new one.
        self.restores = from.restores;
        let mut left: HashMap<_, VecDeque<Rule>> = HashMap::new();
        for rule in mem::take(&mut from.rules) {
            left.entry((rule.spec.name.clone(), rule.spec.labels.clone())).or_default().push_back(rule);
        }
        for rule in &mut self.rules {
            let key = (rule.spec.name.clone(), rule.spec.labels.clone());
            let old = left.get_mut(&key).and_then(VecDeque::pop_front);
            rule.restored = old.as_ref().map_or(!self.restores, |old| old.restored);
            if let Some(old) = old {
                rule.carry_over(old);
            }
        }
        self.gone = from.gone;
        self.gone.extend(left.into_values().flatten().flat_map(|rule| rule.written));
    }

    /// Everything that it has written is to get stale markers.
    pub(crate) fn end(&mut self) {
        for rule in &mut self.rules {
            self.gone.extend(mem::take(&mut rule.written));
        }
    }
}

impl Rule {
    fn carry_over(&mut self, old: Self) {
        if self.alerting().is_some() && old.alerting().is_some() {
            self.active = old.active;
        }
        self.written = old.written;
    }
}
