//! What was said, added up between two writes, with a few examples.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_model::counts::truncate_text;
use isinglass_model::kind::Signal;
use isinglass_model::tables::shadow::what;
use isinglass_model::{Reason, Tenant};

/// Sums of a tenant that are kept apart. What comes beyond is added up under [`OTHERS`].
const GROUPS_MAX: usize = 1_000;
/// Derived series of a tenant that are kept apart.
const DERIVED_MAX: usize = 10_000;
/// Tenants with sums between two writes; those beyond are counted as folded only.
const TENANTS_MAX: usize = 1_000;
/// Examples of a sum; each is a row.
const EXAMPLES_MAX: usize = 3;

const MESSAGE_BYTES_MAX: usize = 1 << 10;
const FIELD_BYTES_MAX: usize = 256;
const ITEM_BYTES_MAX: usize = 4 << 10;

/// Stands for senders, reasons and fields beyond the bound.
const OTHERS: &str = "{others}";
/// Labels of derived series beyond the bound.
const OVERFLOW: &str = r#"{"metric_overflow":"true"}"#;

/// Which plugin said it, and of what.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) plugin: String,
    pub(super) digest: String,
    pub(super) world: &'static str,
    pub(super) signal: Signal,
}

/// What was said alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) about: Arc<About>,
    pub(super) what: &'static str,
    pub(super) sender: String,
    pub(super) reason: Option<Reason>,
    pub(super) live: Option<Reason>,
    /// A field, or a derived metric.
    pub(super) field: Option<String>,
    /// Of a derived metric, as JSON text.
    pub(super) labels: Option<String>,
}

impl Group {
    pub(super) fn new(about: &Arc<About>, what: &'static str, sender: &str) -> Self {
        let about = Arc::clone(about);
        Self { about, what, sender: sender.to_owned(), reason: None, live: None, field: None, labels: None }
    }
}

/// One of the items of a sum.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Example {
    pub(super) message: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) item: Option<String>,
}

impl Example {
    fn bounded(mut self) -> Self {
        let fields = [
            (&mut self.message, MESSAGE_BYTES_MAX),
            (&mut self.before, FIELD_BYTES_MAX),
            (&mut self.after, FIELD_BYTES_MAX),
            (&mut self.item, ITEM_BYTES_MAX),
        ];
        for (text, bytes_max) in fields {
            if let Some(text) = text {
                truncate_text(text, bytes_max);
            }
        }
        self
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) items: u64,
    pub(super) value: f64,
    pub(super) examples: Vec<Example>,
}

/// Of one tenant.
#[derive(Debug, Default)]
pub(crate) struct TenantSums {
    pub(super) groups: HashMap<Group, Sum, ahash::RandomState>,
    derived: usize,
}

impl TenantSums {
    /// Adds to a sum, or to one that stands for all beyond the bound. `false` = that one.
    fn add(
        &mut self,
        group: Group,
        items: u64,
        value: f64,
        examples: impl FnOnce(usize) -> Vec<Example>,
    ) -> bool {
        let derived = group.what == what::DERIVED;
        let (count, max) = match derived {
            true => (self.derived, DERIVED_MAX),
            false => (self.groups.len() - self.derived, GROUPS_MAX),
        };
        let fits = count < max || self.groups.contains_key(&group);
        let group = if fits { group } else { folded(group) };
        let before = self.groups.len();
        let sum = self.groups.entry(group).or_default();
        sum.items += items;
        sum.value += value;
        let room = EXAMPLES_MAX - sum.examples.len().min(EXAMPLES_MAX);
        if room > 0 {
            sum.examples.extend(examples(room).into_iter().take(room).map(Example::bounded));
        }
        self.derived += usize::from(derived && self.groups.len() > before);
        fits
    }
}

/// The group that stands for all that are said alike by the same plugin, beyond the bound.
fn folded(group: Group) -> Group {
    let others = |text: Option<Reason>| text.map(|_| Reason::Borrowed(OTHERS));
    Group {
        sender: OTHERS.to_owned(),
        reason: others(group.reason),
        live: others(group.live),
        // There are 100 metrics of a plugin at most.
        field: if group.what == what::DERIVED { group.field } else { group.field.map(|_| OTHERS.to_owned()) },
        labels: group.labels.map(|_| OVERFLOW.to_owned()),
        ..group
    }
}

