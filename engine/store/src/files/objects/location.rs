//! `store.url`: a folder, a bucket with a prefix, or memory.

use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
use url::Url;

use super::ObjectsConfig;
use crate::files::{FilesError, Result};

/// What may stand before `://`, for errors.
const SCHEMES: &str = "a path, file://, s3://, gs://, az://, abfss:// or memory://";

/// Whose service a bucket is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Google,
    Azure,
}

/// Where the tables lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Folder(PathBuf),
    Memory,
    Bucket { cloud: Cloud, url: Url, prefix: Path },
}

impl Location {
    /// Reads `store.url`; nothing means `folder`.
    pub(super) fn parse(text: &str, folder: &FilePath) -> Result<Self> {
        Self::parse_as("store.url", text, folder)
    }

    /// The same for a URL of another name.
    pub(super) fn parse_as(key: &'static str, text: &str, folder: &FilePath) -> Result<Self> {
        let refused = |problem: String| FilesError::Setting { key, value: text.to_owned(), problem };
        if text.is_empty() {
            return Ok(Self::Folder(folder.to_owned()));
        }
        if !text.contains("://") {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
        if url.password().is_some() {
            return Err(refused("credentials go into the environment, not into the URL".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("options go into [store.objects], not behind ? or #".to_owned()));
        }
        let cloud = match url.scheme() {
            "file" => {
                let folder = url.to_file_path();
                return folder
                    .map(Self::Folder)
                    .map_err(|()| refused("it must be file:///<path>".to_owned()));
            }
            "memory" => return Ok(Self::Memory),
            "s3" | "s3a" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" | "abfs" | "abfss" => Cloud::Azure,
            other => return Err(refused(format!("unknown scheme {other:?}, it must be {SCHEMES}"))),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refused(format!("no bucket; it must be {}://<bucket>/<prefix>", url.scheme())));
        }
        if !url.username().is_empty() && cloud != Cloud::Azure {
            return Err(refused("credentials go into the environment, not into the URL".to_owned()));
        }
        let prefix = Path::from_url_path(url.path()).map_err(|error| refused(error.to_string()))?;
        Ok(Self::Bucket { cloud, url, prefix })
    }

    /// Refuses options that would have no effect here.
    pub(super) fn check(&self, options: &ObjectsConfig) -> Result<()> {
        let is_s3 = matches!(self, Self::Bucket { cloud: Cloud::S3, .. });
        let is_bucket = matches!(self, Self::Bucket { .. });
        let refused = |key, value: String, problem: &str| {
            Err(FilesError::Setting { key, value, problem: problem.to_owned() })
        };
        if !options.endpoint.is_empty() && !is_bucket {
            return refused("store.objects.endpoint", options.endpoint.clone(), "store.url names no bucket");
        }
        if !options.region.is_empty() && !is_s3 {
            return refused("store.objects.region", options.region.clone(), "store.url is not s3://");
        }
        if options.endpoint.starts_with("http://") && !options.allow_http {
            let problem = "without TLS only with store.objects.allow_http = true";
            return refused("store.objects.endpoint", options.endpoint.clone(), problem);
        }
        if options.request_timeout_ms == 0 {
            return refused("store.objects.request_timeout_ms", "0".to_owned(), "it must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, String> {
        Location::parse(text, FilePath::new("/data/tables")).map_err(|error| error.to_string())
    }

    fn bucket(text: &str) -> (Cloud, String) {
        match parse(text) {
            Ok(Location::Bucket { cloud, prefix, .. }) => (cloud, prefix.to_string()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_folder() {
        assert_eq!(parse(""), Ok(Location::Folder("/data/tables".into())));
        assert_eq!(parse("some/where"), Ok(Location::Folder("some/where".into())));
        assert_eq!(parse("file:///a%20b/c"), Ok(Location::Folder("/a b/c".into())));
        assert_eq!(parse("memory://"), Ok(Location::Memory));
    }

    #[test]
    fn a_bucket() {
        assert_eq!(bucket("s3://b/a/b/"), (Cloud::S3, "a/b".to_owned()));
        assert_eq!(bucket("s3://b"), (Cloud::S3, String::new()));
        assert_eq!(bucket("gs://b/x"), (Cloud::Google, "x".to_owned()));
        assert_eq!(bucket("az://container/x"), (Cloud::Azure, "x".to_owned()));
        assert_eq!(
            bucket("abfss://container@account.dfs.core.windows.net/x"),
            (Cloud::Azure, "x".to_owned())
        );
    }

    #[test]
    fn what_is_refused_is_named() {
        let refused = |text: &str, problem: &str| {
            assert_eq!(parse(text), Err(format!("store.url = {text:?}: {problem}")));
        };
        refused(
            "ftp://b/x",
            "unknown scheme \"ftp\", it must be a path, file://, s3://, gs://, az://, abfss:// or memory://",
        );
        refused("s3:///x", "no bucket; it must be s3://<bucket>/<prefix>");
        refused("s3://key:secret@b/x", "credentials go into the environment, not into the URL");
        refused("s3://b/x?region=y", "options go into [store.objects], not behind ? or #");
        refused("file://host/x", "it must be file:///<path>");
    }

    #[test]
    fn options_without_effect_are_refused() {
        let check = |text: &str, options: ObjectsConfig| {
            let location = Location::parse(text, FilePath::new("x")).unwrap();
            location.check(&options).map_err(|error| error.to_string())
        };
        let endpoint = |text: &str| ObjectsConfig { endpoint: text.to_owned(), ..ObjectsConfig::default() };
        let region = ObjectsConfig { region: "eu-1".to_owned(), ..ObjectsConfig::default() };
        assert_eq!(check("s3://b", region.clone()), Ok(()));
        assert_eq!(check("s3://b", endpoint("https://s3")), Ok(()));
        assert_eq!(
            check("", endpoint("https://s3")),
            Err("store.objects.endpoint = \"https://s3\": store.url names no bucket".to_owned())
        );
        assert_eq!(
            check("gs://b", region),
            Err("store.objects.region = \"eu-1\": store.url is not s3://".to_owned())
        );
        let error = check("s3://b", endpoint("http://s3")).unwrap_err();
        assert!(error.ends_with("only with store.objects.allow_http = true"), "{error}");
    }
}
