//! Components from a registry and with signatures: what is installed is what somebody trusted has
//! published.

use std::process::Command;

use serde_json::json;

use crate::harness::registry::{Registry, digest};
use crate::harness::{Server, root};
use crate::operate;

/// A component that was signed once; see `isinglass_chain::signed`.
const SIGNED: &str = "tests/data/plugins/0.1.0/deny-service.wasm";
const SIGNER: &str = "RWRSpkQk/187M9g5dIYggVR6zd3uPPIz9lQWbtPhuCgef0SCgN8An5sd";
const OTHER: &str = "RWQDoRrNvKGsQaEVdAzUsMRGS3Z3GQqSrFqUDMsjk41X3SMBU/S/DLKi";
const CONFIG: &[&str] = &["--config", r#"{ "services": ["bots"] }"#];

fn trusting(key: &str) -> String {
    format!("[plugins]\ntrusted_keys = [\"{key}\"]\n")
}

/// Runs a command of a user with a login in `login`; it must end with `code` and say `wanted`.
fn says(login: &std::path::Path, arguments: &[&str], code: i32, wanted: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.arg("plugin").args(arguments).env("DOCKER_CONFIG", login).current_dir(root());
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
    assert!(text.contains(wanted), "{arguments:?}: {wanted:?} in {text}");
}

fn install(server: &Server, login: &std::path::Path, source: &str, more: &[&str], code: i32, wanted: &str) {
    let url = format!("http://{}", server.addresses().http);
    says(login, &[&["install", source, "--server", &url], CONFIG, more].concat(), code, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_installed() {
    let registry = Registry::start(false).await;
    let component = std::fs::read(root().join(SIGNED)).unwrap();
    let signature = std::fs::read_to_string(root().join(format!("{SIGNED}.minisig"))).unwrap();
    let (at, nobody) = (registry.address.clone(), std::path::Path::new("/nowhere"));
    let image = registry.publish("acme/deny_service:1.0", &component, Some(&signature)).await;
    registry.publish("acme/unsigned:1.0", &component, None).await;

    let server = Server::start_with(&trusting(SIGNER));
    let installed = "a validator";
    install(&server, nobody, &format!("oci://{at}/acme/deny_service:1.0"), &[], 0, installed);
    install(&server, nobody, &format!("oci://{at}/acme/deny_service@{image}"), &[], 0, installed);
    install(&server, nobody, &format!("oci://{at}/acme/unsigned:1.0"), &[], 1, "signature: ");
    install(&server, nobody, &format!("oci://{at}/acme/deny_service:2"), &[], 1, "nothing of this name");
    install(&server, nobody, "oci://127.0.0.1:1/acme/x:1", &[], 1, "cannot fetch oci://127.0.0.1:1/acme/x:1");

    let (scratch, wasm) = (server.scratch(), server.scratch().join("got.wasm"));
    let out = wasm.to_str().unwrap();
    says(nobody, &["pull", &format!("oci://{at}/acme/deny_service:1.0"), "-o", out], 0, &digest(&component));
    assert_eq!(std::fs::read(&wasm).unwrap(), component);
    install(&server, nobody, out, &["--name", "got"], 0, installed);
    std::fs::remove_file(scratch.join("got.wasm.minisig")).unwrap();
    install(&server, nobody, out, &["--name", "other"], 1, "signature: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_not_believed() {
    let registry = Registry::start(false).await;
    let component = std::fs::read(root().join(SIGNED)).unwrap();
    let (at, nobody) = (registry.address.clone(), std::path::Path::new("/nowhere"));
    let pull = |name: &str, wanted: &str| {
        let reference = format!("oci://{at}/{name}");
        says(nobody, &["pull", &reference, "-o", "/dev/null"], 1, wanted);
    };
    registry.publish("a:1", &component, None).await;
    let layer =
        json!({ "mediaType": "application/wasm", "digest": digest(&component), "size": component.len() });
    let config = json!({ "mediaType": "application/json", "digest": digest(b"{}"), "size": 2 });
    let manifest = |layers| json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers });
    registry.put_manifest("a", "two", &manifest(json!([layer, layer]))).await;
    pull("a:two", "has not one layer of application/wasm");
    let mut large = layer.clone();
    large["size"] = json!(65 << 20);
    registry.put_manifest("a", "large", &manifest(json!([large]))).await;
    pull("a:large", "has 68157440 bytes, the limit is 67108864");
    let mut small = layer.clone();
    small["size"] = json!(10);
    registry.put_manifest("a", "small", &manifest(json!([small]))).await;
    pull("a:small", "sends more than 10 bytes");
    registry.damage(&digest(&component));
    pull("a:1", &format!("for {}", digest(&component)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_logged_in_is_let_in() {
    let registry = Registry::start(true).await;
    let component = std::fs::read(root().join(SIGNED)).unwrap();
    registry.publish("deny:1", &component, None).await;
    let reference = format!("oci://{}/deny:1", registry.address);
    let pull = ["pull", &reference, "-o", "/dev/null"];
    says(std::path::Path::new("/nowhere"), &pull, 1, "401 Unauthorized");
    says(registry.login(), &pull, 0, &digest(&component));
}

/// Whatever brings it: a server that trusts somebody else does not start with it.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_asked_at_every_start() {
    let binding = format!(
        "[[plugins.bindings]]\nname = \"deny\"\nsource = \"file:{}\"\nworld = \"validator\"\n",
        root().join(SIGNED).display()
    );
    let server = Server::start_with(&format!("{}{binding}", trusting(SIGNER)));
    assert_eq!(server.client().count("system.plugins where name = 'deny'").await, 1);
    let refused = operate::refused(&format!("{}{binding}", trusting(OTHER)), &[]);
    assert!(
        refused.contains("plugin binding \"deny\": signature: it is by none of trusted_keys"),
        "{refused}"
    );
}
