//! The series resolver of one request.

use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_model::counts::truncate_text;
use isinglass_model::labels::LabelSet;
use isinglass_model::series::{
    Fingerprint, Judgement, Known, MetricMeta, Refusal, ResolveError, SeriesRef, SeriesResolver,
};

use super::active::SeriesLimits;
use super::fingerprints::Map;
use super::index::Series;
use super::table::SeriesTable;
use super::verdicts::Arrival;
use crate::append::Life;

/// Turns raw label bytes into series of one tenant; one value per request. The refs it
/// gives out are valid until the tenant is deleted or the process ends.
pub struct Resolver {
    table: Arc<SeriesTable>,
    snapshot: Arc<Map>,
    life: Life,
    /// Whether label sets from the wire are shown to transformers.
    transforms: bool,
    limits: SeriesLimits,
    /// Refusals that it keeps for the one who asked, see [`Resolver::hold_refusals`].
    held: Option<Held>,
}

type Held = HashMap<SeriesRef, Arc<Refusal>, ahash::RandomState>;

impl Resolver {
    pub(crate) fn new(table: Arc<SeriesTable>, life: Life) -> Self {
        let snapshot = table.fingerprints.snapshot();
        Self { table, snapshot, life, transforms: false, limits: SeriesLimits::NONE, held: None }
    }

    /// The life of the tenant in which its refs mean something, for [`crate::Append::life`].
    pub fn life(&self) -> Life {
        self.life
    }

    /// From now on only what was said under this digest of the chain counts. With
    /// `transforms` the label sets that decode hands in are shown to transformers.
    pub fn judge_under(&mut self, digest: &str, transforms: bool) {
        self.table.judge_under(digest);
        self.transforms = transforms;
    }

    /// How many series there may be from now on.
    pub fn limit(&mut self, limits: SeriesLimits) {
        self.limits = limits;
    }

    /// Notes what the transformers of this digest made of some series.
    pub fn arrived(&self, arrivals: &[(SeriesRef, Arrival)], digest: &str) {
        self.table.arrived(arrivals, digest);
    }

    /// From now on series that were refused before are found like others, where their labels are
    /// still known, and [`Resolver::take_held`] says which they are. So what is refused can be set
    /// aside with its labels. Where there are transformers, it stays as it was: the labels of
    /// such a series have not been through them.
    pub fn hold_refusals(&mut self) {
        self.held = (!self.transforms).then(Held::default);
    }

    /// The series that were found since, though they were refused.
    pub fn take_held(&mut self) -> Held {
        self.held.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn known(&mut self, series: SeriesRef) -> Known {
        if self.transforms {
            return self.table.arrival(series);
        }
        let judgement = self.table.judgement(series);
        match (&mut self.held, judgement) {
            (Some(held), Judgement::Reject(refusal)) if !self.table.is_forgotten(series) => {
                held.insert(series, refusal);
                Known { series, judgement: Judgement::Keep }
            }
            (_, judgement) => Known { series, judgement },
        }
    }

    /// Notes what the validators of this digest said of some series.
    pub fn judge(&self, verdicts: &[(SeriesRef, Judgement)], validators_digest: &str) {
        self.table.judge(verdicts, validators_digest);
    }

    /// What the validators said of a series.
    pub fn judgement(&self, series: SeriesRef) -> Judgement {
        self.table.judgement(series)
    }

    /// A series with its labels and ids.
    pub fn series(&self, series: SeriesRef) -> Option<Arc<Series>> {
        self.table.series(series)
    }

    /// The labels of a series.
    pub fn labels_of(&self, series: SeriesRef) -> Option<LabelSet> {
        self.table.series(series).map(|series| Arc::unwrap_or_clone(series).labels)
    }

    /// Finds or adds a label set that did not come over the wire, such as that of a
    /// derived metric.
    pub fn intern_labels(&mut self, labels: LabelSet) -> Result<Known, ResolveError> {
        let hash = xxhash_rust::xxh3::xxh3_128_with_seed(labels.as_bytes(), !self.table.salt());
        let fingerprint = Fingerprint(hash);
        let series = match self.table.fingerprints.get(&mut self.snapshot, fingerprint) {
            Some(series) if !self.table.is_forgotten(series) => series,
            _ => self.table.intern(fingerprint, labels, self.limits)?,
        };
        Ok(Known { series, judgement: self.table.judgement(series) })
    }
}

impl SeriesResolver for Resolver {
    fn salt(&self) -> u64 {
        self.table.salt()
    }

    fn lookup(&mut self, fingerprint: Fingerprint) -> Option<Known> {
        let series = self.table.fingerprints.get(&mut self.snapshot, fingerprint)?;
        let known = self.known(series);
        // What is to be shown to plugins needs its labels, which are read again.
        let lost = known.judgement == Judgement::Pending && self.table.is_forgotten(series);
        (!lost).then_some(known)
    }

    fn intern(&mut self, fingerprint: Fingerprint, labels: LabelSet) -> Result<Known, ResolveError> {
        let series = self.table.intern(fingerprint, labels, self.limits)?;
        Ok(self.known(series))
    }

    fn describe(&mut self, metric: &str, meta: &MetricMeta) {
        let max = self.limits.metadata_bytes;
        if meta.help.len() <= max && meta.unit.len() <= max {
            return self.table.describe(metric, meta);
        }
        let mut meta = meta.clone();
        truncate_text(&mut meta.help, max);
        truncate_text(&mut meta.unit, max);
        self.table.describe(metric, &meta);
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resolver({} series)", self.table.len())
    }
}
