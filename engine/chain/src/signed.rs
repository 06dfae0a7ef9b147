//! Signatures of components, as [minisign](https://jedisct1.github.io/minisign/) makes them.
//!
//! Where keys are trusted, every component that does not come with the engine must be signed with
//! one of them, at every start: a file that was exchanged on the disk is not loaded. Only the
//! present form of signatures counts (of a hash); the one without a hash that minisign itself
//! calls legacy does not.

use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

use crate::config::{Binding, Source};
use crate::error::ChainError;

/// A signature has four lines; what is longer is none.
const SIGNATURE_BYTES_MAX: u64 = 4 << 10;

/// Keys of those whose plugins may run; none = anybody's.
#[derive(Debug, Default)]
pub(crate) struct TrustedKeys(Vec<PublicKey>);

impl TrustedKeys {
    /// From their second line, in base64, as minisign writes it.
    pub(crate) fn parse(keys: &[String]) -> Result<Self, ChainError> {
        let key = |text: &String| {
            PublicKey::from_base64(text.trim()).map_err(|error| {
                ChainError::Config(format!("trusted_keys: {text:?} is no public key of minisign: {error}"))
            })
        };
        keys.iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a component may be loaded.
    pub(crate) fn check(&self, binding: &Binding, component: &[u8]) -> Result<(), ChainError> {
        if self.0.is_empty() || matches!(binding.source, Source::Builtin(_)) {
            return Ok(());
        }
        let fault = |fault: String| ChainError::Signature { binding: binding.name.clone(), fault };
        let text = match (&binding.signature, &binding.source) {
            (Some(text), _) => text.clone(),
            (None, Source::File(path)) => beside(path).map_err(fault)?,
            (None, _) => return Err(fault("it has none, and trusted_keys ask for one".to_owned())),
        };
        let signature = Signature::decode(&text)
            .map_err(|error| fault(format!("it is not what minisign writes: {error}")))?;
        let by_one = self.0.iter().any(|key| key.verify(component, &signature, false).is_ok());
        by_one
            .then_some(())
            .ok_or_else(|| fault("it is by none of trusted_keys, or of other bytes".to_owned()))
    }
}

/// The signature of a file, `FILE.minisig`.
fn beside(file: &Path) -> Result<String, String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    let path = PathBuf::from(name);
    let failed = |error: std::io::Error| format!("trusted_keys ask for one, and {}: {error}", path.display());
    let bytes = std::fs::metadata(&path).map_err(failed)?.len();
    if bytes > SIGNATURE_BYTES_MAX {
        return Err(format!("{} has {bytes} bytes, the limit is {SIGNATURE_BYTES_MAX}", path.display()));
    }
    std::fs::read_to_string(&path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::config::World;

    /// The two were made for this test by `minisign -G -W`; the first one signed the component.
    const SIGNER: &str = "RWRSpkQk/187M9g5dIYggVR6zd3uPPIz9lQWbtPhuCgef0SCgN8An5sd";
    const OTHER: &str = "RWQDoRrNvKGsQaEVdAzUsMRGS3Z3GQqSrFqUDMsjk41X3SMBU/S/DLKi";

    fn path() -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        folder.join("../../tests/data/plugins/0.1.0/deny-service.wasm")
    }

    fn binding(source: Source, signature: Option<&str>) -> Binding {
        let signature = signature.map(str::to_owned);
        Binding { source, signature, ..Binding::builtin("deny", World::Validator, json!({})) }
    }

    /// `""`: it may be loaded.
    fn check(keys: &[&str], binding: &Binding, component: &[u8], fault: &str) {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        let checked = TrustedKeys::parse(&keys).unwrap().check(binding, component);
        let said = checked.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(if fault.is_empty() { said.is_empty() } else { said.contains(fault) }, "{said}");
    }

    #[test]
    fn a_component_is_loaded_that_somebody_trusted_has_signed() {
        let component = std::fs::read(path()).unwrap();
        let signature = beside(&path()).unwrap();
        let file = binding(Source::File(path()), None);
        check(&[], &file, &component, "");
        check(&[SIGNER], &file, &component, "");
        check(&[OTHER, SIGNER], &file, &component, "");
        check(&[OTHER], &file, &component, "by none of trusted_keys");
        let bytes = Source::Bytes(Arc::from(component.as_slice()));
        check(&[SIGNER], &binding(bytes.clone(), Some(&signature)), &component, "");
        check(&[SIGNER], &binding(bytes.clone(), None), &component, "it has none");
        check(
            &[SIGNER],
            &binding(bytes, Some("untrusted comment: x\nQQ==\n")),
            &component,
            "not what minisign",
        );
        check(&[SIGNER], &binding(Source::Builtin("validate".into()), None), &component, "");
        let alone = binding(Source::File("/nowhere/x.wasm".into()), None);
        check(&[SIGNER], &alone, &component, "/nowhere/x.wasm.minisig");
    }

    #[test]
    fn every_byte_counts() {
        let component = std::fs::read(path()).unwrap();
        let file = binding(Source::File(path()), None);
        for at in (0..component.len()).step_by(997) {
            let mut changed = component.clone();
            changed[at] ^= 1;
            check(&[SIGNER], &file, &changed, "of other bytes");
        }
        check(&[SIGNER], &file, &component[..component.len() - 1], "of other bytes");
    }

    #[test]
    fn keys_are_keys() {
        let error = TrustedKeys::parse(&["minisign".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("trusted_keys: \"minisign\""), "{error}");
    }
}
