//! `system.files`: the live data files of a tenant.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use futures::stream::{self, BoxStream, StreamExt};
use isinglass_model::Kind;
use isinglass_store::{DataFile, View};

use super::Source;
use super::columns::{self, Named, count, flag, nanos, optional_int, text, time};
use super::wanted::Wanted;

/// Files that become one batch.
const BATCH_FILES: usize = 4_096;

/// The files of a view.
#[derive(Debug)]
pub(super) struct Files(pub(super) Arc<View>);

impl Source for Files {
    fn schema(&self) -> SchemaRef {
        columns::schema(&named(Kind::Samples, &[]))
    }

    fn rows(&self, wanted: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        let kept = wanted.keeps("kind", &Kind::ALL.map(Kind::as_str));
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => return super::once(Err(error)),
        };
        let view = Arc::clone(&self.0);
        let kinds = Kind::ALL.into_iter().zip(kept).filter_map(|(kind, kept)| kept.then_some(kind));
        let batches = kinds.flat_map(move |kind| {
            let files = Arc::clone(&view.table(kind).files);
            let starts = (0..files.len()).step_by(BATCH_FILES);
            starts.map(move |from| {
                let to = (from + BATCH_FILES).min(files.len());
                columns::batch(named(kind, &files[from..to]))
            })
        });
        stream::iter(batches).boxed()
    }
}

fn named(kind: Kind, files: &[DataFile]) -> Vec<Named> {
    let of = || files.iter();
    vec![
        text("kind", of().map(|_| kind.as_str())),
        text("path", of().map(|file| file.path.as_ref())),
        count("bytes", of().map(|file| file.size_bytes)),
        count("rows", of().map(|file| file.rows)),
        time("time_min", of().map(|file| file.time.map(|time| nanos(kind, time.0)))),
        time("time_max", of().map(|file| file.time.map(|time| nanos(kind, time.1)))),
        optional_int("metric_id_min", of().map(|file| file.metric_id.map(|id| id.0))),
        optional_int("metric_id_max", of().map(|file| file.metric_id.map(|id| id.1))),
        count("level", of().map(|file| file.level)),
        count("accepted_record", of().map(|file| file.accepted)),
        flag("has_checksums", of().map(|file| file.crc32c.is_some())),
    ]
}
