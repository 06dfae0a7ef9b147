//! Addresses: hosts without ports and domains, and links to the expression browser.

use std::net::IpAddr;

use super::escape::query;

/// A path that shows the graph of an expression.
pub(super) fn graph(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=0", query(expr))
}

/// A path that shows the values of an expression as a table.
pub(crate) fn table(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", query(expr))
}

/// The path of a URL, empty where it is none.
pub(super) fn path(url: &str) -> String {
    let path = url::Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default();
    // Of a URL without a path Go's is empty.
    if path == "/" && !url.ends_with('/') { String::new() } else { path }
}

/// `host:port` without the port; what is no such thing stays as it is.
pub(super) fn strip_port(address: &str) -> &str {
    split(address).map_or(address, |(host, _)| host)
}

/// `host.domain:port` without the domain. Addresses of numbers stay as they are.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    match (port.is_empty(), name.contains(':')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("[{name}]:{port}"),
        (false, false) => format!("{name}:{port}"),
    }
}

/// As Go's `net.SplitHostPort`: one colon, or brackets around the host.
fn split(address: &str) -> Option<(&str, &str)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once("]:")?;
        return (!host.contains(['[', ']']) && !port.contains([':', '[', ']'])).then_some((host, port));
    }
    let (host, port) = address.split_once(':')?;
    (!port.contains(':') && !address.contains(['[', ']'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (address, without_port, without_domain) in [
            ("web1.example.com:9100", "web1.example.com", "web1:9100"),
            ("web1.example.com", "web1.example.com", "web1"),
            ("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80"),
            ("[::1]:80", "::1", "[::1]:80"),
            ("::1", "::1", "::1"),
            ("", "", ""),
            ("a:b:c", "a:b:c", "a:b:c"),
        ] {
            assert_eq!(strip_port(address), without_port);
            assert_eq!(strip_domain(address), without_domain);
        }
    }

    #[test]
    fn links() {
        assert_eq!(graph("up == 0"), "/graph?g0.expr=up+%3D%3D+0&g0.tab=0");
        assert_eq!(table("up"), "/graph?g0.expr=up&g0.tab=1");
        assert_eq!(path("http://host/prefix"), "/prefix");
        assert_eq!(path("http://host"), "");
    }
}
