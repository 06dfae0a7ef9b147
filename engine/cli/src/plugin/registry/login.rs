//! Who asks: what `docker login` and the like have left, and the tokens that registries give for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// The part of `config.json` that is read here.
#[derive(Debug, Default, Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Debug, Deserialize)]
struct Auth {
    /// User, a colon and the password, in base64.
    auth: Option<String>,
}

/// The value of `Authorization` for a registry, if somebody has logged in there: from
/// `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`. Helpers that keep passwords elsewhere
/// are not asked.
pub(super) fn of(registry: &str) -> Option<String> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    found(&std::fs::read(folder.join("config.json")).ok()?, registry)
}

fn found(config: &[u8], registry: &str) -> Option<String> {
    let config: DockerConfig = serde_json::from_slice(config).ok()?;
    let auth = config.auths.get(registry).or_else(|| config.auths.get(&format!("https://{registry}")))?;
    auth.auth.as_ref().filter(|auth| !auth.is_empty()).map(|auth| format!("Basic {auth}"))
}

/// Where a token is to be had: a challenge of the token specification of the distribution project,
/// `Bearer realm="…",service="…",scope="…"`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    /// `service` and `scope`, as they are given on.
    pub(super) query: Vec<(String, String)>,
}

/// The challenge of a header `WWW-Authenticate`.
pub(super) fn challenge(header: &str) -> Option<Challenge> {
    let (kind, mut rest) = header.trim().split_once(' ')?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut query) = (None, Vec::new());
    // Commas may stand within quotes.
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"')?;
        match name.trim_matches(|c: char| c == ',' || c == ' ') {
            "realm" => realm = Some(value.to_owned()),
            name @ ("service" | "scope") => query.push((name.to_owned(), value.to_owned())),
            _ => {}
        }
        rest = after;
    }
    Some(Challenge { realm: realm?, query })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_login_left() {
        let config = br#"{"auths": {"r.example": {"auth": "dTpw"}, "https://s.example": {"auth": "eDp5"}, "t.example": {}}}"#;
        let check = |registry: &str, want: Option<&str>| {
            assert_eq!(found(config, registry).as_deref(), want, "{registry}");
        };
        check("r.example", Some("Basic dTpw"));
        check("s.example", Some("Basic eDp5"));
        check("t.example", None);
        check("u.example", None);
        assert_eq!(found(b"nothing", "r.example"), None);
    }

    #[test]
    fn challenges() {
        let check = |header: &str, want: Option<(&str, &[(&str, &str)])>| {
            let got = challenge(header);
            let got = got.as_ref().map(|found| {
                let query: Vec<_> = found.query.iter().map(|(name, value)| (&**name, &**value)).collect();
                (&*found.realm, query)
            });
            assert_eq!(got, want.map(|(realm, query)| (realm, query.to_vec())), "{header}");
        };
        check(
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull,push""#,
            Some(("https://ghcr.io/token", &[("service", "ghcr.io"), ("scope", "repository:a/b:pull,push")])),
        );
        check(r#"bearer realm="http://t", error="x""#, Some(("http://t", &[])));
        check(r#"Basic realm="r""#, None);
        check(r#"Bearer service="s""#, None);
        check(r#"Bearer realm="open"#, None);
        check("Bearer", None);
    }
}
