//! What was found of a selection, for who asks for it again.
//!
//! Dashboards ask for the same series at other times. To look each of ten thousand up in the
//! cache, once a file, and to make its labels takes longer than to add their values up. So the
//! labels of a selection are kept, and beside each series where its samples are.
//!
//! **Why it never becomes wrong.** Matchers are asked each time; what is known is taken only if
//! they find the very series that they found before, and else for those that both have. Labels
//! of a series never change, nor do samples of a file.
//!
//! **What it holds.** Labels, which are counted, and weak pointers to samples, which the cache
//! counts and forgets as before. So that it does not forget what is asked for only by this way,
//! each [`USES`] questions go to the cache.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};
use isinglass_lang::promql::ast::Matcher;
use isinglass_model::Tenant;
use isinglass_promql::Labels;
use parking_lot::Mutex;

use super::{FileId, Run};
use crate::promql::series::Wanted;

/// Smaller selections are looked up.
const SERIES_MIN: usize = 64;
/// Of so many files places are kept, those that were asked for last.
const FILES_MAX: usize = 8;
/// Questions until the cache is asked again.
const USES: usize = 16;
/// A label set, as long as it is not made.
const LABELS_BYTES: usize = 320;
/// The rest of a series.
const SERIES_BYTES: usize =
    size_of::<Wanted>() + size_of::<OnceLock<Labels>>() + FILES_MAX * size_of::<OnceLock<Weak<Run>>>();

/// The series of a selection and what is known of them.
pub(in crate::promql) struct Known {
    wanted: Arc<[Wanted]>,
    labels: Box<[OnceLock<Labels>]>,
    /// Of labels that were made since this was put into the cache.
    made_bytes: AtomicUsize,
    /// What it counts there.
    counted: usize,
    files: Mutex<Vec<(FileId, Arc<Places>)>>,
}

/// Where the samples of series are in the cache, of one file. Weak pointers keep the head of a
/// run that was forgotten, not its samples.
pub(super) struct Places {
    runs: Box<[OnceLock<Weak<Run>>]>,
    uses: AtomicUsize,
}

impl Known {
    fn new(wanted: &Arc<[Wanted]>) -> Self {
        Self::with_labels(wanted, wanted.iter().map(|_| OnceLock::new()).collect())
    }

    fn with_labels(wanted: &Arc<[Wanted]>, labels: Box<[OnceLock<Labels>]>) -> Self {
        let of = |labels: &OnceLock<Labels>| labels.get().map_or(LABELS_BYTES, bytes_of);
        let counted = wanted.len() * SERIES_BYTES + labels.iter().map(of).sum::<usize>();
        let (made_bytes, files) = (AtomicUsize::new(0), Mutex::default());
        Self { wanted: Arc::clone(wanted), labels, made_bytes, counted, files }
    }

    /// The same of other series, with the labels of those that both have.
    fn of_others(&self, wanted: &Arc<[Wanted]>) -> Self {
        let mut before = self.wanted.iter().zip(&self.labels).peekable();
        let labels = wanted.iter().map(|one| {
            while before.next_if(|(other, _)| *other < one).is_some() {}
            before.next_if(|(other, _)| *other == one).map(|(_, labels)| labels.clone()).unwrap_or_default()
        });
        Self::with_labels(wanted, labels.collect())
    }

    /// Whether labels turned out to be larger than was counted.
    fn has_grown(&self) -> bool {
        self.made_bytes.load(Ordering::Relaxed) + self.wanted.len() * SERIES_BYTES > self.counted
    }

    pub(in crate::promql) fn wanted(&self) -> &Arc<[Wanted]> {
        &self.wanted
    }

    /// The labels of a series; `None` if nobody made them yet.
    pub(in crate::promql) fn labels(&self, place: usize) -> Option<&Labels> {
        self.labels.get(place)?.get()
    }

