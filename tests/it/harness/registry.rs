//! A container registry of its own, in a folder of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{eventually, outside};

/// The name and password `u:p`, as `htpasswd -B` writes them.
const LOGIN: &str = "u:$2b$05$iSCiB5Syva1HjGx5C5cv5uVKjxLh5wiTEn6/Y6hsFS88Dwr3fLHIe\n";
/// `Authorization` of that, and the line of it in `config.json`.
const AUTHORIZATION: &str = "Basic dTpw";

/// The registry of the distribution project; it ends when it is dropped.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    folder: TempDir,
}

impl Registry {
    /// One that lets everybody in, or only who has logged in.
    pub(crate) async fn start(closed: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = json!({
            "version": 0.1,
            "log": { "level": "error" },
            "storage": { "filesystem": { "rootdirectory": path("data") } },
            "http": { "addr": address },
        });
        if closed {
            std::fs::write(path("htpasswd"), LOGIN).unwrap();
            config["auth"] = json!({ "htpasswd": { "realm": "test", "path": path("htpasswd") } });
        }
        let login = json!({ "auths": { &address: { "auth": &AUTHORIZATION[6..] } } });
        std::fs::write(path("config.json"), login.to_string()).unwrap();
        // JSON is YAML.
        std::fs::write(path("registry.yml"), config.to_string()).unwrap();
        let mut command = Command::new(outside::registry());
        command.args(["serve", &path("registry.yml")]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let this = Self { process, address, folder };
        let ready =
            || async { this.ask(reqwest::Method::GET, "").send().await.ok()?.error_for_status().ok() };
        eventually("a registry that is ready", Duration::from_secs(60), ready).await;
        this
    }

    /// The folder of a `config.json` with the login.
    pub(crate) fn login(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Publishes a component as `NAME:TAG` and says what the manifest's digest is.
    pub(crate) async fn publish(&self, name: &str, component: &[u8], signature: Option<&str>) -> String {
        let (repository, tag) = name.split_once(':').unwrap();
        let config = self.upload(repository, b"{}").await;
        let layer = self.upload(repository, component).await;
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.wasm.config.v0+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": "application/wasm", "digest": layer, "size": component.len() }],
        });
        if let Some(signature) = signature {
            manifest["annotations"] = json!({ "dev.isinglass.plugin.minisig": signature });
        }
        self.put_manifest(repository, tag, &manifest).await
    }

    /// Keeps a manifest and says what its digest is.
    pub(crate) async fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> String {
        let request = self.ask(reqwest::Method::PUT, &format!("{repository}/manifests/{tag}"));
        let request = request.header(CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json");
        let answer = request.body(manifest.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.headers()["docker-content-digest"].to_str().unwrap().to_owned()
    }

    async fn upload(&self, repository: &str, bytes: &[u8]) -> String {
        let begun =
            self.ask(reqwest::Method::POST, &format!("{repository}/blobs/uploads/")).send().await.unwrap();
        let place = begun.headers()[LOCATION].to_str().unwrap().to_owned();
        let digest = digest(bytes);
        let mut url: reqwest::Url = place.parse().unwrap();
        url.query_pairs_mut().append_pair("digest", &digest);
        let request = reqwest::Client::new().put(url).header("Authorization", AUTHORIZATION);
        let answer = request.body(bytes.to_vec()).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        digest
    }

    fn ask(&self, method: reqwest::Method, what: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/v2/{what}", self.address);
        reqwest::Client::new().request(method, url).header("Authorization", AUTHORIZATION)
    }

    /// Changes the bytes of a blob behind the registry's back.
    pub(crate) fn damage(&self, digest: &str) {
        let hash = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        let path = blobs.join(&hash[..2]).join(hash).join("data");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
}

/// sha256 as registries write it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
