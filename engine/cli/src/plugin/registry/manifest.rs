//! What a registry says that a name stands for.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// Types of manifests that are understood.
pub(super) const ACCEPT: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// Where a publisher puts the text of `minisign -S`.
const SIGNATURE: &str = "dev.isinglass.plugin.minisig";

/// Types of layers that are components: the CNCF's, and that of tools before it.
const COMPONENTS: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];

#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The component of an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blob {
    /// `sha256:` and a hash in hex.
    pub(super) digest: String,
    pub(super) bytes: u64,
    pub(super) signature: Option<String>,
}

/// The only component that a manifest names.
pub(super) fn component(manifest: &[u8]) -> anyhow::Result<Blob> {
    let Manifest { layers, mut annotations } =
        serde_json::from_slice(manifest).context("the registry's manifest is not one of an image")?;
    let types: Vec<_> = layers.iter().map(|layer| layer.media_type.clone()).collect();
    let mut components = layers.into_iter().filter(|layer| COMPONENTS.contains(&&*layer.media_type));
    let (Some(mut layer), None) = (components.next(), components.next()) else {
        bail!("the image has not one layer of {}; it has: {}", COMPONENTS.join(" or "), types.join(", "));
    };
    let signature = layer.annotations.remove(SIGNATURE).or_else(|| annotations.remove(SIGNATURE));
    Ok(Blob { digest: layer.digest, bytes: layer.size, signature })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(manifest: &Value, want: Result<Blob, &str>) {
        match (component(manifest.to_string().as_bytes()), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(error), Err(want)) => assert!(format!("{error:#}").contains(want), "{error:#}"),
            (got, want) => panic!("{got:?}, wanted {want:?}"),
        }
    }

    #[test]
    fn the_component_of_an_image() {
        let layer = |ty: &str| json!({ "mediaType": ty, "digest": "sha256:00", "size": 7 });
        let blob = |signature: Option<&str>| Blob {
            digest: "sha256:00".into(),
            bytes: 7,
            signature: signature.map(str::to_owned),
        };
        let wasm = layer("application/wasm");
        check(&json!({ "layers": [wasm] }), Ok(blob(None)));
        check(&json!({ "layers": [layer("text/plain"), wasm] }), Ok(blob(None)));
        check(&json!({ "layers": [wasm], "annotations": { SIGNATURE: "s" } }), Ok(blob(Some("s"))));
        let mut signed = wasm.clone();
        signed["annotations"] = json!({ SIGNATURE: "own" });
        check(&json!({ "layers": [signed], "annotations": { SIGNATURE: "s" } }), Ok(blob(Some("own"))));
        check(&json!({ "layers": [wasm, wasm] }), Err("has not one layer"));
        check(&json!({ "layers": [layer("text/plain")] }), Err("it has: text/plain"));
        check(&json!({ "manifests": [] }), Err("has not one layer"));
        check(&json!("nothing"), Err("not one of an image"));
    }
}
