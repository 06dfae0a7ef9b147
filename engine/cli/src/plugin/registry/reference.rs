//! Names of images in registries.

use std::fmt;
use std::str::FromStr;

/// `oci://REGISTRY/REPOSITORY`, with a tag or a digest behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, and port if it is given.
    pub(super) registry: String,
    /// Words between slashes.
    pub(super) repository: String,
    /// A tag, or `sha256:` and a hash in hex.
    pub(super) version: String,
}

/// What such names begin with.
pub(in crate::plugin) const SCHEME: &str = "oci://";

impl Reference {
    /// The last word of the repository.
    pub(in crate::plugin) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The digest that is asked for, if it is one.
    pub(super) fn digest(&self) -> Option<&str> {
        self.version.contains(':').then_some(&*self.version)
    }

    /// Where its parts are. A registry on this machine speaks HTTP, as container tools have it.
    pub(super) fn base(&self) -> String {
        let host = self.registry.rsplit_once(':').map_or(&*self.registry, |(host, _)| host);
        let here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        format!("{}://{}/v2/{}", if here { "http" } else { "https" }, self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.digest().is_some() { '@' } else { ':' };
        write!(f, "{SCHEME}{}/{}{mark}{}", self.registry, self.repository, self.version)
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map_err(|fault| {
            format!("{text:?} is not oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:DIGEST: {fault}")
        })
    }
}

/// By the grammar of the distribution specification 1.1, "Pulling manifests".
fn parse(text: &str) -> Result<Reference, &'static str> {
    let rest = text.strip_prefix(SCHEME).ok_or("it does not begin with oci://")?;
    let (registry, rest) = rest.split_once('/').ok_or("it has no repository")?;
    let host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if registry.is_empty() || !registry.chars().all(host) {
        return Err("the registry is no host and port");
    }
    let (repository, version) = match rest.split_once('@') {
        // A tag before a digest says nothing more.
        Some((name, digest)) => (name.split(':').next().unwrap_or(name), digest),
        None => rest.split_once(':').unwrap_or((rest, "latest")),
    };
    let word = |word: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        word.starts_with(plain)
            && word.ends_with(plain)
            && word.chars().all(|c| plain(c) || "._-".contains(c))
    };
    if repository.len() > 255 || !repository.split('/').all(word) {
        return Err("a repository has words of a-z 0-9 . _ - between slashes");
    }
    let tag = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let known = match version.split_once(':') {
        Some((kind, of)) => kind == "sha256" && hash(of),
        None => (1..=128).contains(&version.len()) && !rest.contains('@') && version.chars().all(tag),
    };
    if !known {
        return Err("neither a tag nor sha256: and 64 digits");
    }
    Ok(Reference {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        version: version.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, base: &str, version: &str) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!((&*reference.base(), &*reference.version), (base, version), "{text}");
        assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
    }

    fn refused(text: &str, fault: &str) {
        let error = text.parse::<Reference>().unwrap_err();
        assert!(error.contains(fault) && error.contains(text), "{error}");
    }

    #[test]
    fn references() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        check("oci://ghcr.io/acme/geo:1.2", "https://ghcr.io/v2/acme/geo", "1.2");
        check("oci://ghcr.io/geo", "https://ghcr.io/v2/geo", "latest");
        check("oci://r.example:5000/a/b/c_d:x", "https://r.example:5000/v2/a/b/c_d", "x");
        check("oci://localhost:5000/geo:1", "http://localhost:5000/v2/geo", "1");
        check("oci://127.0.0.1:5000/geo:1", "http://127.0.0.1:5000/v2/geo", "1");
        check(&format!("oci://ghcr.io/geo@{digest}"), "https://ghcr.io/v2/geo", &digest);
        check(&format!("oci://ghcr.io/geo:1.2@{digest}"), "https://ghcr.io/v2/geo", &digest);
        assert_eq!("oci://ghcr.io/acme/geo:1.2".parse::<Reference>().unwrap().name(), "geo");
    }

    #[test]
    fn other_texts_are_refused() {
        refused("ghcr.io/acme/geo", "oci://");
        refused("oci://ghcr.io", "no repository");
        refused("oci://gh cr.io/geo", "no host");
        refused("oci:///geo", "no host");
        refused("oci://ghcr.io/Geo:1", "words of");
        refused("oci://ghcr.io/a//b:1", "words of");
        refused("oci://ghcr.io/../geo:1", "words of");
        refused("oci://ghcr.io/geo:", "neither a tag");
        refused("oci://ghcr.io/geo:a b", "neither a tag");
        refused("oci://ghcr.io/geo@sha256:12", "neither a tag");
        refused("oci://ghcr.io/geo@latest", "neither a tag");
        refused("oci://ghcr.io/geo@md5:0a", "neither a tag");
    }
}
