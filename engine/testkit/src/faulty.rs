//! An object store that fails on demand.
//!
//! The worst failures are those after the deed: the object is there and the
//! caller was told otherwise. A retry must not double anything then.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use parking_lot::Mutex;

/// Which call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `put_opts`
    Put,
    /// `put_multipart_opts`
    Multipart,
    /// A part of a multipart upload
    Part,
    /// The end of a multipart upload
    Complete,
    /// `abort` of a multipart upload
    Abort,
    /// `get_opts` and everything built on it
    Get,
    /// `delete_stream`
    Delete,
    /// `copy_opts` and `rename_opts`
    Copy,
    /// `list` and everything built on it; there is no deed, so both moments are one
    List,
}

/// When it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing happened.
    Before,
    /// It happened, and the caller is told that it did not.
    After,
}

/// One planned failure.
#[derive(Debug, Clone)]
struct Fault {
    call: Call,
    moment: Moment,
    path_contains: String,
    /// Calls that still pass.
    skip: usize,
    /// Calls that fail after them.
    times: usize,
}

/// Asked before each request, with its path; answers when it fails, if it does.
type Gate = Arc<dyn Fn(&str) -> Option<Moment> + Send + Sync>;

/// Asked before each request, with its path; answers how long it takes.
type Delay = Arc<dyn Fn(&str) -> Duration + Send + Sync>;

/// The wrapper. Clones share their faults.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Mutex<Vec<Fault>>>,
    gate: Option<Gate>,
    weather: Arc<Mutex<Weather>>,
}

/// What is wrong all the time.
#[derive(Default, Clone)]
struct Weather {
    /// Listings leave out every other object, by this seed.
    list_some: Option<u64>,
    delay: Option<Delay>,
    /// Reads of ranges that come back with a turned bit.
    garbled: usize,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("inner", &self.inner).field("faults", &self.faults).finish()
    }
}

impl FaultyStore {
    /// Wraps a store; passes everything until [`Self::fail`].
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, faults: Arc::default(), gate: None, weather: Arc::default() }
    }

    /// Another client of the same store, without faults but for what `gate` answers.
    pub fn behind(&self, gate: impl Fn(&str) -> Option<Moment> + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            faults: Arc::default(),
            gate: Some(Arc::new(gate)),
            weather: Arc::default(),
        }
    }

    /// Plans that after `skip` further calls on paths that contain
    /// `path_contains`, `times` calls fail.
    pub fn fail(&self, call: Call, moment: Moment, path_contains: &str, skip: usize, times: usize) {
        self.faults.lock().push(Fault { call, moment, path_contains: path_contains.to_owned(), skip, times });
    }

    /// From now on a listing leaves out about half of the objects, others each time, as
    /// one that lags behind may; `None`: it has all of them again.
    pub fn list_some(&self, seed: Option<u64>) {
        self.weather.lock().list_some = seed;
    }

    /// From now on each request takes as long as `delay` says of its path.
    pub fn each_takes(&self, delay: impl Fn(&str) -> Duration + Send + Sync + 'static) {
        self.weather.lock().delay = Some(Arc::new(delay));
    }

    /// The next so many reads of ranges come back with a bit turned over in the middle of
    /// each range, as after a bad transfer; the object is as it was.
    pub fn garble(&self, times: usize) {
        self.weather.lock().garbled = times;
    }

    fn transfer(&self, content: Vec<Bytes>) -> Vec<Bytes> {
        let mut weather = self.weather.lock();
        if weather.garbled == 0 {
            return content;
        }
        weather.garbled -= 1;
        let garble = |part: Bytes| {
            let mut part = Vec::from(part);
            let middle = part.len() / 2;
            part.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
            Bytes::from(part)
        };
        content.into_iter().map(garble).collect()
    }

    /// Forgets all plans.
    pub fn heal(&self) {
        self.faults.lock().clear();
    }

    fn fault(&self, call: Call, path: &Path) -> Option<Moment> {
        if let Some(moment) = self.gate.as_ref().and_then(|gate| gate(path.as_ref())) {
            return Some(moment);
        }
        let mut faults = self.faults.lock();
        let hit = faults.iter_mut().find(|fault| {
            fault.call == call && fault.times > 0 && path.as_ref().contains(&fault.path_contains)
        })?;
        if hit.skip > 0 {
            hit.skip -= 1;
            return None;
        }
        hit.times -= 1;
        Some(hit.moment)
    }

    async fn around<T>(&self, call: Call, path: &Path, deed: impl Future<Output = Result<T>>) -> Result<T> {
        let delay = self.weather.lock().delay.clone();
        if let Some(delay) = delay {
            tokio::time::sleep(delay(path.as_ref())).await;
        }
        match self.fault(call, path) {
            None => deed.await,
            Some(Moment::Before) => Err(error(call, path)),
            Some(Moment::After) => {
                deed.await?;
                Err(error(call, path))
            }
        }
    }
}

