//! Rows that point to a series: samples, histograms and exemplars, from every
//! protocol that has them.

use std::sync::Arc;

use isinglass_model::batch::Decoded;
use isinglass_model::counts::truncate_text;
use isinglass_model::kind::Signal;
use isinglass_model::labels::{LabelSet, LabelSetError, METRIC_NAME, Temporality};
use isinglass_model::limits::HardCaps;
use isinglass_model::reason::code;
use isinglass_model::series::{
    Fingerprint, Judgement, Known, MetricMeta, Refusal, ResolveError, SeriesRef, SeriesResolver,
};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::Context;
use crate::item::{self, Fault, Stop};
use crate::schema::Message;
use crate::wire::{Reader, WireError};

/// Bytes of label sets that one request may add. OTLP repeats `job` and
/// `instance` on every series, so that a request could grow without bound.
const NEW_LABEL_BYTES_MAX: usize = 256 << 20;

/// Times that every column can hold: nanoseconds in 64 bits, here in milliseconds.
const TIME_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Where rows go while a request of metrics is read.
pub(crate) struct Sink<'a> {
    pub(crate) decoded: Decoded,
    pub(crate) now_ms: i64,
    pub(crate) salt: u64,
    resolver: &'a mut dyn SeriesResolver,
    new_label_bytes: usize,
    items: u64,
}

/// Why a series takes no rows.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// Decode or the resolver cannot take it.
    Now(Fault),
    /// A validator refused it earlier.
    Before(Arc<Refusal>),
    /// Its labels cannot be read.
    Wire(WireError),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Now(fault)
    }
}

impl From<Stop> for Refused {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Item(fault) => Self::Now(fault),
            Stop::Wire(error) => Self::Wire(error),
        }
    }
}

impl<'a> Sink<'a> {
    pub(crate) fn new(context: &'a mut Context<'_>) -> Self {
        Self {
            decoded: Decoded::default(),
            now_ms: context.now_unix_nanos.div_euclid(1_000_000),
            salt: context.resolver.salt(),
            resolver: &mut *context.resolver,
            new_label_bytes: 0,
            items: 0,
        }
    }

    /// Counts rows that are about to be added, so that a batch stays bounded.
    #[inline]
    pub(crate) fn take(&mut self, items: u64, reader: Reader<'_>) -> Result<(), WireError> {
        self.items += items;
        reader.check_room(usize::try_from(self.items).unwrap_or(usize::MAX).saturating_sub(1))
    }

    /// The series under a fingerprint. `labels` is called only if the
    /// fingerprint was never seen.
    #[inline]
    pub(crate) fn resolve(
        &mut self,
        fingerprint: Fingerprint,
        labels: impl FnOnce(&mut Self) -> Result<LabelSet, Stop>,
    ) -> Result<SeriesRef, Refused> {
        let known = match self.resolver.lookup(fingerprint) {
            Some(known) => known,
            None => {
                self.check_new_labels(0)?;
                let labels = labels(self)?;
                self.intern(fingerprint, labels)?
            }
        };
        match known.judgement {
            Judgement::Keep => Ok(known.series),
            Judgement::Pending => {
                self.decoded.unjudged.push(known.series);
                Ok(known.series)
            }
            Judgement::Reject(refusal) => Err(Refused::Before(refusal)),
        }
    }

    /// Checked before labels of about `bytes` are built: building them is the cost.
    pub(crate) fn check_new_labels(&self, bytes: usize) -> Result<(), Fault> {
        if self.new_label_bytes.saturating_add(bytes) <= NEW_LABEL_BYTES_MAX {
            return Ok(());
        }
        let message = format!("the new label sets of the request exceed {NEW_LABEL_BYTES_MAX} bytes");
        Err(Fault::new(code::LABEL_VALUE_TOO_LONG, message))
    }

    /// Counts the bytes of labels that were read and then refused.
    #[cold]
    pub(crate) fn charge_labels(&mut self, bytes: usize) {
        self.new_label_bytes = self.new_label_bytes.saturating_add(bytes);
    }

    fn intern(&mut self, fingerprint: Fingerprint, labels: LabelSet) -> Result<Known, Refused> {
        self.new_label_bytes += labels.as_bytes().len();
        let refused = |error: ResolveError| Refused::Now(Fault::new(error.reason(), error.to_string()));
        self.resolver.intern(fingerprint, labels).map_err(refused)
    }

