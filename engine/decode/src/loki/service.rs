//! Which service a stream belongs to.

use crate::columns::UNKNOWN_SERVICE;

/// The label that names the service.
pub(super) const LABEL: &str = "service_name";

/// Labels that name a service, the first one that a stream has counts: Loki's
/// `discover_service_name`.
const DISCOVERED_BY: [&str; 13] = [
    LABEL,
    "service",
    "app",
    "application",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// The service of a stream.
pub(super) fn discover(labels: &[(String, String)]) -> &str {
    let value =
        |wanted: &&str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    DISCOVERED_BY.iter().find_map(value).unwrap_or(UNKNOWN_SERVICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_list_counts() {
        let labels =
            |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), format!("by {n}"))).collect::<Vec<_>>();
        assert_eq!(discover(&labels(&["job", "app", "env"])), "by app");
        assert_eq!(discover(&labels(&["app", "service_name"])), "by service_name");
        assert_eq!(discover(&labels(&["env"])), "unknown_service");
    }
}
