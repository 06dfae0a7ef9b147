//! `system.caches`: what queries read through. All tenants share them, and none is named.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use futures::stream::BoxStream;

use super::columns::{self, Named, count, optional_int, text};
use super::wanted::Wanted;
use super::{Source, once};
use crate::caches::{CacheFigures, Caches};

/// A row per cache.
pub(super) struct CacheRows(pub(super) Arc<Caches>);

impl fmt::Debug for CacheRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheRows")
    }
}

impl Source for CacheRows {
    fn schema(&self) -> SchemaRef {
        columns::schema(&named(&[]))
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        once(columns::batch(named(&self.0.figures())))
    }
}

fn named(rows: &[CacheFigures]) -> Vec<Named> {
    let of = || rows.iter();
    let int = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    vec![
        text("name", of().map(|cache| cache.name)),
        optional_int("entries", of().map(|cache| int(cache.entries))),
        count("bytes", of().map(|cache| cache.bytes)),
        count("bytes_max", of().map(|cache| cache.bytes_max)),
        optional_int("hits", of().map(|cache| int(cache.hits))),
        optional_int("misses", of().map(|cache| int(cache.misses))),
    ]
}