impl FaultyStore {
    /// Whether a listing has this object.
    fn lists(&self) -> impl Fn(&Path) -> bool + Send + Sync + 'static {
        let seed = {
            let mut weather = self.weather.lock();
            weather.list_some = weather.list_some.map(|seed| seed.wrapping_mul(STEP.0).wrapping_add(STEP.1));
            weather.list_some
        };
        move |path| {
            seed.is_none_or(|seed| {
                let mixed = path.as_ref().bytes().fold(seed, |mixed, byte| {
                    (mixed ^ u64::from(byte)).wrapping_mul(STEP.0).wrapping_add(STEP.1)
                });
                mixed >> 63 == 0
            })
        }
    }

    fn listing(&self, all: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        use futures::{StreamExt, TryStreamExt};
        let lists = self.lists();
        all.try_filter(move |meta| std::future::ready(lists(&meta.location))).boxed()
    }
}

/// Of Knuth's generator.
const STEP: (u64, u64) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);

/// A multipart upload that can fail in its middle, and whose abort can get lost.
#[derive(Debug)]
struct FaultyUpload {
    store: FaultyStore,
    path: Path,
    inner: Box<dyn MultipartUpload>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, path) = (self.store.clone(), self.path.clone());
        let part = self.inner.put_part(data);
        Box::pin(async move { store.around(Call::Part, &path, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (store, path) = (self.store.clone(), self.path.clone());
        store.around(Call::Complete, &path, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let (store, path) = (self.store.clone(), self.path.clone());
        store.around(Call::Abort, &path, self.inner.abort()).await
    }
}

fn error(call: Call, path: &Path) -> object_store::Error {
    object_store::Error::Generic {
        store: "faulty",
        source: format!("planned failure of {call:?} on {path}").into(),
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.around(Call::Put, path, self.inner.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.around(Call::Multipart, path, self.inner.put_multipart_opts(path, options)).await?;
        Ok(Box::new(FaultyUpload { store: self.clone(), path: path.clone(), inner }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.around(Call::Get, path, self.inner.get_opts(path, options)).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let content = self.around(Call::Get, path, self.inner.get_ranges(path, ranges)).await?;
        Ok(self.transfer(content))
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        use futures::{StreamExt, TryStreamExt};
        let store = self.clone();
        let one = move |path: Path| {
            let store = store.clone();
            async move {
                use object_store::ObjectStoreExt;
                store.around(Call::Delete, &path, store.inner.delete(&path)).await?;
                Ok(path)
            }
        };
        paths.and_then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        use futures::StreamExt;
        let path = prefix.cloned().unwrap_or_default();
        match self.fault(Call::List, &path) {
            None => self.listing(self.inner.list(prefix)),
            Some(_) => futures::stream::once(async move { Err(error(Call::List, &path)) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        use futures::StreamExt;
        let path = prefix.cloned().unwrap_or_default();
        match self.fault(Call::List, &path) {
            None => self.listing(self.inner.list_with_offset(prefix, offset)),
            Some(_) => futures::stream::once(async move { Err(error(Call::List, &path)) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.cloned().unwrap_or_default();
        let mut found = self.around(Call::List, &path, self.inner.list_with_delimiter(prefix)).await?;
        let lists = self.lists();
        found.objects.retain(|meta| lists(&meta.location));
        found.common_prefixes.retain(|folder| lists(folder));
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.around(Call::Copy, to, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.around(Call::Copy, to, self.inner.rename_opts(from, to, options)).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_put_can_fail_after_it_landed() {
        let store = FaultyStore::new(Arc::new(InMemory::new()));
        store.fail(Call::Put, Moment::After, "_delta_log", 1, 1);
        let path = Path::from("t/_delta_log/0.json");
        store.put(&path, "a".into()).await.unwrap();
        store.put(&path, "b".into()).await.unwrap_err();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "b");
        store.put(&path, "c".into()).await.unwrap();
    }

    #[tokio::test]
    async fn a_delete_can_fail_before_it() {
        let store = FaultyStore::new(Arc::new(InMemory::new()));
        let path = Path::from("x");
        store.put(&path, "a".into()).await.unwrap();
        store.fail(Call::Delete, Moment::Before, "", 0, 1);
        store.delete(&path).await.unwrap_err();
        store.head(&path).await.unwrap();
        store.heal();
        store.delete(&path).await.unwrap();
    }
}
