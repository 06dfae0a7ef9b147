//! `system.tables`: the kinds of a tenant.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use futures::stream::BoxStream;
use isinglass_model::Kind;
use isinglass_store::{TableView, View};

use super::columns::{self, Named, count, nanos, optional_int, text, time};
use super::wanted::Wanted;
use super::{Source, once};

/// The tables of a view.
#[derive(Debug)]
pub(super) struct Tables(pub(super) Arc<View>);

impl Source for Tables {
    fn schema(&self) -> SchemaRef {
        columns::schema(&named(&[]))
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        let rows: Vec<Row> = Kind::ALL.into_iter().map(|kind| Row::of(&self.0, kind)).collect();
        once(columns::batch(named(&rows)))
    }
}

struct Row {
    kind: Kind,
    version: Option<i64>,
    files: usize,
    file_rows: u64,
    file_bytes: u64,
    head_rows: usize,
    head_bytes: usize,
    time: Option<(i64, i64)>,
    flushed: u64,
    watermark: u64,
}

impl Row {
    fn of(view: &View, kind: Kind) -> Self {
        let table = view.table(kind);
        Self {
            kind,
            version: table.version,
            files: table.files.len(),
            file_rows: table.files.iter().map(|file| file.rows).sum(),
            file_bytes: table.files.iter().map(|file| file.size_bytes).sum(),
            head_rows: table.head_rows(),
            head_bytes: table.head_bytes(),
            time: times(table),
            flushed: table.flushed,
            watermark: view.watermark,
        }
    }
}

/// Smallest and largest time of files and unflushed rows, in nanoseconds.
fn times(table: &TableView) -> Option<(i64, i64)> {
    let files = table.files.iter().filter_map(|file| file.time);
    let range =
        files.chain(table.head_time()).reduce(|(low, high), (from, to)| (low.min(from), high.max(to)));
    range.map(|(low, high)| (nanos(table.kind, low), nanos(table.kind, high)))
}

fn named(rows: &[Row]) -> Vec<Named> {
    let of = || rows.iter();
    vec![
        text("kind", of().map(|row| row.kind.as_str())),
        optional_int("version", of().map(|row| row.version)),
        count("files", of().map(|row| row.files)),
        count("file_rows", of().map(|row| row.file_rows)),
        count("file_bytes", of().map(|row| row.file_bytes)),
        count("head_rows", of().map(|row| row.head_rows)),
        count("head_bytes", of().map(|row| row.head_bytes)),
        time("time_min", of().map(|row| row.time.map(|time| time.0))),
        time("time_max", of().map(|row| row.time.map(|time| time.1))),
        count("flushed_record", of().map(|row| row.flushed)),
        count("watermark_record", of().map(|row| row.watermark)),
    ]
}
