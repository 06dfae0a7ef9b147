//! The one object store that a query can reach.

use std::sync::{Arc, LazyLock};

use datafusion::common::{Result, plan_err};
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use object_store::ObjectStore;

/// The address that scans use for it.
pub(crate) static TABLES_URL: LazyLock<ObjectStoreUrl> =
    LazyLock::new(|| ObjectStoreUrl::parse("isinglass://tables").expect("a constant address"));

/// A registry that knows the store of the tables and nothing else: no local
/// folder, no bucket, and nothing can be added.
#[derive(Debug)]
pub(crate) struct OnlyTables(pub(crate) Arc<dyn ObjectStore>);

impl ObjectStoreRegistry for OnlyTables {
    fn register_store(&self, _: &url::Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &url::Url) -> Result<Arc<dyn ObjectStore>> {
        if url.as_str() == TABLES_URL.as_str() {
            return Ok(Arc::clone(&self.0));
        }
        plan_err!("queries cannot reach {url}")
    }
}
