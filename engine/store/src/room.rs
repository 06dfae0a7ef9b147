//! Room on the volume of the log.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::StoreError;
use crate::wal::{Disk, Space};

/// A volume is never asked to keep more than this free, unless that is configured.
const FREE_MIN: u64 = 1 << 30;

/// Whether writes may be taken, by what the disk said last.
#[derive(Debug)]
pub(crate) struct Room {
    /// 0 = by the size of the volume.
    configured: u64,
    free: AtomicU64,
    floor: AtomicU64,
    low: AtomicBool,
    known: AtomicBool,
}

impl Room {
    pub(crate) fn new(configured: u64) -> Self {
        Self {
            configured,
            free: AtomicU64::new(0),
            floor: AtomicU64::new(configured),
            low: AtomicBool::new(false),
            known: AtomicBool::new(false),
        }
    }

    /// Asks the disk.
    pub(crate) fn look(&self, disk: &dyn Disk) -> io::Result<()> {
        let Some(space) = disk.space()? else {
            return Ok(());
        };
        let floor = floor(self.configured, space);
        self.free.store(space.free, Ordering::Relaxed);
        self.floor.store(floor, Ordering::Relaxed);
        self.known.store(true, Ordering::Relaxed);
        let low = space.free < floor;
        if self.low.swap(low, Ordering::Release) != low {
            if low {
                tracing::error!(free = space.free, floor, "the disk is nearly full, writes are refused");
            } else {
                tracing::info!(free = space.free, floor, "the disk has room again, writes are taken");
            }
        }
        Ok(())
    }

    /// Why a write cannot be taken.
    pub(crate) fn refusal(&self) -> Option<StoreError> {
        self.low.load(Ordering::Acquire).then(|| {
            let (free, floor) = (self.free.load(Ordering::Relaxed), self.floor.load(Ordering::Relaxed));
            StoreError::unavailable(format!(
                "the disk has {free} bytes free, disk_free_min_bytes is {floor}; reads go on, and writes as \
                 soon as there is room"
            ))
        })
    }

    /// Free bytes and the floor.
    pub(crate) fn figures(&self) -> Option<(u64, u64)> {
        let known = self.known.load(Ordering::Relaxed);
        known.then(|| (self.free.load(Ordering::Relaxed), self.floor.load(Ordering::Relaxed)))
    }

    pub(crate) fn is_low(&self) -> bool {
        self.low.load(Ordering::Acquire)
    }
}

/// The floor of a volume; 0 = by its size.
pub(crate) fn floor(configured: u64, space: Space) -> u64 {
    match configured {
        0 => floor_of(space),
        said => said,
    }
}

/// The larger of 1 GiB and 5 %, and on a small volume 10 %.
fn floor_of(space: Space) -> u64 {
    FREE_MIN.max(space.total / 20).min(space.total / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_fits_the_volume() {
        let floor = |total: u64| floor_of(Space { free: 0, total });
        assert_eq!(floor(64 << 20), (64 << 20) / 10);
        assert_eq!(floor(15 << 30), 1 << 30);
        assert_eq!(floor(1 << 40), (1 << 40) / 20);
    }
}
