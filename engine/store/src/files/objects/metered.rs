//! The object store below everything: every call is counted and timed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use super::counters::{Call, Counters, Operation};

/// Passes everything on.
#[derive(Debug)]
pub(super) struct Metered {
    inner: Arc<dyn ObjectStore>,
    counters: Arc<Counters>,
}

impl Metered {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, counters: Arc<Counters>) -> Self {
        Self { inner, counters }
    }

    fn listed<T: 'static + Send>(
        &self,
        operation: Operation,
        stream: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let call = self.counters.begin(operation);
        // Counted when the stream is dropped.
        stream.inspect(move |item| call.saw(item)).boxed()
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Metered {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let call = self.counters.begin(Operation::Put);
        let bytes = payload.content_length() as u64;
        let result = self.inner.put_opts(path, payload, options).await;
        call.saw(&result);
        if result.is_ok() {
            call.bytes(bytes);
        }
        result
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let call = self.counters.begin(Operation::Put);
        let result = self.inner.put_multipart_opts(path, options).await;
        call.saw(&result);
        Ok(Box::new(Upload { inner: result?, call }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let call = self.counters.begin(Operation::Get);
        let result = self.inner.get_opts(path, options).await;
        call.saw(&result);
        let mut found = result?;
        if !head {
            call.bytes(found.range.end - found.range.start);
        }
        if let GetResultPayload::Stream(content) = found.payload {
            // The call ends with its content.
            let content = content.inspect_err(move |error| call.failed_with(error));
            found.payload = GetResultPayload::Stream(content.boxed());
        }
        Ok(found)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let call = self.counters.begin(Operation::Get);
        let result = self.inner.get_ranges(path, ranges).await;
        call.saw(&result);
        if let Ok(found) = &result {
            call.bytes(found.iter().map(|bytes| bytes.len() as u64).sum());
        }
        result
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.listed(Operation::Delete, self.inner.delete_stream(paths))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(Operation::List, self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(Operation::List, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let call = self.counters.begin(Operation::List);
        let result = self.inner.list_with_delimiter(prefix).await;
        call.saw(&result);
        result
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let call = self.counters.begin(Operation::Copy);
        let result = self.inner.copy_opts(from, to, options).await;
        call.saw(&result);
        result
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let call = self.counters.begin(Operation::Copy);
        let result = self.inner.rename_opts(from, to, options).await;
        call.saw(&result);
        result
    }
}

/// An upload in parts is one call.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    call: Call,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.call.bytes(data.content_length() as u64);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await;
        self.call.saw(&result);
        result
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