    /// Keeps labels that were made.
    pub(in crate::promql) fn set_labels(&self, place: usize, labels: Labels) {
        let bytes = bytes_of(&labels);
        if self.labels.get(place).is_some_and(|kept| kept.set(labels).is_ok()) {
            self.made_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The places of a file, for one part of a question.
    pub(super) fn places(&self, file: FileId) -> Arc<Places> {
        let mut files = self.files.lock();
        let known = files.iter().position(|(other, _)| *other == file);
        let known = known.map(|at| files.remove(at)).filter(|(_, places)| places.use_once());
        if known.is_none() && files.len() >= FILES_MAX {
            files.remove(0);
        }
        let (_, places) = known.unwrap_or_else(|| (file, Arc::new(Places::new(self.wanted.len()))));
        files.push((file, Arc::clone(&places)));
        places
    }
}

/// A label set, and the allocator's share.
fn bytes_of(labels: &Labels) -> usize {
    labels.as_bytes().len() + 48
}

impl Places {
    fn new(series: usize) -> Self {
        let runs = (0..series).map(|_| OnceLock::new()).collect();
        Self { runs, uses: AtomicUsize::new(1) }
    }

    fn use_once(&self) -> bool {
        self.uses.fetch_add(1, Ordering::Relaxed) < USES
    }

    /// The samples of a series, if they are known and still kept.
    pub(super) fn run(&self, place: usize) -> Option<Arc<Run>> {
        self.runs.get(place)?.get()?.upgrade()
    }

    /// Those of a series that were looked up.
    pub(super) fn set(&self, place: usize, run: &Arc<Run>) {
        if let Some(known) = self.runs.get(place) {
            // The first stays, and goes with all others after some questions.
            let _ = known.set(Arc::downgrade(run));
        }
    }
}

/// A selection of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    tenant: Tenant,
    matchers: Vec<Matcher>,
}

/// Selections that were asked for, as many as fit into some bytes. Beyond that those go first
/// that were not asked for again.
pub(super) struct Selections {
    known: Cache<Asked, Arc<Known>>,
    bytes_max: usize,
}

impl Selections {
    pub(super) fn new(bytes_max: usize) -> Self {
        let known = CacheBuilder::new(bytes_max)
            .with_name("promql_selections")
            .with_shards(1)
            .with_eviction_config(S3FifoConfig::default())
            .with_weighter(|_: &Asked, known: &Arc<Known>| known.counted)
            .build();
        Self { known, bytes_max }
    }

    pub(super) fn bytes(&self) -> usize {
        self.known.usage()
    }

    /// What is known of the series that matchers found. Nothing of a selection that is small, or
    /// too large to be kept.
    pub(super) fn of(
        &self,
        tenant: &Tenant,
        matchers: &[Matcher],
        wanted: &Arc<[Wanted]>,
    ) -> Option<Arc<Known>> {
        if wanted.len() < SERIES_MIN {
            return None;
        }
        let asked = Asked { tenant: tenant.clone(), matchers: matchers.to_vec() };
        let before = self.known.get(&asked).map(|entry| Arc::clone(entry.value()));
        let known = match before {
            Some(known) if known.wanted == *wanted && !known.has_grown() => return Some(known),
            Some(known) => known.of_others(wanted),
            None => Known::new(wanted),
        };
        if known.counted > self.bytes_max / 2 {
            self.known.remove(&asked);
            return None;
        }
        let known = Arc::new(known);
        drop(self.known.insert(asked, Arc::clone(&known)));
        Some(known)
    }
}

/// The part of a selection that a thread reads.
pub(in crate::promql) struct PartOf<'a> {
    pub(in crate::promql) all: &'a [Wanted],
    pub(in crate::promql) range: Range<usize>,
}

