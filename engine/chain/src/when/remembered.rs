//! Which series a condition fits. Labels of a series never change and are dear to look up, so they
//! are looked at once: two bits per series in memory.

use hashbrown::HashMap;
use isinglass_model::Tenant;
use isinglass_model::columns::SeriesOfRows;
use isinglass_model::series::SeriesRef;
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<HashMap<Tenant, OfTenant, ahash::RandomState>>);

#[derive(Debug, Default)]
struct OfTenant {
    /// After a deletion of the tenant its series mean nothing any more.
    life: u32,
    asked: Bits,
    fits: Bits,
}

/// By the number of a series.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn has(&self, series: SeriesRef) -> bool {
        let at = series.0 as usize;
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn set(&mut self, series: SeriesRef) {
        let at = series.0 as usize;
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, 0);
        }
        self.0[at / 64] |= 1 << (at % 64);
    }
}

impl Remembered {
    /// Whether it fits each of them, where that is known.
    pub(super) fn read(&self, tenant: &Tenant, of: &SeriesOfRows) -> Vec<Option<bool>> {
        let known = self.0.lock();
        let known = known.get(tenant).filter(|known| known.life == of.life);
        let fits = |known: &OfTenant, series| known.asked.has(series).then(|| known.fits.has(series));
        of.series.iter().map(|series| known.and_then(|known| fits(known, *series))).collect()
    }

    pub(super) fn write(&self, tenant: &Tenant, life: u32, answers: &[(SeriesRef, bool)]) {
        if answers.is_empty() {
            return;
        }
        let mut known = self.0.lock();
        let known = known.entry_ref(tenant).or_default();
        if known.life != life {
            *known = OfTenant { life, ..OfTenant::default() };
        }
        for (series, fits) in answers {
            known.asked.set(*series);
            if *fits {
                known.fits.set(*series);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_for_a_tenant_and_its_life() {
        let remembered = Remembered::default();
        let tenant = |name: &str| Tenant::new(name).unwrap();
        let read = |name: &str, life: u32| {
            let series = [0, 63, 64, 1_000].map(SeriesRef).to_vec();
            remembered.read(&tenant(name), &SeriesOfRows { life, series })
        };
        assert_eq!(read("a", 0), [None; 4]);
        remembered.write(&tenant("a"), 0, &[(SeriesRef(63), true), (SeriesRef(64), false)]);
        remembered.write(&tenant("a"), 0, &[(SeriesRef(0), true)]);
        assert_eq!(read("a", 0), [Some(true), Some(true), Some(false), None]);
        assert_eq!((read("b", 0), read("a", 1)), (vec![None; 4], vec![None; 4]));
        remembered.write(&tenant("a"), 1, &[(SeriesRef(1_000), false)]);
        assert_eq!(read("a", 1), [None, None, None, Some(false)]);
    }
}
