//! `service_graph` of the configuration.

use isinglass_plugin::Config;

use crate::settings::{check_bounds, check_names, doubling};

/// Attributes that name a server which is not instrumented.
const PEERS: [&str; 4] = ["peer.service", "db.name", "db.system", "db.system.name"];
/// Attributes of which a call of a database has one; the first that is there may be its name.
const DATABASES: [&str; 4] = ["db.namespace", "db.name", "db.system.name", "db.system"];

/// What can be configured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) wait_ms: u32,
    pub(crate) pending_max: u32,
    /// Upper bounds of histograms in seconds, ascending.
    pub(crate) bounds: Vec<f64>,
    /// Attributes of either side that become labels.
    pub(crate) dimensions: Vec<String>,
    /// Whether their labels begin with the side.
    pub(crate) prefix: bool,
    pub(crate) virtual_node_label: bool,
    pub(crate) peers: Vec<String>,
    pub(crate) databases: Vec<String>,
    pub(crate) messaging_latency: bool,
    pub(crate) connection_info: bool,
}

impl Settings {
    /// `None` = off. `on`: whether it is on unless something else is said.
    pub(crate) fn read(config: Option<Config>, on: bool) -> Result<Option<Self>, String> {
        let Some(mut config) = config else { return Ok(on.then(Self::default)) };
        let enabled = config.boolean("enabled", true)?;
        let default = Self::default();
        let or = |given: Vec<String>, default: Vec<String>| if given.is_empty() { default } else { given };
        let bounds = config.numbers("histogram_buckets")?;
        let settings = Self {
            wait_ms: config.u32("wait_ms", default.wait_ms)?,
            pending_max: config.u32("pending_max", default.pending_max)?,
            bounds: if bounds.is_empty() { default.bounds } else { bounds },
            dimensions: config.texts("dimensions")?,
            prefix: config.boolean("prefix_dimensions", false)?,
            virtual_node_label: config.boolean("virtual_node_label", false)?,
            peers: or(config.texts("peer_attributes")?, default.peers),
            databases: or(config.texts("database_name_attributes")?, default.databases),
            messaging_latency: config.boolean("messaging_latency", false)?,
            connection_info: config.boolean("connection_info", false)?,
        };
        config.finish()?;
        check_bounds("service_graph.histogram_buckets", &settings.bounds)?;
        let own = ["client", "server", "connection_type", "virtual_node", "le"];
        check_names("service_graph.dimensions", &settings.dimensions, &own)?;
        check_names("service_graph.peer_attributes", &settings.peers, &[])?;
        check_names("service_graph.database_name_attributes", &settings.databases, &[])?;
        Ok(enabled.then_some(settings))
    }
}

impl Default for Settings {
    fn default() -> Self {
        let owned = |names: [&str; 4]| names.map(str::to_owned).to_vec();
        Self {
            wait_ms: 10_000,
            pending_max: 10_000,
            bounds: doubling(0.1, 8),
            dimensions: Vec::new(),
            prefix: false,
            virtual_node_label: false,
            peers: owned(PEERS),
            databases: owned(DATABASES),
            messaging_latency: false,
            connection_info: false,
        }
    }
}
