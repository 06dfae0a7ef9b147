//! (series, day) pairs that a record is the first to hold, with labels and metadata.

use std::collections::HashSet;

use isinglass_model::labels::LabelSet;
use isinglass_model::series::{MetricMeta, SeriesRef};

use crate::StoreError;
use crate::series::SeriesTable;
use crate::wal::wire::{Reader, put_len32, put_text16};

/// A pair read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeriesEntry {
    pub(crate) series_id: i64,
    pub(crate) day: i32,
    pub(crate) labels: LabelSet,
    pub(crate) meta: Option<MetricMeta>,
}

/// Writes pairs. Metadata stands with the first series of each metric only.
pub(crate) fn put_series(
    out: &mut Vec<u8>,
    pairs: &[(SeriesRef, i32)],
    table: &SeriesTable,
) -> Result<(), StoreError> {
    let refs: Vec<SeriesRef> = pairs.iter().map(|(series, _)| *series).collect();
    let all = table.series_of(&refs);
    if all.len() != pairs.len() {
        return Err(StoreError::Internal(
            "a sample has a series that this tenant's index did not give out".into(),
        ));
    }
    let mut described = HashSet::new();
    put_len32(out, pairs.len());
    for (series, (_, day)) in all.iter().zip(pairs) {
        out.extend_from_slice(&series.series_id.to_le_bytes());
        out.extend_from_slice(&day.to_le_bytes());
        let labels = series.labels.as_bytes();
        put_len32(out, labels.len());
        out.extend_from_slice(labels);
        let metric = series.labels.metric();
        let meta = if described.insert(metric) { table.meta(metric) } else { None };
        out.push(u8::from(meta.is_some()));
        if let Some(meta) = meta {
            put_text16(out, &meta.metric_type);
            put_text16(out, &meta.unit);
            put_text16(out, &meta.help);
        }
    }
    Ok(())
}

/// Reads pairs back.
pub(crate) fn read_series(bytes: &[u8]) -> Result<Vec<SeriesEntry>, StoreError> {
    let mut reader = Reader::new(bytes);
    let count = reader.len32()?;
    let mut entries = Vec::with_capacity(count.min(bytes.len() / 17));
    for _ in 0..count {
        let (series_id, day) = (reader.i64()?, reader.i32()?);
        let length = reader.len32()?;
        let labels = LabelSet::from_bytes(reader.take(length)?)
            .map_err(|error| StoreError::damaged("series section", error.to_string()))?;
        let meta = if reader.u8()? == 0 { None } else { Some(read_meta(&mut reader)?) };
        entries.push(SeriesEntry { series_id, day, labels, meta });
    }
    Ok(entries)
}

fn read_meta(reader: &mut Reader<'_>) -> Result<MetricMeta, StoreError> {
    Ok(MetricMeta {
        metric_type: reader.text16()?.to_owned(),
        unit: reader.text16()?.to_owned(),
        help: reader.text16()?.to_owned(),
    })
}
