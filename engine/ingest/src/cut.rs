//! Lines and values of attributes that are cut instead of refused, where that is configured.
//!
//! After transformers: a secret that was cut in the middle would not be recognised by one.

use std::collections::BTreeMap;

use isinglass_model::batch::Decoded;
use isinglass_model::columns::{Column, ColumnData, Columns as _, Encoding};
use isinglass_model::counts::truncate_text;
use isinglass_model::edits::{Editable as _, Edits, PairEdits, Pairs, Pool, Rows, TextEdits, Texts};

use crate::error::IngestError;
use crate::limits::TenantLimits;

/// Values that were cut, by what they are.
pub(crate) type Cuts = BTreeMap<&'static str, u64>;

/// Cuts what is longer than the tenant may have.
pub(crate) fn cut_rows(decoded: &mut Decoded, limits: &TenantLimits) -> Result<Cuts, IngestError> {
    let mut cuts = Cuts::new();
    let of_logs = limits.line_truncate_bytes > 0 || limits.attribute_truncate_bytes > 0;
    if let Some(logs) = decoded.logs.take_if(|_| of_logs) {
        let mut rows = Rows::from(logs);
        cut(&mut rows, limits, &[Pairs::Attributes, Pairs::Resource, Pairs::Scope], &mut cuts)?;
        decoded.logs = Some(rows.into_logs());
    }
    if let Some(spans) = decoded.spans.take_if(|_| limits.attribute_truncate_bytes > 0) {
        let all = [Pairs::Attributes, Pairs::Resource, Pairs::Scope, Pairs::Events, Pairs::Links];
        let mut rows = Rows::from(spans);
        cut(&mut rows, limits, &all, &mut cuts)?;
        decoded.spans = Some(rows.into_spans());
    }
    Ok(cuts)
}

fn cut(rows: &mut Rows, limits: &TenantLimits, pairs: &[Pairs], cuts: &mut Cuts) -> Result<(), IngestError> {
    let mut edits = Edits::default();
    let lines = shorter(rows, "body", limits.line_truncate_bytes, |line| Some(line.to_owned()))?;
    if let Some(texts) = lines {
        *cuts.entry("line").or_default() += texts.at.len() as u64;
        edits.texts.push(TextEdits { column: "body".to_owned(), texts, nulls: Vec::new() });
    }
    for of in pairs {
        let column = format!("{}.value", of.prefix());
        // Of text only: half a number or half a list is none.
        let text = |value: &str| serde_json::from_str::<String>(value).ok();
        if let Some(changed) = shorter(rows, &column, limits.attribute_truncate_bytes, text)? {
            *cuts.entry("attribute").or_default() += changed.at.len() as u64;
            edits.pairs.push(PairEdits { changed, ..PairEdits::new(*of) });
        }
    }
    if edits.is_empty() {
        return Ok(());
    }
    let all = 0..rows.rows();
    rows.edit(&[(all, edits)]).map(|_| ()).map_err(IngestError::Internal)
}

/// The entries of a column that are longer than `max`, cut; `None` if there is none.
fn shorter(
    rows: &Rows,
    name: &str,
    max: usize,
    text_of: impl Fn(&str) -> Option<String>,
) -> Result<Option<Texts>, IngestError> {
    let lengths = match rows.column(name, Encoding::Lengths) {
        Some(Column { data: ColumnData::U32(lengths), .. }) if max > 0 => lengths,
        _ => return Ok(None),
    };
    if lengths.iter().all(|length| *length as usize <= max) {
        return Ok(None);
    }
    let Some(Column { data: ColumnData::Text(values), .. }) = rows.column(name, Encoding::Values) else {
        return Ok(None);
    };
    let json = name != "body";
    let (mut at, mut offsets, mut data) = (Vec::new(), vec![0], Vec::new());
    for (entry, range) in values.offsets.windows(2).enumerate() {
        let bytes = &values.data[range[0] as usize..range[1] as usize];
        if bytes.len() <= max {
            continue;
        }
        let text = std::str::from_utf8(bytes).ok().and_then(&text_of);
        let Some(mut text) = text.filter(|text| text.len() > max) else { continue };
        truncate_text(&mut text, max);
        let text = if json { serde_json::Value::from(text).to_string() } else { text };
        data.extend_from_slice(text.as_bytes());
        at.push(u32::try_from(entry).unwrap_or(u32::MAX));
        offsets.push(i32::try_from(data.len()).unwrap_or(i32::MAX));
    }
    if at.is_empty() {
        return Ok(None);
    }
    let keys = (0..at.len() as u32).collect();
    let pool = Pool::new(&offsets, data).map_err(IngestError::Internal)?;
    Ok(Some(Texts { at, keys, pool }))
}
