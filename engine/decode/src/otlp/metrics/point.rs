//! What the data points of all types have in common.

use isinglass_model::batch::STALE_NAN_BITS;

use crate::item::{Fault, Stop};
use crate::schema::{
    EXPONENTIAL_HISTOGRAM_DATA_POINT, HISTOGRAM_DATA_POINT, Message, NUMBER_DATA_POINT, SUMMARY_DATA_POINT,
};
use crate::series::{Refused, Sink, checked_time, fingerprint};
use crate::wire::{Field, Reader, WireError};

/// The types of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

impl Kind {
    /// The message of its points.
    pub(super) fn message(self) -> &'static Message {
        match self {
            Self::Gauge | Self::Sum => &NUMBER_DATA_POINT,
            Self::Histogram => &HISTOGRAM_DATA_POINT,
            Self::Exponential => &EXPONENTIAL_HISTOGRAM_DATA_POINT,
            Self::Summary => &SUMMARY_DATA_POINT,
        }
    }

    /// Numbers of the fields `attributes`, `flags` and `exemplars` (0 = none).
    /// `start_time_unix_nano` is 2 and `time_unix_nano` is 3 everywhere.
    const fn numbers(self) -> (u32, u32, u32) {
        match self {
            Self::Gauge | Self::Sum => (7, 8, 5),
            Self::Histogram => (9, 10, 8),
            Self::Exponential => (1, 10, 11),
            Self::Summary => (7, 8, 0),
        }
    }

    pub(super) const fn attributes(self) -> u32 {
        self.numbers().0
    }

    pub(super) const fn exemplars(self) -> u32 {
        self.numbers().2
    }

    /// Rows that a point would make, exemplars among them.
    pub(super) fn rows(self, mut fields: Reader<'_>) -> Result<u64, WireError> {
        let exemplars = self.exemplars();
        let (mut rows, mut bounds, mut buckets) = (0, 0, 0);
        while let Some(field) = fields.next()? {
            match (self, field.number) {
                (_, number) if number == exemplars => rows += 1,
                (Self::Histogram, 5) => rows += 1,
                (Self::Histogram, 6) => field.fixed64s(|_| buckets += 1)?,
                (Self::Histogram, 7) => field.fixed64s(|_| bounds += 1)?,
                (Self::Summary, 6) => rows += 1,
                _ => {}
            }
        }
        let fixed = match self {
            Self::Gauge | Self::Sum | Self::Exponential => 1,
            Self::Histogram => 2 + if buckets > 0 { bounds } else { 0 },
            Self::Summary => 2,
        };
        Ok(rows + fixed)
    }
}

/// A point that was read, but for the fields of its type.
pub(super) struct Point<'a> {
    pub(super) message: Reader<'a>,
    pub(super) kind: Kind,
    /// Hash of the attributes' bytes.
    pub(super) attributes: u128,
    pub(super) time_ms: i64,
    /// 0 = unknown.
    pub(super) start_ms: i64,
    /// The flag for "no recorded value", which is Prometheus' stale marker.
    pub(super) stale: bool,
    pub(super) exemplars: u64,
    /// Rows that were refused for the same reason, not yet counted.
    refused: Option<(Refused, u64)>,
}

impl<'a> Point<'a> {
    /// Reads a point; `other` gets the fields of its type.
    #[inline]
    pub(super) fn read(
        sink: &Sink<'_>,
        kind: Kind,
        message: Reader<'a>,
        mut other: impl FnMut(&Field<'a>) -> Result<(), Stop>,
    ) -> Result<Self, Stop> {
        let (attributes, flags, exemplars) = kind.numbers();
        let mut point = Self {
            message,
            kind,
            attributes: 0,
            time_ms: 0,
            start_ms: 0,
            stale: false,
            exemplars: 0,
            refused: None,
        };
        let (mut time, mut start) = (0, 0);
        let mut run = Run::default();
        let mut fields = message;
        while let Some(field) = fields.next()? {
            match field.number {
                2 => start = field.fixed64()?,
                3 => time = field.fixed64()?,
                number if number == attributes => run.add(field.offset, fields.offset()),
                number if number == flags => point.stale = field.varint()? & 1 != 0,
                number if number == exemplars => point.exemplars += 1,
                _ => other(&field)?,
            }
        }
        point.attributes = run.hash(message, attributes, sink.salt)?;
        point.time_ms = millis(time, sink.now_ms)?;
        point.start_ms = millis(start, 0)?;
        Ok(point)
    }

    /// A value, or the stale marker in its place.
    pub(super) fn value(&self, value: f64) -> f64 {
        if self.stale { f64::from_bits(STALE_NAN_BITS) } else { value }
    }

    /// Notes a refused row. A point of a thousand rows is written down once, not
    /// a thousand times.
    #[cold]
    pub(super) fn refuse_row(&mut self, sink: &mut Sink<'_>, refused: Refused) -> Result<(), WireError> {
        match &mut self.refused {
            Some((same, rows)) if *same == refused => *rows += 1,
            _ => {
                self.close(sink)?;
                self.refused = Some((refused, 1));
            }
        }
        Ok(())
    }

    /// Counts the rows that were refused.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) -> Result<(), WireError> {
        match self.refused.take() {
            Some((refused, rows)) => sink.refuse(refused, rows, self.kind.message(), self.message),
            None => Ok(()),
        }
    }

    /// Rows of the point, for the case that none of them can be kept.
    pub(super) fn reject(
        sink: &mut Sink<'_>,
        kind: Kind,
        message: Reader<'_>,
        fault: &Fault,
    ) -> Result<(), WireError> {
        sink.reject(fault, kind.rows(message)?, kind.message(), message)
    }
}

/// Nanoseconds to whole milliseconds; 0 is `unknown`.
pub(super) fn millis(nanos: u64, unknown: i64) -> Result<i64, Fault> {
    match nanos {
        0 => Ok(unknown),
        // Smaller than 2^44, so it fits.
        nanos => checked_time((nanos / 1_000_000) as i64),
    }
}

/// Where the attributes of a point lie. Senders write them in one piece.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
    scattered: bool,
}

impl Run {
    #[inline]
    fn add(&mut self, start: usize, end: usize) {
        if self.end == 0 {
            self.start = start;
        } else if self.end != start {
            self.scattered = true;
        }
        self.end = end;
    }

    fn hash(&self, message: Reader<'_>, number: u32, salt: u64) -> Result<u128, WireError> {
        if self.scattered {
            return Ok(fingerprint(&gather(message, number)?, salt).0);
        }
        let from = message.offset();
        let bytes = match self.end {
            0 => &[],
            end => &message.bytes()[self.start - from..end - from],
        };
        Ok(fingerprint(bytes, salt).0)
    }
}

#[cold]
fn gather(mut message: Reader<'_>, number: u32) -> Result<Vec<u8>, WireError> {
    let mut attributes = crate::wire::Writer::default();
    while let Some(field) = message.next()? {
        if field.number == number {
            attributes.bytes_field(number, field.bytes()?);
        }
    }
    Ok(attributes.into_bytes())
}
