//! Refused items as rows of the table `rejected`.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{Int64Builder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use hashbrown::HashMap;
use isinglass_model::counts::{RejectedItem, Rejections};
use isinglass_model::tables::Table;
use isinglass_model::{Clock, Kind, Tenant};
use parking_lot::Mutex;

use crate::transform::withheld;

/// Tenants whose minute is remembered; at the bound the oldest minutes go.
const TENANTS_MAX: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Grants rows of `rejected` per tenant and minute.
#[derive(Debug)]
pub(crate) struct Allowance {
    rows_per_minute: u32,
    minutes: Mutex<HashMap<Tenant, (Duration, u32), ahash::RandomState>>,
}

impl Allowance {
    pub(crate) fn new(rows_per_minute: u32) -> Self {
        Self { rows_per_minute, minutes: Mutex::default() }
    }

    /// How many of `wanted` rows may be written now.
    fn take(&self, tenant: &Tenant, wanted: usize, clock: &dyn Clock) -> usize {
        let now = clock.monotonic();
        let mut minutes = self.minutes.lock();
        if minutes.len() >= TENANTS_MAX {
            minutes.retain(|_, (start, _)| now.saturating_sub(*start) < MINUTE);
        }
        let (start, used) = minutes.entry(tenant.clone()).or_insert((now, 0));
        if now.saturating_sub(*start) >= MINUTE {
            (*start, *used) = (now, 0);
        }
        let granted = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.rows_per_minute - *used);
        *used += granted;
        granted as usize
    }

    /// The rows of `rejections` that may be written now; `None` for none. The text of the
    /// first `unseen` is withheld.
    pub(crate) fn rows(
        &self,
        tenant: &Tenant,
        rejections: &Rejections,
        unseen: usize,
        clock: &dyn Clock,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        if rejections.items().is_empty() {
            return Ok(None);
        }
        let granted = self.take(tenant, rejections.items().len(), clock);
        if granted == 0 {
            return Ok(None);
        }
        let items = &rejections.items()[..granted];
        let time = clock.now_unix_nanos();
        if unseen == 0 {
            return batch(items, time).map(Some);
        }
        let shown =
            |(at, item): (usize, &RejectedItem)| if at < unseen { withheld(item) } else { item.clone() };
        let items: Vec<_> = items.iter().enumerate().map(shown).collect();
        batch(&items, time).map(Some)
    }
}

fn batch(items: &[RejectedItem], time: i64) -> Result<RecordBatch, ArrowError> {
    let mut times = Int64Builder::with_capacity(items.len());
    let mut messages = StringBuilder::new();
    let mut texts = StringBuilder::new();
    let mut signals = StringDictionaryBuilder::<Int32Type>::new();
    let mut reasons = StringDictionaryBuilder::<Int32Type>::new();
    let mut plugins = StringDictionaryBuilder::<Int32Type>::new();
    let mut digests = StringDictionaryBuilder::<Int32Type>::new();
    let mut rules = StringDictionaryBuilder::<Int32Type>::new();
    for item in items {
        times.append_value(time);
        signals.append(item.signal.as_str())?;
        reasons.append(&*item.reason)?;
        messages.append_value(&item.message);
        plugins.append_option((!item.plugin.is_empty()).then_some(&item.plugin));
        digests.append_option((!item.digest.is_empty()).then_some(&item.digest));
        texts.append_value(&item.item);
        rules.append_option((!item.rule.is_empty()).then_some(&item.rule));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.finish()),
        Arc::new(signals.finish()),
        Arc::new(reasons.finish()),
        Arc::new(messages.finish()),
        Arc::new(plugins.finish()),
        Arc::new(digests.finish()),
        Arc::new(texts.finish()),
        Arc::new(rules.finish()),
    ];
    let table = Table::of(Kind::Rejected);
    let fields: Vec<_> =
        (0..table.columns.len()).map(|column| Arc::clone(table.batch_field(column))).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// A row of a log or span batch as JSON text, ids in hex.
pub(crate) fn row_text(table: &RecordBatch, row: usize) -> String {
    let mut text = Vec::new();
    let mut writer = arrow_json::LineDelimitedWriter::new(&mut text);
    let written = writer.write(&table.slice(row, 1)).and_then(|()| writer.finish());
    match written {
        Ok(()) => String::from_utf8_lossy(&text).trim_end().to_owned(),
        Err(error) => format!("{{\"unprintable\":{:?}}}", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use isinglass_model::clock::ManualClock;
    use isinglass_model::kind::Signal;

    use super::*;

    #[test]
    fn a_tenant_gets_its_rows_per_minute() {
        let clock = ManualClock::at(0);
        let allowance = Allowance::new(1_000);
        let (a, b) = (Tenant::new("a").unwrap(), Tenant::new("b").unwrap());
        assert_eq!(allowance.take(&a, 700, &clock), 700);
        assert_eq!(allowance.take(&a, 700, &clock), 300);
        assert_eq!(allowance.take(&a, 1, &clock), 0);
        assert_eq!(allowance.take(&b, 1, &clock), 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(allowance.take(&a, 700, &clock), 700);
    }

    #[test]
    fn rows_have_the_layout_of_the_table() {
        let item = RejectedItem {
            signal: Signal::Logs,
            reason: "line_too_long".into(),
            message: "body has 2 bytes, the limit is 1".into(),
            plugin: String::new(),
            digest: String::new(),
            rule: String::new(),
            item: "{}".into(),
        };
        let rows = batch(&[item], 5).unwrap();
        assert_eq!(rows.num_rows(), 1);
        assert_eq!(
            row_text(&rows, 0),
            r#"{"time":5,"signal":"logs","reason":"line_too_long","message":"body has 2 bytes, the limit is 1","item":"{}"}"#
        );
    }
}
