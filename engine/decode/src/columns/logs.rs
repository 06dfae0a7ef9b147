//! The columns of `logs` under construction, for every protocol that has logs.

use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_schema::ArrowError;
use isinglass_model::batch::LogBatch;
use isinglass_model::kind::Kind;

use super::{Attributes, Dictionary, Finished, Ids, Numbers, Resource, Scope, Shared, Texts};
use crate::item::Fault;
use crate::labels_text;
use crate::value::not_utf8;

/// A stream that was interned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream(i32);

/// A batch of log records.
pub(crate) struct Logs {
    /// The row that is open.
    pub(crate) row: usize,
    pub(crate) shared: Shared,
    pub(crate) attributes: Attributes,
    pub(crate) time: Numbers<i64>,
    pub(crate) observed_time: Numbers<i64>,
    pub(crate) severity_number: Numbers<i16>,
    pub(crate) body: Texts,
    pub(crate) trace_id: Ids<16>,
    pub(crate) span_id: Ids<8>,
    pub(crate) flags: Numbers<i32>,
    pub(crate) dropped_attributes: Numbers<i32>,
    stream: Dictionary,
    stream_labels: Vec<u32>,
    severity: Dictionary,
    severity_text: Dictionary,
    event_name: Dictionary,
    bytes: usize,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self {
            row: 0,
            shared: Shared::default(),
            attributes: Attributes::of_logs(),
            time: Numbers::default(),
            observed_time: Numbers::default(),
            severity_number: Numbers::default(),
            body: Texts::default(),
            trace_id: Ids::default(),
            span_id: Ids::default(),
            flags: Numbers::default(),
            dropped_attributes: Numbers::default(),
            stream: Dictionary::default(),
            stream_labels: Vec::new(),
            severity: Dictionary::default(),
            severity_text: Dictionary::default(),
            event_name: Dictionary::default(),
            bytes: 0,
        }
    }

    /// The stream of these labels, which are sorted by name.
    pub(crate) fn stream(&mut self, labels: &[(String, String)]) -> Stream {
        let text = labels_text::write(labels);
        // `String` is UTF-8, so interning cannot fail.
        let key = self.stream.intern(text.as_bytes()).unwrap_or_default();
        if self.stream.values() > self.stream_labels.len() {
            // As in Loki, the name of the service is not counted: often it was
            // added on the way.
            let counted = labels.iter().filter(|(name, _)| name != "service_name").count();
            self.stream_labels.push(u32::try_from(counted).unwrap_or(u32::MAX));
        }
        Stream(key)
    }

    /// Sets `severity`, and `severity_text` to the sender's own word where that
    /// is another.
    pub(crate) fn set_severity(&mut self, severity: Option<&'static str>, own: &[u8]) -> Result<(), Fault> {
        if let Some(word) = severity {
            set(&mut self.severity, self.row, word.as_bytes(), "severity")?;
        }
        if !own.is_empty() && severity.map(str::as_bytes) != Some(own) {
            set(&mut self.severity_text, self.row, own, "severity text")?;
        }
        Ok(())
    }

    pub(crate) fn set_event_name(&mut self, name: &[u8]) -> Result<(), Fault> {
        if name.is_empty() { Ok(()) } else { set(&mut self.event_name, self.row, name, "event name") }
    }

    /// Closes the row that is open; the next one is open then.
    pub(crate) fn close_row(
        &mut self,
        bytes: usize,
        stream: Stream,
        resource: &Resource,
        scope: &Scope,
    ) -> Result<(), Fault> {
        self.shared.close_row(self.row, resource, scope)?;
        self.attributes.close_row(self.row);
        self.stream.set(self.row, stream.0);
        self.bytes += bytes;
        self.row += 1;
        Ok(())
    }

    /// Forgets what was set of the row that is open.
    #[cold]
    pub(crate) fn cancel_row(&mut self) {
        let row = self.row;
        self.attributes.truncate(row);
        self.time.truncate(row);
        self.observed_time.truncate(row);
        self.severity_number.truncate(row);
        self.body.truncate(row);
        self.trace_id.truncate(row);
        self.span_id.truncate(row);
        self.flags.truncate(row);
        self.dropped_attributes.truncate(row);
        let texts = [&mut self.severity, &mut self.severity_text, &mut self.event_name];
        texts.into_iter().for_each(|column| column.truncate(row));
    }

    /// The batch, or `None` without rows.
    pub(crate) fn finish(self) -> Option<LogBatch> {
        if self.row == 0 {
            return None;
        }
        let batch = self.try_finish();
        // Every builder was given the type that its column has.
        Some(batch.expect("columns of logs have the types of the table"))
    }

    fn try_finish(self) -> Result<LogBatch, ArrowError> {
        let rows = self.row;
        let mut batch = Finished::default();
        self.shared.finish(rows, &mut batch)?;
        let attributes = self.attributes.finish(rows, &mut batch)?;
        batch.push("time", self.time.finish::<Int64Type>(rows)?);
        batch.push("stream", self.stream.finish(rows)?);
        batch.push("severity", self.severity.finish(rows)?);
        batch.push("severity_number", self.severity_number.finish::<Int16Type>(rows)?);
        batch.push("severity_text", self.severity_text.finish(rows)?);
        batch.push("body", Some(super::array(self.body.finish()?)));
        batch.push("trace_id", self.trace_id.finish(rows)?);
        batch.push("span_id", self.span_id.finish(rows)?);
        batch.push("flags", self.flags.finish::<Int32Type>(rows)?);
        batch.push("event_name", self.event_name.finish(rows)?);
        batch.push("observed_time", self.observed_time.finish::<Int64Type>(rows)?);
        batch.push("dropped_attributes_count", self.dropped_attributes.finish::<Int32Type>(rows)?);
        let table = batch.into_batch(Kind::Logs)?;
        Ok(LogBatch {
            table,
            attributes: Some(attributes),
            stream_labels: self.stream_labels,
            bytes: self.bytes,
        })
    }
}

fn set(column: &mut Dictionary, row: usize, text: &[u8], what: &str) -> Result<(), Fault> {
    let key = column.intern(text).map_err(|_| not_utf8(text, what))?;
    column.set(row, key);
    Ok(())
}
