//! The object store of a location.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore, Result};
use url::Url;

use super::ObjectsConfig;
use super::location::{Cloud, Location};
use crate::files;
use crate::files::local::LocalFolder;

/// Credentials are those of the environment, else of the machine's role.
pub(super) fn build(location: &Location, options: &ObjectsConfig) -> files::Result<Arc<dyn ObjectStore>> {
    Ok(match location {
        Location::Folder(folder) => Arc::new(LocalFolder::open(folder)?),
        Location::Memory => {
            tracing::warn!("the tables are in memory only: they end with this process");
            Arc::new(InMemory::new())
        }
        Location::Bucket { cloud: Cloud::S3, url, prefix } => below(prefix, s3(url, options).build()?),
        Location::Bucket { cloud: Cloud::Google, url, prefix } => below(prefix, google(url, options)?),
        Location::Bucket { cloud: Cloud::Azure, url, prefix } => below(prefix, azure(url, options)?),
    })
}

fn below(prefix: &Path, store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    match prefix.as_ref().is_empty() {
        true => Arc::new(store),
        false => Arc::new(PrefixStore::new(store, prefix.clone())),
    }
}

/// Settings of the HTTP client. What is not listed is left to the environment.
fn client(options: &ObjectsConfig) -> Vec<(ClientConfigKey, String)> {
    let mut settings = vec![
        (ClientConfigKey::Timeout, format!("{}ms", options.request_timeout_ms)),
        (ClientConfigKey::ConnectTimeout, "5s".to_owned()),
    ];
    if options.allow_http {
        settings.push((ClientConfigKey::AllowHttp, "true".to_owned()));
    }
    settings
}

pub(super) fn s3(url: &Url, options: &ObjectsConfig) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env()
        .with_url(url.as_str())
        .with_virtual_hosted_style_request(!options.path_style)
        .with_retry(options.retry());
    for (key, value) in client(options) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    if !options.region.is_empty() {
        builder = builder.with_region(&options.region);
    }
    if !options.endpoint.is_empty() {
        builder = builder.with_endpoint(&options.endpoint);
    }
    builder
}

fn google(url: &Url, options: &ObjectsConfig) -> Result<impl ObjectStore> {
    let mut builder =
        GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(options.retry());
    for (key, value) in client(options) {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    if !options.endpoint.is_empty() {
        builder = builder.with_base_url(&options.endpoint);
    }
    builder.build()
}

fn azure(url: &Url, options: &ObjectsConfig) -> Result<impl ObjectStore> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(options.retry());
    for (key, value) in client(options) {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    if !options.endpoint.is_empty() {
        builder = builder.with_endpoint(options.endpoint.clone());
    }
    builder.build()
}