/// Of all tenants.
#[derive(Debug, Default)]
pub(super) struct Sums {
    tenants: HashMap<Tenant, TenantSums, ahash::RandomState>,
    folded: u64,
    /// Deletions of tenants so far.
    deletions: u64,
    /// The last of them, each with its number.
    deleted: VecDeque<(u64, Tenant)>,
}

/// Deletions that are remembered: more than come while a request waits to be looked at.
const DELETED_MAX: usize = 1_000;

impl Sums {
    /// Adds items that were treated alike. `examples` is asked for so many at most.
    pub(super) fn add(
        &mut self,
        tenant: &Tenant,
        group: Group,
        items: u64,
        examples: impl FnOnce(usize) -> Vec<Example>,
    ) {
        self.add_value(tenant, group, items, 0.0, examples);
    }

    /// The same with an increment of a metric.
    pub(super) fn add_value(
        &mut self,
        tenant: &Tenant,
        group: Group,
        items: u64,
        value: f64,
        examples: impl FnOnce(usize) -> Vec<Example>,
    ) {
        if items == 0 {
            return;
        }
        if !self.tenants.contains_key(tenant) && self.tenants.len() >= TENANTS_MAX {
            self.folded += 1;
            return;
        }
        let apart = self.tenants.entry(tenant.clone()).or_default().add(group, items, value, examples);
        self.folded += u64::from(!apart);
    }

    pub(super) fn take(&mut self) -> Vec<(Tenant, TenantSums)> {
        self.tenants.drain().collect()
    }

    pub(super) fn put_back(&mut self, tenant: &Tenant, said: TenantSums) {
        for (group, sum) in said.groups {
            self.add_value(tenant, group, sum.items, sum.value, |_| sum.examples);
        }
    }

    /// Forgets a tenant that is deleted, and what is still to be said of earlier requests of it.
    pub(super) fn forget(&mut self, tenant: &Tenant) {
        self.tenants.remove(tenant);
        self.deletions += 1;
        self.deleted.push_back((self.deletions, tenant.clone()));
        if self.deleted.len() > DELETED_MAX {
            self.deleted.pop_front();
        }
    }

    /// Deletions of tenants so far.
    pub(super) fn deletions(&self) -> u64 {
        self.deletions
    }

    /// Whether a tenant was deleted after so many deletions.
    pub(super) fn is_deleted_since(&self, tenant: &Tenant, deletions: u64) -> bool {
        self.deleted.iter().rev().take_while(|(at, _)| *at > deletions).any(|(_, deleted)| deleted == tenant)
    }

    pub(super) fn folded(&self) -> u64 {
        self.folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(what: &'static str, sender: &str) -> Group {
        let (name, plugin, digest) = ("x".to_owned(), "x@1".to_owned(), "00".to_owned());
        let about = About { name, plugin, digest, world: "validator", signal: Signal::Logs };
        Group { reason: Some("r".into()), ..Group::new(&Arc::new(about), what, sender) }
    }

    fn example(_: usize) -> Vec<Example> {
        vec![Example { item: Some("é".repeat(ITEM_BYTES_MAX)), ..Example::default() }]
    }

    #[test]
    fn everything_is_counted_and_a_bounded_part_kept_apart() {
        let mut sums = Sums::default();
        let tenant = Tenant::default();
        for at in 0..GROUPS_MAX + 500 {
            sums.add(&tenant, group(what::REFUSED, &format!("s{at}")), 2, example);
        }
        sums.add(&tenant, group(what::REFUSED, "s7"), 10, example);
        assert_eq!(sums.folded(), 500);
        let (_, said) = sums.take().pop().unwrap();
        assert_eq!(said.groups.len(), GROUPS_MAX + 1);
        assert_eq!(
            said.groups.values().map(|sum| sum.items).sum::<u64>(),
            2 * (GROUPS_MAX as u64 + 500) + 10
        );
        let seventh = &said.groups[&group(what::REFUSED, "s7")];
        assert_eq!((seventh.items, seventh.examples.len()), (12, 2));
        assert_eq!(seventh.examples[0].item.as_ref().unwrap().len(), ITEM_BYTES_MAX);
        let others = said.groups.iter().find(|(group, _)| group.sender == OTHERS).unwrap();
        assert_eq!((others.1.items, others.1.examples.len()), (1_000, EXAMPLES_MAX));

        // What could not be written comes with the next.
        sums.add(&tenant, group(what::REFUSED, "s7"), 1, example);
        sums.put_back(&tenant, said);
        assert_eq!(sums.take()[0].1.groups[&group(what::REFUSED, "s7")].items, 13);
        assert!(sums.take().is_empty());
    }
}