    /// Notes what a metric is. It is kept as long as the process lives, so texts
    /// have a limit; nobody reads the second thousand bytes of a help text.
    pub(crate) fn describe(&mut self, metric: &str, mut meta: MetricMeta) {
        let max = HardCaps::DEFAULT.metadata_bytes_max;
        truncate_text(&mut meta.unit, max);
        truncate_text(&mut meta.help, max);
        self.resolver.describe(metric, &meta);
    }

    /// Counts `items` rows that a series did not take; `reader` is the message
    /// they came in.
    #[cold]
    pub(crate) fn refuse(
        &mut self,
        refused: Refused,
        items: u64,
        message: &'static Message,
        reader: Reader<'_>,
    ) -> Result<(), WireError> {
        match refused {
            Refused::Now(fault) => self.reject(&fault, items, message, reader),
            Refused::Before(refusal) => {
                item::reject_again(&mut self.decoded, &refusal, items, message, reader)
            }
            Refused::Wire(error) => Err(error),
        }
    }

    /// [`Sink::refuse`] with a text of its own for the rejected item.
    #[cold]
    pub(crate) fn refuse_as(
        &mut self,
        refused: Refused,
        items: u64,
        message: &'static Message,
        reader: Reader<'_>,
        text: impl FnOnce() -> String,
    ) -> Result<(), WireError> {
        let refusal = match refused {
            Refused::Now(fault) => return self.reject_as(&fault, items, message, reader, text),
            Refused::Before(refusal) => refusal,
            Refused::Wire(error) => return Err(error),
        };
        message.verify(reader)?;
        item::push_again(&mut self.decoded, &refusal, items, text);
        Ok(())
    }

    /// [`Sink::reject`] with a text of its own for the rejected item.
    #[cold]
    pub(crate) fn reject_as(
        &mut self,
        fault: &Fault,
        items: u64,
        message: &'static Message,
        reader: Reader<'_>,
        text: impl FnOnce() -> String,
    ) -> Result<(), WireError> {
        message.verify(reader)?;
        item::push(&mut self.decoded, Signal::Metrics, fault, items, text);
        Ok(())
    }

    /// Counts `items` faulty rows.
    #[cold]
    pub(crate) fn reject(
        &mut self,
        fault: &Fault,
        items: u64,
        message: &'static Message,
        reader: Reader<'_>,
    ) -> Result<(), WireError> {
        item::reject(&mut self.decoded, Signal::Metrics, fault, items, message, reader)
    }
}

/// Milliseconds that a column can hold.
#[inline]
pub(crate) fn checked_time(time_ms: i64) -> Result<i64, Fault> {
    if time_ms.unsigned_abs() <= TIME_MS_MAX as u64 { Ok(time_ms) } else { Err(out_of_time(time_ms)) }
}

#[cold]
fn out_of_time(time_ms: i64) -> Fault {
    let reason = if time_ms > 0 { code::TOO_FAR_IN_FUTURE } else { code::TOO_FAR_IN_PAST };
    Fault::new(reason, format!("time {time_ms} ms is beyond the range of time"))
}

/// The fingerprint of raw bytes.
#[inline]
pub(crate) fn fingerprint(bytes: &[u8], salt: u64) -> Fingerprint {
    Fingerprint(xxh3_128_with_seed(bytes, salt))
}

/// Packs labels. The reason for what cannot be packed is Mimir's.
pub(crate) fn label_set(labels: &mut [(&str, &str)], temporality: Temporality) -> Result<LabelSet, Fault> {
    let max = HardCaps::DEFAULT.labels_max;
    if labels.len() > max {
        let message = format!("a series with {} labels, the limit is {max}", labels.len());
        return Err(Fault::new(code::MAX_LABEL_NAMES_PER_SERIES, message));
    }
    let named = labels.iter().any(|(name, value)| *name == METRIC_NAME && !value.is_empty());
    if !named {
        return Err(Fault::new(code::MISSING_METRIC_NAME, "a series without a metric name (__name__)"));
    }
    LabelSet::new(labels, temporality).map_err(|error| {
        let reason = match &error {
            LabelSetError::Duplicate(_) => code::DUPLICATE_LABEL_NAMES,
            // Names are packed with 16 bits of length, values with 32: more
            // than a body can hold.
            LabelSetError::TooLong { .. } => code::LABEL_NAME_TOO_LONG,
            LabelSetError::Damaged(_) => code::LABEL_INVALID,
        };
        Fault::new(reason, error.to_string())
    })
}