impl<'a> PartOf<'a> {
    /// Each series and its place in the selection.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, &'a Wanted)> {
        self.range.clone().zip(self.series())
    }

    pub(in crate::promql) fn series(&self) -> &'a [Wanted] {
        &self.all[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use isinglass_lang::promql::ast::MatchOp;
    use isinglass_model::series::SeriesRef;

    use super::*;

    fn wanted(ids: impl IntoIterator<Item = i64>) -> Arc<[Wanted]> {
        let of = |series_id| Wanted { metric_id: 1, series_id, series: SeriesRef(series_id as u32) };
        ids.into_iter().map(of).collect()
    }

    fn matchers(value: &str) -> Vec<Matcher> {
        vec![Matcher { label: "job".into(), op: MatchOp::Equal, value: value.into() }]
    }

    fn named(known: &Known) -> Vec<i64> {
        let all = known.wanted.iter().enumerate();
        all.filter(|(place, _)| known.labels(*place).is_some()).map(|(_, one)| one.series_id).collect()
    }

    #[test]
    fn labels_stay_with_the_series_that_stay() {
        let selections = Selections::new(1 << 20);
        let tenant = Tenant::default();
        let of =
            |value: &str, series: &Arc<[Wanted]>| selections.of(&tenant, &matchers(value), series).unwrap();
        let first = wanted(0..100);
        let known = of("a", &first);
        for place in [0, 7, 99] {
            known.set_labels(place, Labels::new([("n", place.to_string())]));
        }
        assert!(Arc::ptr_eq(&known, &of("a", &wanted(0..100))));
        assert_eq!(named(&of("b", &first)), [] as [i64; 0]);
        // Some went, some came.
        let other = of("a", &wanted((5..90).chain(99..140)));
        assert_eq!(named(&other), [7, 99]);
        assert_eq!(other.labels(85).unwrap().get("n"), "99");
    }

    #[test]
    fn the_smallest_and_the_largest_are_not_kept() {
        let selections = Selections::new(1 << 20);
        let of = |series| selections.of(&Tenant::default(), &matchers("a"), &wanted(0..series));
        assert!(of(SERIES_MIN as i64 - 1).is_none());
        assert!(of((1 << 19) / (SERIES_BYTES + LABELS_BYTES) as i64 + 1).is_none());
        assert_eq!(selections.bytes(), 0);
        let known = of(SERIES_MIN as i64).unwrap();
        // Labels that are larger than was thought are counted when somebody asks again.
        let counted = selections.bytes();
        for place in 0..SERIES_MIN {
            known.set_labels(place, Labels::new([("n", "x".repeat(4_000))]));
        }
        assert_eq!(selections.bytes(), counted);
        assert_eq!(named(&of(SERIES_MIN as i64).unwrap()).len(), SERIES_MIN);
        assert!(selections.bytes() > SERIES_MIN * 4_000);
        let known = of(SERIES_MIN as i64 + 1).unwrap();
        known.set_labels(SERIES_MIN, Labels::new([("n", "x".repeat(400_000))]));
        assert!(of(SERIES_MIN as i64 + 1).is_none());
        assert_eq!(selections.bytes(), 0);
    }

    #[test]
    fn what_the_cache_forgets_is_looked_up_again() {
        let known = Known::new(&wanted(0..3));
        let run = Run::none();
        known.places(FileId(1)).set(1, &run);
        assert!(Arc::ptr_eq(&known.places(FileId(1)).run(1).unwrap(), &run));
        assert!(known.places(FileId(2)).run(1).is_none());
        drop(run);
        assert!(known.places(FileId(1)).run(1).is_none());
    }

    #[test]
    fn the_cache_is_asked_again_after_some_questions() {
        let (known, run) = (Known::new(&wanted(0..3)), Run::none());
        known.places(FileId(1)).set(0, &run);
        let hits = (1..USES).filter(|_| known.places(FileId(1)).run(0).is_some()).count();
        assert_eq!(hits, USES - 1);
        assert!(known.places(FileId(1)).run(0).is_none());
        for file in 2..100 {
            known.places(FileId(file));
        }
        assert_eq!(known.files.lock().len(), FILES_MAX);
    }
}
