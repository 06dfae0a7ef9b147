//! Which series a row belongs to: its fingerprint, and its labels where the
//! fingerprint is new.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::reason::code;
use isinglass_model::series::{Fingerprint, MetricMeta, SeriesRef};

use super::name::{self, Naming};
use super::point::{Kind, Point};
use crate::item::{Fault, Stop};
use crate::series::{Refused, Sink, fingerprint, label_set};
use crate::value::{Any, excerpt, key_value};
use crate::wire::{Reader, WireError};

/// Mixed into the salt, so that no label bytes of remote write can have the
/// fingerprint of a series of ours.
const DOMAIN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A resource, as far as series need it.
pub(super) struct Resource<'a> {
    pub(super) message: Reader<'a>,
    pub(super) hash: u128,
    /// `job` and `instance`, once a new series needed them.
    target: OnceCell<Result<Vec<(String, String)>, Stop>>,
}

impl<'a> Resource<'a> {
    pub(super) fn read(message: Option<Reader<'a>>, salt: u64) -> Result<Self, WireError> {
        let message = message.unwrap_or(Reader::new(&[]));
        let hash = fingerprint(message.bytes(), salt ^ DOMAIN).0;
        Ok(Self { message, hash, target: OnceCell::new() })
    }

    /// Calls `each` with every attribute.
    pub(super) fn attributes(
        &self,
        mut each: impl FnMut(&str, Any<'a>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut fields = self.message;
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                let (key, value) = key_value(field.message()?)?;
                each(label_key(key)?, value)?;
            }
        }
        Ok(())
    }

    /// The labels `job` and `instance`.
    pub(super) fn target(&self) -> Result<Vec<(String, String)>, Stop> {
        self.target.get_or_init(|| self.read_target()).clone()
    }

    fn read_target(&self) -> Result<Vec<(String, String)>, Stop> {
        let [mut namespace, mut name, mut instance] = [const { None }; 3];
        self.attributes(|key, value| {
            let place = match key {
                "service.namespace" => &mut namespace,
                "service.name" => &mut name,
                "service.instance.id" => &mut instance,
                _ => return Ok(()),
            };
            *place = Some(label_value(key, value)?);
            Ok(())
        })?;
        let mut target = Vec::with_capacity(2);
        if let Some(name) = name {
            let job = namespace.map(|namespace| format!("{namespace}/{name}")).unwrap_or(name);
            target.push(("job".to_owned(), job));
        }
        target.extend(instance.map(|instance| ("instance".to_owned(), instance)));
        Ok(target)
    }
}

/// What a series is called beyond its metric's name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Whole,
    Sum,
    Count,
    /// `_bucket` up to this bound.
    Bucket(f64),
    /// The value at this quantile.
    Quantile(f64),
}

impl Part {
    /// A number for each part, and what makes it another series.
    fn identity(self) -> (u8, u64) {
        match self {
            Self::Whole => (0, 0),
            Self::Sum => (1, 0),
            Self::Count => (2, 0),
            Self::Bucket(bound) => (3, bound.to_bits()),
            Self::Quantile(quantile) => (4, quantile.to_bits()),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Whole | Self::Quantile(_) => "",
            Self::Sum => "_sum",
            Self::Count => "_count",
            Self::Bucket(_) => "_bucket",
        }
    }

    fn label(self) -> Option<(&'static str, String)> {
        match self {
            Self::Bucket(bound) => Some(("le", bound_text(bound))),
            Self::Quantile(quantile) => Some(("quantile", bound_text(quantile))),
            _ => None,
        }
    }
}

/// A bound as Prometheus writes it: shortest digits, no exponent.
fn bound_text(bound: f64) -> String {
    if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() }
}

/// A metric.
pub(super) struct Metric<'a> {
    resource: &'a Resource<'a>,
    pub(super) kind: Kind,
    pub(super) temporality: Temporality,
    monotonic: bool,
    pub(super) name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    hash: u128,
    /// Its name in Prometheus, once a new series needed it.
    translated: OnceCell<Result<String, Fault>>,
}

