//! Label sets of halves: each is kept once, however many halves have it.

use hashbrown::HashMap;
use isinglass_model::deltas::{DerivedLabel, Halves};

pub(super) type SetId = u32;

/// (name, value), without empty values.
pub(super) type Labels = Vec<(String, String)>;

/// The labels of halves.
#[derive(Debug, Default)]
pub(super) struct Set {
    key: Box<[u8]>,
    pub(super) own: Labels,
    /// What those that count alone have besides.
    pub(super) alone: Labels,
    /// How many halves wait that have it.
    halves: u32,
}

/// All label sets in use, and some that may be again.
#[derive(Debug, Default)]
pub(super) struct Sets {
    by_key: HashMap<Box<[u8]>, SetId, ahash::RandomState>,
    sets: Vec<Set>,
    free: Vec<SetId>,
    /// The key that is looked for, kept for its memory.
    key: Vec<u8>,
}

impl Sets {
    /// The id of a label set of a batch. It holds until the next [`Sets::sweep`], or as long as a
    /// half holds it.
    pub(super) fn intern(&mut self, halves: &Halves, set: usize) -> SetId {
        self.key.clear();
        push_labels(&mut self.key, &halves.labels, set);
        self.key.push(b'|');
        push_labels(&mut self.key, &halves.alone, set);
        if let Some(id) = self.by_key.get(self.key.as_slice()) {
            return *id;
        }
        let key: Box<[u8]> = self.key.as_slice().into();
        let of = |labels| given(labels, set).map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (own, alone) = (of(&halves.labels).collect(), of(&halves.alone).collect());
        self.add(Set { key, own, alone, halves: 0 })
    }

    /// The id of a label set of others.
    pub(super) fn adopt(&mut self, set: &Set) -> SetId {
        match self.by_key.get(&set.key) {
            Some(id) => *id,
            None => self.add(Set {
                key: set.key.clone(),
                own: set.own.clone(),
                alone: set.alone.clone(),
                halves: 0,
            }),
        }
    }

    fn add(&mut self, new: Set) -> SetId {
        let key = new.key.clone();
        let id = match self.free.pop() {
            Some(id) => {
                self.sets[id as usize] = new;
                id
            }
            None => {
                self.sets.push(new);
                self.sets.len() as SetId - 1
            }
        };
        self.by_key.insert(key, id);
        id
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn get(&self, id: SetId) -> &Set {
        &self.sets[id as usize]
    }

    /// A half with it waits.
    pub(super) fn hold(&mut self, id: SetId) {
        self.sets[id as usize].halves += 1;
    }

    /// It waits no more.
    pub(super) fn release(&mut self, id: SetId) {
        self.sets[id as usize].halves -= 1;
    }

    /// Forgets what no half has, once there are more than `kept` of all.
    pub(super) fn sweep(&mut self, kept: usize) {
        if self.by_key.len() <= kept {
            return;
        }
        for (id, set) in (0..).zip(&mut self.sets) {
            if set.halves == 0 && self.by_key.remove(&set.key).is_some() {
                *set = Set::default();
                self.free.push(id);
            }
        }
    }
}

fn given(labels: &[DerivedLabel], set: usize) -> impl Iterator<Item = (&str, &str)> {
    let pairs = labels.iter().map(move |label| (label.name.as_str(), label.of(set)));
    pairs.filter(|(_, value)| !value.is_empty())
}

fn push_labels(key: &mut Vec<u8>, labels: &[DerivedLabel], set: usize) {
    for (name, value) in given(labels, set) {
        for text in [name, value] {
            key.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            key.extend_from_slice(text.as_bytes());
        }
    }
}
