//! Asking the plugins that are tried out about a request.

use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_chain::{Shadow, Unknown, World};
use isinglass_model::Reason;
use isinglass_model::columns::Columns;
use isinglass_model::deltas::Deltas;
use isinglass_model::reason::{DROPPED, code};
use isinglass_model::tables::shadow::what;
use isinglass_model::verdict::{Decision, Verdicts};
use parking_lot::Mutex;

use super::changes::changes;
use super::derived;
use super::pairs::TrialPairs;
use super::seen::{Seen, SeenRows};
use super::senders::Senders;
use super::series::{self, SeriesCache};
use super::sums::{About, Example, Group, Sums};
use crate::labelled::Labelled;
use crate::refused::row_text;

/// What became of an item in the chain that is enforced.
pub(super) const KEPT: &str = "kept";

/// Examples are made of so many rows of a batch at most.
pub(super) const EXAMPLES_MAX: usize = 3;

/// Asks all that are for this request.
pub(super) fn all(seen: &Seen, cache: &mut SeriesCache, pairs: &Mutex<TrialPairs>, sums: &Mutex<Sums>) {
    if sums.lock().is_deleted_since(&seen.tenant, seen.deletions) {
        return;
    }
    for shadow in seen.chain.shadows(&seen.tenant, seen.signal) {
        let decoded = seen.rows.is_some() || seen.metrics.is_some();
        if !decoded && shadow.world() != World::Limiter {
            continue;
        }
        let asked = Asked { seen, shadow, about: about(seen, shadow), sums };
        asked.seen();
        match shadow.world() {
            World::Limiter => asked.limiter(),
            World::Deriver => asked.deriver(pairs),
            World::Validator | World::Transformer => {
                if let Some(rows) = &seen.rows {
                    asked.rows(rows);
                }
                if let Some(metrics) = &seen.metrics {
                    series::ask(&asked, metrics, cache);
                }
            }
            // No batch is shown to functions.
            World::Function => {}
        }
    }
}

/// Counts a request that they are not shown. Without asking who sent it: a request waits for this.
pub(super) fn skipped(seen: &Seen, sums: &Mutex<Sums>) {
    let of_rows = seen.rows.as_ref().map_or(0, |rows| rows.table().num_rows());
    let of_metrics =
        seen.metrics.as_ref().map_or(0, |metrics| metrics.samples.len() + metrics.histograms.len());
    let items = (of_rows + of_metrics) as u64;
    for shadow in seen.chain.shadows(&seen.tenant, seen.signal) {
        let asked = Asked { seen, shadow, about: about(seen, shadow), sums };
        let reason = Some(Reason::Borrowed("behind"));
        asked.add(Group { reason, ..asked.group(what::SKIPPED, "") }, items, |_| Vec::new());
    }
}

fn about(seen: &Seen, shadow: Shadow<'_>) -> Arc<About> {
    Arc::new(About {
        name: shadow.name().to_owned(),
        plugin: shadow.plugin().to_owned(),
        digest: shadow.digest().to_owned(),
        world: shadow.world().as_str(),
        signal: seen.signal,
    })
}

/// One plugin and one request.
pub(super) struct Asked<'a> {
    pub(super) seen: &'a Seen,
    pub(super) shadow: Shadow<'a>,
    about: Arc<About>,
    sums: &'a Mutex<Sums>,
}

