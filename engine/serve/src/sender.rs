//! Who sends: tenant and batch key, from HTTP headers or gRPC metadata, which
//! are the same thing on the wire.

use axum::http::HeaderMap;
use isinglass_model::Tenant;

use crate::problem::Problem;

/// The tenant's header.
pub(crate) const TENANT: &str = "x-scope-orgid";
/// The sender's own name for a batch.
pub(crate) const BATCH_KEY: &str = "x-isinglass-batch-key";
/// Longest batch key in bytes.
const BATCH_KEY_BYTES_MAX: usize = 256;

/// The tenant of a request; `default` without the header.
pub(crate) fn tenant(headers: &HeaderMap) -> Result<Tenant, Problem> {
    match single(headers, TENANT)? {
        None => Ok(Tenant::default()),
        Some(name) => {
            Tenant::new(&name).map_err(|error| Problem::malformed(format!("X-Scope-OrgID: {error}")))
        }
    }
}

/// The sender's own key for this batch, if it gave one.
pub(crate) fn batch_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = single(headers, BATCH_KEY)? else { return Ok(None) };
    let printable = key.bytes().all(|b| (b' '..=b'~').contains(&b));
    if key.is_empty() || key.len() > BATCH_KEY_BYTES_MAX || !printable {
        return Err(Problem::malformed(format!(
            "X-Isinglass-Batch-Key must be 1 to {BATCH_KEY_BYTES_MAX} printable ASCII characters, got {} bytes",
            key.len()
        )));
    }
    Ok(Some(key))
}

/// The only value of a header: of two, a proxy may have added one, and it is
/// not ours to guess which of them counts.
fn single(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed(format!("the header {name} occurs more than once")));
    }
    Ok(Some(String::from_utf8_lossy(first.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], want: Result<&str, &str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TENANT, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let got = tenant(&headers);
        match (&got, want) {
            (Ok(tenant), Ok(name)) => assert_eq!(tenant.as_str(), name),
            (Err(problem), Err(part)) => {
                assert_eq!(problem.status(), 400);
                assert!(problem.message.contains(part), "{}", problem.message);
            }
            _ => panic!("{values:?}: {got:?}, want {want:?}"),
        }
    }

    #[test]
    fn tenants() {
        check(&[], Ok("default"));
        check(&["acme"], Ok("acme"));
        check(&["acme", "acme"], Err("more than once"));
        check(&[""], Err("is empty"));
        check(&[".."], Err("must not be"));
        check(&["../etc"], Err("the character '/'"));
        check(&["a|b"], Err("the character '|'"));
        check(&["zür"], Err("the character 'ü'"));
    }

    #[test]
    fn batch_keys() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(BATCH_KEY, value.parse().unwrap());
            batch_key(&headers)
        };
        assert_eq!(batch_key(&HeaderMap::new()), Ok(None));
        assert_eq!(with("batch 7/a"), Ok(Some("batch 7/a".to_owned())));
        assert!(with("").is_err());
        assert!(with(&"k".repeat(257)).is_err());
    }
}
