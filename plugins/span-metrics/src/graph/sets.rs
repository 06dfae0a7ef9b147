//! Label sets of the sides of calls: what is the same for many spans is found out once.

use isinglass_plugin::{Groups, Halves, Keys};

use super::peers::PeerColumns;
use crate::Spans;
use crate::dimensions::Dimension;

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    None = 0,
    Client,
    Producer,
    Server,
    Consumer,
}

impl Role {
    fn of(kind: &str) -> Self {
        match kind {
            "client" => Self::Client,
            "producer" => Self::Producer,
            "server" => Self::Server,
            "consumer" => Self::Consumer,
            _ => Self::None,
        }
    }

    pub(super) fn is_second(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }

    pub(super) fn is_message(self) -> bool {
        matches!(self, Self::Producer | Self::Consumer)
    }
}

/// A label set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) role: Role,
    /// A row that has it.
    pub(super) row: usize,
    /// The database that is called.
    pub(super) database: Option<String>,
    /// Who else is called, if it sends no spans.
    pub(super) peer: String,
}

/// What is the same for all rows of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    /// Those of halves, and the two below.
    pub(super) flags: u8,
    pub(super) set: u32,
}

impl Class {
    /// It is a side of a call.
    pub(super) const SIDE: u8 = 8;
    /// It is a call without another side.
    pub(super) const WHOLE: u8 = 16;

    fn of(set: &Set, number: u32, failed: bool) -> Self {
        let flag = |yes: bool, flag: u8| if yes { flag } else { 0 };
        let flags = flag(set.role.is_second(), Halves::SECOND)
            | flag(failed, Halves::MARKED)
            | flag(!set.peer.is_empty(), Halves::ALONE)
            | flag(set.role != Role::None, Self::SIDE)
            | flag(set.database.is_some(), Self::WHOLE);
        Self { flags, set: number }
    }
}

/// Label sets of a batch, and which of them each row has.
#[derive(Debug)]
pub(super) struct Sets<'a> {
    ids: std::borrow::Cow<'a, [u32]>,
    pub(super) classes: Vec<Class>,
    pub(super) sets: Vec<Set>,
}

impl<'a> Sets<'a> {
    pub(super) fn of(
        spans: &Spans<'_>,
        groups: &'a Groups,
        peers: &PeerColumns<'_>,
        dimensions: &[Dimension<'_>],
    ) -> Self {
        let further: Vec<_> =
            peers.all().chain(dimensions.iter().map(|dimension| &dimension.values)).collect();
        let finer = (!further.is_empty()).then(|| {
            let mut keys = vec![Keys::new(groups.ids(), groups.len() as u64)];
            keys.extend(further.iter().map(|values| values.keys()));
            Groups::by(spans.rows, &keys)
        });
        let first_rows = finer.as_ref().unwrap_or(groups).first_rows();

        let roles = spans.kind.per_distinct(Role::of);
        let failures = spans.status.per_distinct(|status| status == "error");
        let role = |row: &u32| roles[spans.kind.keys()[*row as usize] as usize];
        // The same label set may be in many groups, which differ in names and states of spans.
        let of_group = |key: &dyn Fn(usize) -> u32| -> Vec<u32> {
            first_rows.iter().map(|row| key(*row as usize)).collect()
        };
        let mut keys =
            vec![of_group(&|row| spans.service.keys()[row]), of_group(&|row| role(&(row as u32)) as u32)];
        let mut counts = vec![spans.service.distinct().len() as u64, 5];
        for values in &further {
            keys.push(of_group(&|row| values.key(row)));
            counts.push(values.distinct());
        }
        let keys: Vec<Keys<'_>> =
            keys.iter().zip(counts).map(|(keys, count)| Keys::new(keys, count)).collect();
        let of_sets = Groups::by(first_rows.len(), &keys);

        let set = |group: &u32| {
            let row = first_rows[*group as usize];
            let (role, row) = (role(&row), row as usize);
            let client = role == Role::Client;
            let calls = matches!(role, Role::Client | Role::Producer);
            Set {
                role,
                row,
                database: client.then(|| peers.database(row)).flatten(),
                peer: if calls { peers.name(row) } else { String::new() },
            }
        };
        let sets: Vec<Set> = of_sets.first_rows().iter().map(set).collect();
        let class = |(row, set): (&u32, &u32)| {
            let failed = failures[spans.status.keys()[*row as usize] as usize];
            Class::of(&sets[*set as usize], *set, failed)
        };
        Self {
            classes: first_rows.iter().zip(of_sets.ids()).map(class).collect(),
            sets,
            ids: match finer {
                Some(finer) => finer.ids().to_vec().into(),
                None => groups.ids().into(),
            },
        }
    }

    /// The class of each row, by its number.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }
}
