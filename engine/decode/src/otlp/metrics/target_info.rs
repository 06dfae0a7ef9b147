//! `target_info`: the attributes of a resource as a series of its own.

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::MetricMeta;

use super::identity::{self, Resource, label_value, merge};
use crate::item::Stop;
use crate::schema::RESOURCE;
use crate::series::{Sink, label_set};
use crate::wire::WireError;

const NAME: &str = "target_info";

/// Attributes that became `job` and `instance`.
const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// Writes one sample for each of the times, if the resource is identified and
/// has any other attribute.
pub(super) fn write(
    sink: &mut Sink<'_>,
    resource: &Resource<'_>,
    times: &mut Vec<i64>,
) -> Result<(), WireError> {
    if times.is_empty() || !is_wanted(resource)? {
        return Ok(());
    }
    times.sort_unstable();
    times.dedup();
    let fingerprint = identity::target_info(resource, sink.salt);
    match sink.resolve(fingerprint, |sink| labels(sink, resource)) {
        Ok(series) => {
            for time_ms in times.iter() {
                sink.decoded.samples.push(series, *time_ms, 1.0, 0);
            }
            Ok(())
        }
        Err(refused) => sink.refuse(refused, times.len() as u64, &RESOURCE, resource.message),
    }
}

/// As in Prometheus: without `job` and `instance` nothing could be joined, and
/// without other attributes there would be nothing to join.
fn is_wanted(resource: &Resource<'_>) -> Result<bool, WireError> {
    let (mut identified, mut others) = (false, false);
    let mut fields = resource.message;
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            let (key, _) = crate::value::key_value(field.message()?)?;
            match key {
                b"service.name" | b"service.instance.id" => identified = true,
                b"service.namespace" => {}
                _ => others = true,
            }
        }
    }
    Ok(identified && others)
}

fn labels(sink: &mut Sink<'_>, resource: &Resource<'_>) -> Result<LabelSet, Stop> {
    let meta = MetricMeta {
        metric_type: "gauge".to_owned(),
        unit: String::new(),
        help: "Target metadata".to_owned(),
    };
    sink.describe(NAME, meta);
    let mut attributes = Vec::new();
    resource.attributes(|key, value| {
        if !IDENTIFYING.contains(&key) {
            attributes.push((key.to_owned(), label_value(key, value)?));
        }
        Ok(())
    })?;
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    let attributes = attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let mut labels = merge(attributes)?;
    labels.extend(resource.target()?);
    labels.insert(METRIC_NAME.to_owned(), NAME.to_owned());
    let mut pairs: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(label_set(&mut pairs, Temporality::Unspecified)?)
}
