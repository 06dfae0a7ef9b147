//! `ExportLogsServiceRequest` to a batch of log records.

use isinglass_model::batch::Decoded;
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;

use super::{head, next_element, next_of};
use crate::Context;
use crate::columns::{Logs, Resource, Scope, Stream};
use crate::ids::{optional_span_id, optional_trace_id};
use crate::item::{Fault, Stop, reject, split};
use crate::json_line::{JsonLines, Own};
use crate::schema::LOG_RECORD;
use crate::severity;
use crate::value::{Any, key_value, utf8};
use crate::wire::{Reader, WireError};

/// Resource attributes that make up the stream, as Loki indexes them by
/// default, with their names in `stream`; sorted by these.
const STREAM_ATTRIBUTES: [(&str, &str); 18] = [
    ("cloud.availability_zone", "cloud_availability_zone"),
    ("cloud.region", "cloud_region"),
    ("container.name", "container_name"),
    ("deployment.environment", "deployment_environment"),
    ("deployment.environment.name", "deployment_environment_name"),
    ("k8s.cluster.name", "k8s_cluster_name"),
    ("k8s.container.name", "k8s_container_name"),
    ("k8s.cronjob.name", "k8s_cronjob_name"),
    ("k8s.daemonset.name", "k8s_daemonset_name"),
    ("k8s.deployment.name", "k8s_deployment_name"),
    ("k8s.job.name", "k8s_job_name"),
    ("k8s.namespace.name", "k8s_namespace_name"),
    ("k8s.pod.name", "k8s_pod_name"),
    ("k8s.replicaset.name", "k8s_replicaset_name"),
    ("k8s.statefulset.name", "k8s_statefulset_name"),
    ("service.instance.id", "service_instance_id"),
    ("service.name", "service_name"),
    ("service.namespace", "service_namespace"),
];

/// Reads a request.
pub(crate) fn decode(
    mut body: Reader<'_>,
    context: &Context<'_>,
    decoded: &mut Decoded,
) -> Result<(), WireError> {
    let mut logs = Logs::new();
    let mut lines = JsonLines::new(context.logs);
    while let Some(group) = next_of(&mut body, 1)? {
        read_resource_logs(&mut logs, &mut lines, group, context.now_unix_nanos, decoded)?;
    }
    decoded.logs = logs.finish();
    Ok(())
}

fn read_resource_logs(
    logs: &mut Logs,
    lines: &mut JsonLines,
    mut group: Reader<'_>,
    now: i64,
    decoded: &mut Decoded,
) -> Result<(), WireError> {
    let mut labels = Vec::new();
    let resource = logs.shared.read_resource(head(group)?, |key, value| label(&mut labels, key, value))?;
    let resource = resource.map(|resource| {
        add_service(&mut labels, logs.shared.service_of(&resource));
        labels.sort_unstable();
        let stream = logs.stream(&labels);
        (resource, stream)
    });
    let start = logs.row;
    while let Some(scope_logs) = next_element(&mut group)? {
        read_scope_logs(logs, lines, scope_logs, &resource, now, decoded)?;
    }
    if let Ok((resource, _)) = &resource {
        logs.shared.close_resource(resource, start, logs.row);
    }
    Ok(())
}

/// Notes an attribute that is part of the stream; the first of a name counts.
fn label(labels: &mut Vec<(String, String)>, key: &str, value: Any<'_>) -> Result<(), Stop> {
    let Some((_, name)) = STREAM_ATTRIBUTES.iter().find(|(attribute, _)| *attribute == key) else {
        return Ok(());
    };
    let mut text = Vec::new();
    value.write_label(&mut text)?;
    if !text.is_empty() && labels.iter().all(|(taken, _)| taken != name) {
        let text = String::from_utf8(text).unwrap_or_default();
        labels.push(((*name).to_owned(), text));
    }
    Ok(())
}

fn add_service(labels: &mut Vec<(String, String)>, service: &str) {
    if labels.iter().all(|(name, _)| name != "service_name") {
        labels.push(("service_name".to_owned(), service.to_owned()));
    }
}