impl Asked<'_> {
    pub(super) fn group(&self, what: &'static str, sender: &str) -> Group {
        Group::new(&self.about, what, sender)
    }

    pub(super) fn add(&self, group: Group, items: u64, examples: impl FnOnce(usize) -> Vec<Example>) {
        self.sums.lock().add(&self.seen.tenant, group, items, examples);
    }

    fn senders_of(&self, rows: &SeenRows) -> Vec<(String, u64)> {
        Senders::of_table(rows.table()).counts(self.shadow.sees(&self.seen.tenant, rows.columns()).as_deref())
    }

    /// What a validator says of a batch.
    pub(super) fn validate(&self, batch: &dyn Columns) -> Result<Verdicts, Unknown> {
        self.shadow.validate(&self.seen.tenant, batch, self.seen.now_unix_nanos)
    }

    /// Items that it is shown, by sender.
    fn senders(&self) -> Vec<(String, u64)> {
        if let Some(rows) = &self.seen.rows {
            return self.senders_of(rows);
        }
        match &self.seen.metrics {
            Some(metrics) => series::senders(metrics, |labels| self.shadow.sees_series(labels)),
            // It was refused before it was decoded, or has nothing in it.
            None => vec![(String::new(), u64::from(self.seen.limited))],
        }
    }

    fn seen(&self) {
        for (sender, items) in self.senders() {
            self.add(self.group(what::SEEN, &sender), items, |_| Vec::new());
        }
    }

    pub(super) fn failed(&self, unknown: Unknown, items: u64) {
        let group = Group { reason: Some(unknown.kind.into()), ..self.group(what::FAILED, "") };
        let message = Some(unknown.message);
        self.add(group, items, |_| vec![Example { message, ..Example::default() }]);
    }

    /// Log records or spans.
    fn rows(&self, rows: &SeenRows) {
        let seen = self.seen;
        let items = || self.senders_of(rows).iter().map(|(_, items)| items).sum();
        if self.shadow.world() == World::Validator {
            match self.validate(rows.columns()) {
                Ok(said) => self.verdicts(rows, &said),
                Err(unknown) => self.failed(unknown, items()),
            }
            return;
        }
        let mut edited = rows.editable();
        match self.shadow.transform(&seen.tenant, &mut edited, seen.now_unix_nanos) {
            Ok(said) => {
                self.verdicts(rows, &said);
                self.changes(rows, &said, edited);
            }
            Err(unknown) => self.failed(unknown, items()),
        }
    }

    /// Rows by sender, what is said of them, and what became of them.
    fn verdicts(&self, rows: &SeenRows, said: &Verdicts) {
        let senders = Senders::of_table(rows.table());
        let enforced = self.shadow.enforced(&self.seen.tenant);
        let mut alike = HashMap::<(u32, u8, u8), (u64, Vec<usize>), ahash::RandomState>::default();
        for (row, sender) in senders.of_row.iter().enumerate() {
            let verdict = |of: &Verdicts| of.rows.get(row).copied().unwrap_or(0);
            let (would, live) = (verdict(said), verdict(&rows.verdicts));
            if would == 0 && live == 0 {
                continue;
            }
            let (items, examples) = alike.entry((*sender, would, live)).or_default();
            *items += 1;
            if examples.len() < EXAMPLES_MAX {
                examples.push(row);
            }
        }
        for ((sender, _, _), (items, examples)) in alike {
            let sender = &senders.names[sender as usize];
            let refusal = examples.first().and_then(|row| said.refusal(*row));
            let live = examples.first().and_then(|row| rows.verdicts.refusal(*row));
            let became = live.map(|live| live.reason.clone()).or_else(|| self.seen.kept_but_limited());
            let became = Some(became.unwrap_or(Reason::Borrowed(KEPT)));
            let (what, reason, message) = match (refusal, live) {
                (Some(refusal), _) => match refusal.reason.strip_prefix(DROPPED) {
                    Some(code) => (what::DROPPED, Some(Reason::Owned(code.to_owned())), &refusal.message),
                    None => (what::REFUSED, Some(refusal.reason.clone()), &refusal.message),
                },
                (None, Some(live)) if enforced == Some((live.plugin.as_str(), live.digest.as_str())) => {
                    (what::KEPT, None, &live.message)
                }
                // Another plugin refused it; this one has nothing to say.
                _ => continue,
            };
            let group = Group { reason, live: became, ..self.group(what, sender) };
            let example = |row: &usize| Example {
                message: Some(message.clone()),
                item: Some(row_text(rows.table(), *row)),
                ..Example::default()
            };
            self.add(group, items, |room| examples.iter().take(room).map(example).collect());
        }
    }

    /// What a transformer changes of rows that it does not drop.
    fn changes(&self, rows: &SeenRows, said: &Verdicts, edited: isinglass_model::edits::Rows) {
        let senders = Senders::of_table(rows.table());
        let after = rows.edited(edited);
        let mut alike = HashMap::<(u32, String, u8), (u64, Vec<Example>), ahash::RandomState>::default();
        changes(rows.table(), &after, |change| {
            if said.refusal(change.row).is_some() {
                return;
            }
            let live = rows.verdicts.rows.get(change.row).copied().unwrap_or(0);
            let key = (senders.of_row[change.row], change.field.to_owned(), live);
            let (items, examples) = alike.entry(key).or_default();
            *items += 1;
            if examples.len() < EXAMPLES_MAX {
                let (before, after) = (change.texts)();
                let item = Some(row_text(rows.table(), change.row));
                examples.push(Example { before, after, item, message: None });
            }
        });
        for ((sender, field, live), (items, examples)) in alike {
            let refusal = usize::from(live).checked_sub(1).and_then(|at| rows.verdicts.refusals.get(at));
            let became = refusal.map(|live| live.reason.clone()).or_else(|| self.seen.kept_but_limited());
            let live = Some(became.unwrap_or(Reason::Borrowed(KEPT)));
            let group = self.group(what::CHANGED, &senders.names[sender as usize]);
            self.add(Group { field: Some(field), live, ..group }, items, |_| examples);
        }
    }

    fn limiter(&self) {
        let seen = self.seen;
        let kept = seen.rows.as_ref().and_then(SeenRows::kept);
        let (samples, histograms) = seen.metrics.as_ref().map(series::kept).unwrap_or_default();
        let mut batches: Vec<&dyn Columns> = kept.as_ref().map(SeenRows::columns).into_iter().collect();
        let labelled = seen.metrics.as_ref().map(|metrics| {
            let resolver = &metrics.resolver;
            (Labelled::new(&samples, resolver), Labelled::new(&histograms, resolver))
        });
        if let Some((of_samples, of_histograms)) = &labelled {
            batches.extend((!samples.is_empty()).then_some(of_samples as &dyn Columns));
            batches.extend((!histograms.is_empty()).then_some(of_histograms as &dyn Columns));
        }
        let request = (seen.signal, seen.wire_bytes);
        let decision = self.shadow.limit(&seen.tenant, request, &batches, seen.now_unix_nanos, seen.at);
        let senders = || match &kept {
            Some(kept) => self.senders_of(kept),
            None => self.senders(),
        };
        let live = Some(seen.kept_but_limited().unwrap_or(Reason::Borrowed(KEPT)));
        let (what, reason, message) = match decision {
            Err(unknown) => return self.failed(unknown, senders().iter().map(|(_, items)| items).sum()),
            Ok(Decision::Allow) if seen.limited && self.shadow.enforced(&seen.tenant).is_some() => {
                (what::KEPT, None, None)
            }
            Ok(Decision::Allow) => return,
            Ok(
                Decision::Deny { message, .. }
                | Decision::TooLarge { message }
                | Decision::Unavailable { message },
            ) => (what::REFUSED, Some(Reason::Borrowed(code::RATE_LIMITED)), Some(message)),
        };
        for (sender, items) in senders() {
            let group = Group { reason: reason.clone(), live: live.clone(), ..self.group(what, &sender) };
            let message = message.clone();
            self.add(group, items, |_| vec![Example { message, ..Example::default() }]);
        }
    }

    fn deriver(&self, pairs: &Mutex<TrialPairs>) {
        // What is refused is not derived from.
        let kept = self.seen.rows.as_ref().filter(|_| !self.seen.limited).and_then(SeenRows::kept);
        let Some(kept) = kept.filter(|kept| kept.table().num_rows() > 0) else { return };
        match self.shadow.derive(&self.seen.tenant, kept.columns(), self.seen.now_unix_nanos) {
            Ok(all) => all.iter().for_each(|deltas| self.derived(deltas, pairs)),
            Err(unknown) => self.failed(unknown, kept.table().num_rows() as u64),
        }
    }

    fn derived(&self, deltas: &Deltas, pairs: &Mutex<TrialPairs>) {
        let seen = self.seen;
        let metrics = self.shadow.metrics(&seen.tenant);
        let mut pairs = pairs.lock();
        let mut sums = self.sums.lock();
        derived::add(&mut sums, (&seen.tenant, &self.about), metrics, deltas);
        // In this order: a deletion is noted before halves are forgotten.
        let gone = sums.is_deleted_since(&seen.tenant, seen.deletions);
        if let Some(halves) = deltas.halves.as_deref().filter(|_| !gone) {
            for deltas in pairs.take(self.shadow, (&seen.tenant, &self.about), halves, seen.at) {
                derived::add(&mut sums, (&seen.tenant, &self.about), metrics, &deltas);
            }
        }
    }
}