impl<'a> Metric<'a> {
    pub(super) fn new(
        resource: &'a Resource<'a>,
        kind: Kind,
        temporality: Temporality,
        monotonic: bool,
        [name, description, unit]: [&'a [u8]; 3],
        salt: u64,
    ) -> Self {
        // The description is part of it, so that a new one is noticed: its
        // points miss once, and find the series that they had.
        let mut bytes = Vec::with_capacity(32 + name.len() + description.len() + unit.len());
        bytes.extend([kind as u8, temporality as u8, u8::from(monotonic)]);
        bytes.extend_from_slice(&resource.hash.to_le_bytes());
        for text in [name, description, unit] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text);
        }
        let hash = fingerprint(&bytes, salt ^ DOMAIN).0;
        let translated = OnceCell::new();
        Self { resource, kind, temporality, monotonic, name, description, unit, hash, translated }
    }

    /// The series of one row of a point.
    #[inline]
    pub(super) fn series(
        &self,
        sink: &mut Sink<'_>,
        point: &Point<'_>,
        part: Part,
    ) -> Result<SeriesRef, Refused> {
        let (tag, bits) = part.identity();
        let mut bytes = [0; 41];
        bytes[..16].copy_from_slice(&self.hash.to_le_bytes());
        bytes[16..32].copy_from_slice(&point.attributes.to_le_bytes());
        bytes[32] = tag;
        bytes[33..].copy_from_slice(&bits.to_le_bytes());
        let key = fingerprint(&bytes, sink.salt ^ DOMAIN);
        sink.resolve(key, |sink| self.labels(sink, point, part))
    }

    /// Writes one sample of a point that makes several.
    pub(super) fn write(
        &self,
        sink: &mut Sink<'_>,
        point: &mut Point<'_>,
        part: Part,
        value: f64,
    ) -> Result<(), WireError> {
        match self.series(sink, point, part) {
            Ok(series) => {
                sink.decoded.samples.push(series, point.time_ms, point.value(value), point.start_ms);
                Ok(())
            }
            Err(refused) => point.refuse_row(sink, refused),
        }
    }

    #[cold]
    fn labels(&self, sink: &mut Sink<'_>, point: &Point<'_>, part: Part) -> Result<LabelSet, Stop> {
        let name = self.translated(sink)?;
        let mut labels = attribute_labels(point)?;
        labels.extend(self.resource.target()?);
        labels.extend(part.label().map(|(name, value)| (name.to_owned(), value)));
        labels.insert(METRIC_NAME.to_owned(), format!("{name}{}", part.suffix()));
        let mut pairs: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(label_set(&mut pairs, self.temporality)?)
    }

    /// The metric's name in Prometheus; the first call also describes it.
    fn translated(&self, sink: &mut Sink<'_>) -> Result<&str, Fault> {
        if self.translated.get().is_none() {
            let result = self.translate();
            if let Ok(name) = &result {
                sink.describe(name, self.meta());
            }
            let _ = self.translated.set(result);
        }
        match self.translated.get() {
            Some(Ok(name)) => Ok(name),
            Some(Err(fault)) => Err(fault.clone()),
            None => Err(self.bad_name("cannot be translated")),
        }
    }

    fn translate(&self) -> Result<String, Fault> {
        let name = simdutf8::basic::from_utf8(self.name).map_err(|_| self.bad_name("is not UTF-8"))?;
        let unit = String::from_utf8_lossy(self.unit);
        let naming = match self.kind {
            Kind::Gauge => Naming::Gauge,
            Kind::Sum if self.monotonic => Naming::Counter,
            _ => Naming::Other,
        };
        name::metric(name, &unit, naming)
            .ok_or_else(|| self.bad_name("has no character that a name may have"))
    }

    #[cold]
    fn bad_name(&self, what: &str) -> Fault {
        if self.name.is_empty() {
            return Fault::new(code::MISSING_METRIC_NAME, "a metric without a name");
        }
        Fault::new(code::METRIC_NAME_INVALID, format!("metric name {:?} {what}", excerpt(self.name)))
    }

    fn meta(&self) -> MetricMeta {
        let metric_type = match self.kind {
            Kind::Sum if self.monotonic => "counter",
            Kind::Gauge | Kind::Sum => "gauge",
            Kind::Histogram | Kind::Exponential => "histogram",
            Kind::Summary => "summary",
        };
        MetricMeta {
            metric_type: metric_type.to_owned(),
            unit: String::from_utf8_lossy(self.unit).into_owned(),
            help: String::from_utf8_lossy(self.description).into_owned(),
        }
    }
}

/// The labels of a point's attributes. Keys that become the same name are one
/// label, their values in the order of the keys with `;` between them.
fn attribute_labels(point: &Point<'_>) -> Result<BTreeMap<String, String>, Stop> {
    let mut attributes = Vec::new();
    let mut fields = point.message;
    while let Some(field) = fields.next()? {
        if field.number == point.kind.attributes() {
            let (key, value) = key_value(field.message()?)?;
            let key = label_key(key)?;
            attributes.push((key, label_value(key, value)?));
        }
    }
    attributes.sort_by_key(|(key, _)| *key);
    merge(attributes)
}

/// Translates the keys of attributes that are sorted by key.
pub(super) fn merge(attributes: Vec<(&str, String)>) -> Result<BTreeMap<String, String>, Stop> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in attributes {
        let name = name::label(key).ok_or_else(|| {
            Fault::new(
                code::LABEL_INVALID,
                format!("attribute key {key:?} has no character that a label name may have"),
            )
        })?;
        match labels.get_mut(&name) {
            Some(taken) => {
                taken.push(';');
                taken.push_str(&value);
            }
            None => drop(labels.insert(name, value)),
        }
    }
    Ok(labels)
}

fn label_key(key: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(key).map_err(|_| {
        Fault::new(code::LABEL_INVALID, format!("attribute key {:?} is not UTF-8", excerpt(key)))
    })
}

/// An attribute's value as text. Broken UTF-8 has the reason of labels here.
pub(super) fn label_value(key: &str, value: Any<'_>) -> Result<String, Stop> {
    let mut text = Vec::new();
    value.write_label(&mut text).map_err(|stop| match stop {
        Stop::Item(fault) => {
            Fault::new(code::LABEL_VALUE_INVALID, format!("value of attribute {key:?}: {}", fault.message))
                .into()
        }
        wire => wire,
    })?;
    Ok(String::from_utf8(text).unwrap_or_default())
}

/// The fingerprint of a resource's `target_info`.
pub(super) fn target_info(resource: &Resource<'_>, salt: u64) -> Fingerprint {
    let mut bytes = [0; 17];
    bytes[..16].copy_from_slice(&resource.hash.to_le_bytes());
    bytes[16] = u8::MAX;
    fingerprint(&bytes, salt ^ DOMAIN)
}