fn read_scope_logs(
    logs: &mut Logs,
    lines: &mut JsonLines,
    mut group: Reader<'_>,
    resource: &Result<(Resource, Stream), Fault>,
    now: i64,
    decoded: &mut Decoded,
) -> Result<(), WireError> {
    let scope = logs.shared.read_scope(head(group)?)?;
    let start = logs.row;
    while let Some(record) = next_element(&mut group)? {
        record.check_room(logs.row)?;
        let read = match (resource, &scope) {
            (Ok((resource, stream)), Ok(scope)) => {
                split(read_record(logs, lines, record, *stream, resource, scope, now))?
            }
            (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
        };
        if let Err(fault) = read {
            logs.cancel_row();
            reject(decoded, Signal::Logs, &fault, 1, &LOG_RECORD, record)?;
        }
    }
    if let Ok(scope) = &scope {
        logs.shared.close_scope(scope, start, logs.row);
    }
    Ok(())
}

fn read_record(
    logs: &mut Logs,
    lines: &mut JsonLines,
    record: Reader<'_>,
    stream: Stream,
    resource: &Resource,
    scope: &Scope,
    now: i64,
) -> Result<(), Stop> {
    let row = logs.row;
    let (mut time, mut observed) = (0, 0);
    let mut number = 0;
    let (mut word, mut event, mut trace_id, mut span_id): (&[u8], &[u8], &[u8], &[u8]) = (&[], &[], &[], &[]);
    let (mut flags, mut dropped) = (0, 0);
    let mut body = Any::Empty;
    let mut fields = record;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => time = field.fixed64()?,
            2 => number = field.int32()?,
            3 => word = field.bytes()?,
            5 => body = Any::read(field.message()?)?,
            6 => {
                let (key, value) = key_value(field.message()?)?;
                logs.attributes.push(row, key, value)?;
            }
            7 => dropped = field.int32()?,
            8 => flags = field.fixed32()?,
            9 => trace_id = field.bytes()?,
            10 => span_id = field.bytes()?,
            11 => observed = field.fixed64()?,
            12 => event = field.bytes()?,
            _ => {}
        }
    }
    // Set at the end, because a field that comes twice counts as it came last.
    let (trace_id, span_id) = (optional_trace_id(trace_id)?, optional_span_id(span_id, "span_id")?);
    set_some(trace_id, |id| logs.trace_id.set(row, id));
    set_some(span_id, |id| logs.span_id.set(row, id));
    set_some((flags != 0).then_some(flags), |flags| logs.flags.set(row, flags.cast_signed()));
    set_some((dropped != 0).then_some(dropped), |dropped| logs.dropped_attributes.set(row, dropped));
    logs.set_event_name(event)?;
    let observed = (observed != 0).then(|| nanos(observed)).transpose()?;
    let time = if time != 0 { nanos(time)? } else { observed.unwrap_or(now) };
    logs.time.set(row, time);
    set_some(observed, |observed| logs.observed_time.set(row, observed));
    if let Some(number) = i16::try_from(number).ok().filter(|number| *number != 0) {
        logs.severity_number.set(row, number);
    }
    let level = severity::of_number(number).or_else(|| severity::of_text(word));
    logs.set_severity(level, word)?;
    let own = Own {
        severity: level.is_some() || !word.is_empty(),
        trace_id: trace_id.is_some(),
        span_id: span_id.is_some(),
    };
    write_body(logs, lines, body, own)?;
    logs.close_row(record.len(), stream, resource, scope)?;
    Ok(())
}

/// Text as it is, anything else as JSON.
fn write_body(logs: &mut Logs, lines: &mut JsonLines, body: Any<'_>, own: Own) -> Result<(), Stop> {
    match body {
        Any::Empty => logs.body.push(""),
        Any::Text(text) => {
            lines.write(logs, utf8(text, "body")?, own)?;
        }
        other if lines.parses() => {
            let mut text = Vec::new();
            other.write_json(&mut text)?;
            lines.write(logs, utf8(&text, "body")?, own)?;
        }
        other => {
            other.write_json(logs.body.open())?;
            logs.body.close();
        }
    }
    Ok(())
}

fn set_some<T>(value: Option<T>, set: impl FnOnce(T)) {
    if let Some(value) = value {
        set(value);
    }
}

fn nanos(time: u64) -> Result<i64, Fault> {
    i64::try_from(time).map_err(|_| {
        Fault::new(code::TOO_FAR_IN_FUTURE, format!("time {time} ns is beyond the range of time"))
    })
}
