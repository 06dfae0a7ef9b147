//! A row that is one side of something.

use std::time::Duration;

use isinglass_model::deltas::{HalfKey, Halves};

use super::super::counters::Exemplar;
use super::PointOf;
use super::sets::SetId;

/// Where an exemplar of a half points to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Point {
    /// It has none.
    None,
    /// To a row of the batch that is being taken, and the value of the half.
    Row(u32, f64),
    Known(Exemplar),
}

impl Point {
    /// The exemplar. Rows are looked up only of halves that are the last of a pair, or that wait
    /// when the batch goes.
    pub(super) fn known(self, point_of: PointOf<'_>) -> Option<Exemplar> {
        match self {
            Self::None => None,
            Self::Row(row, value) => point_of(row, value),
            Self::Known(exemplar) => Some(exemplar),
        }
    }
}

/// A row that is one side of something.
#[derive(Debug, Clone)]
pub(super) struct Half {
    pub(super) key: HalfKey,
    pub(super) flags: u8,
    pub(super) set: SetId,
    pub(super) value: f64,
    /// Nanoseconds since 1970, 0 = none.
    pub(super) time: i64,
    pub(super) weight: f64,
    pub(super) point: Point,
    pub(super) arrived: Duration,
}

impl Half {
    /// A half of a batch.
    pub(super) fn of(halves: &Halves, at: usize, set: SetId, exemplars: bool, arrived: Duration) -> Self {
        let value = halves.values[at];
        Self {
            key: halves.keys[at],
            flags: halves.flags[at],
            set,
            value,
            time: halves.times.get(at).copied().unwrap_or(0),
            weight: halves.weights.get(at).copied().unwrap_or(1.0),
            point: if exemplars { Point::Row(halves.rows[at], value) } else { Point::None },
            arrived,
        }
    }

    pub(super) fn is_second(&self) -> bool {
        self.flags & Halves::SECOND != 0
    }

    pub(super) fn is_marked(&self) -> bool {
        self.flags & Halves::MARKED != 0
    }

    pub(super) fn counts_alone(&self) -> bool {
        self.flags & Halves::ALONE != 0
    }
}
