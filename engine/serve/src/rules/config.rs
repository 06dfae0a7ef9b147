//! Settings of rules.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use isinglass_rules::{ManagerConfig, NotifierConfig, Settings};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::RulesError;

/// `[rules]` in the configuration file: which rules are evaluated, and who is told of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// Rule files of the tenant `default`, as paths or globs.
    pub files: Vec<String>,
    /// How often groups are evaluated that do not say it, in milliseconds.
    pub evaluation_interval_ms: u64,
    /// How far back queries of groups look that do not say it, in milliseconds.
    pub query_offset_ms: u64,
    /// Groups that are evaluated at the same time; others wait.
    pub concurrent_groups_max: usize,
    /// Groups of a tenant; more refuse the files.
    pub groups_max: usize,
    /// Rules of a tenant; more refuse the files.
    pub rules_max: usize,
    /// Series or alerts of one rule, whatever its group says; with more an evaluation fails.
    pub series_max: usize,
    /// An alert that still fires is sent again after so long, in milliseconds.
    pub resend_delay_ms: u64,
    /// `for` goes on after an outage of at most this, in milliseconds.
    pub outage_tolerance_ms: u64,
    /// An alert whose `for` goes on does not fire sooner than this after the start, in
    /// milliseconds; a shorter `for` begins again.
    pub for_grace_period_ms: u64,
    /// Where this server is reached by those who get alerts; empty = `http://<listen>`.
    pub external_url: String,
    /// Labels of this server: in templates, and on what is sent to Alertmanagers.
    pub external_labels: BTreeMap<String, String>,
    /// Who is told of alerts.
    pub alertmanagers: AlertmanagersConfig,
    /// Rules of other tenants.
    pub tenants: BTreeMap<String, TenantRules>,
}

/// `[rules.alertmanagers]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertmanagersConfig {
    /// Base URLs; each gets all alerts.
    pub urls: Vec<String>,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// Alerts that wait for one of them; the oldest make room.
    pub queue_alerts_max: usize,
    /// Alerts of one message.
    pub batch_alerts_max: usize,
    /// How often a message is sent before it is given up.
    pub attempts_max: u32,
    /// Pause after the first failure, in milliseconds; it doubles with each one.
    pub retry_pause_ms: u64,
    /// How long a stop waits until what is queued has been sent, in milliseconds.
    pub drain_timeout_ms: u64,
}

/// `[rules.tenants.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantRules {
    /// Rule files, as paths or globs.
    pub files: Vec<String>,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            evaluation_interval_ms: 60_000,
            query_offset_ms: 0,
            concurrent_groups_max: 4,
            groups_max: 1_000,
            rules_max: 10_000,
            series_max: 100_000,
            resend_delay_ms: 60_000,
            outage_tolerance_ms: 3_600_000,
            for_grace_period_ms: 600_000,
            external_url: String::new(),
            external_labels: BTreeMap::new(),
            alertmanagers: AlertmanagersConfig::default(),
            tenants: BTreeMap::new(),
        }
    }
}

impl Default for AlertmanagersConfig {
    fn default() -> Self {
        let NotifierConfig {
            queue_alerts_max,
            batch_alerts_max,
            attempts_max,
            retry_pause_ms,
            timeout_ms,
            ..
        } = NotifierConfig::default();
        Self {
            urls: Vec::new(),
            timeout_ms,
            queue_alerts_max,
            batch_alerts_max,
            attempts_max,
            retry_pause_ms,
            drain_timeout_ms: 5_000,
        }
    }
}

impl RulesConfig {
    /// Paths that are not absolute begin in this folder; afterwards all of them are.
    pub fn resolve(&mut self, folder: &Path) {
        let of_tenants = self.tenants.values_mut().flat_map(|tenant| &mut tenant.files);
        for file in self.files.iter_mut().chain(of_tenants) {
            let path = folder.join(&*file);
            // It fails where there is no working directory; then the path is as good as it gets.
            *file = std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned();
        }
    }

    /// What all groups have in common.
    pub(super) fn without_files(&self) -> Self {
        Self { files: Vec::new(), tenants: BTreeMap::new(), ..self.clone() }
    }

    /// Says what cannot be.
    pub(super) fn check(&self) -> Result<(), RulesError> {
        let wrong = |key: &str, value: &dyn std::fmt::Display, reason: &str| {
            Err(RulesError::Setting { key: key.into(), value: value.to_string(), reason: reason.into() })
        };
        if self.evaluation_interval_ms == 0 {
            return wrong("evaluation_interval_ms", &0, "it must be at least 1");
        }
        if !self.external_url.is_empty() && !is_http(&self.external_url) {
            return wrong("external_url", &self.external_url, URL_WANTED);
        }
        if let Some(url) = self.alertmanagers.urls.iter().find(|url| !is_http(url)) {
            return wrong("alertmanagers.urls", url, URL_WANTED);
        }
        if let Some(name) = self.external_labels.keys().find(|name| name.is_empty() || *name == "__name__") {
            return wrong("external_labels", name, "it is no name of a label");
        }
        Ok(())
    }

    pub(super) fn manager(&self, listen: SocketAddr) -> ManagerConfig {
        let settings = Settings {
            external_labels: self.external_labels.clone().into(),
            external_url: self.external_url(listen).into(),
            interval_ms: signed(self.evaluation_interval_ms),
            query_offset_ms: signed(self.query_offset_ms),
            series_max: self.series_max,
            resend_delay_ms: signed(self.resend_delay_ms),
            outage_tolerance_ms: signed(self.outage_tolerance_ms),
            for_grace_period_ms: signed(self.for_grace_period_ms),
        };
        ManagerConfig { settings, concurrent_groups_max: self.concurrent_groups_max }
    }

    /// Without a slash at its end: links are appended.
    fn external_url(&self, listen: SocketAddr) -> String {
        match self.external_url.trim_end_matches('/') {
            "" => format!("http://{listen}"),
            url => url.to_owned(),
        }
    }

    pub(super) fn notifier(&self) -> NotifierConfig {
        let sent = &self.alertmanagers;
        NotifierConfig {
            alertmanagers: sent.urls.clone(),
            external_labels: self.external_labels.clone(),
            queue_alerts_max: sent.queue_alerts_max,
            batch_alerts_max: sent.batch_alerts_max,
            attempts_max: sent.attempts_max,
            retry_pause_ms: sent.retry_pause_ms,
            timeout_ms: sent.timeout_ms,
        }
    }
}

const URL_WANTED: &str =
    "a URL is wanted, http:// or https://, without a name or password, query and fragment";

/// Names and passwords would be seen in `/metrics` and the API.
fn is_http(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut RulesConfig), wanted: &str) {
        let mut config = RulesConfig::default();
        change(&mut config);
        let error = config.check().map_err(|error| error.to_string());
        assert_eq!(error.err().unwrap_or_default(), wanted);
    }

    #[test]
    fn settings_that_cannot_be() {
        check(|_| {}, "");
        check(
            |config| config.evaluation_interval_ms = 0,
            "rules.evaluation_interval_ms = \"0\": it must be at least 1",
        );
        for url in ["alertmanager:9093", "ftp://a/", "http://me:secret@a/", "http://a/?b", ""] {
            let wanted = format!("rules.alertmanagers.urls = {url:?}: {URL_WANTED}");
            check(|config| config.alertmanagers.urls = vec![url.to_owned()], &wanted);
        }
        check(|config| config.alertmanagers.urls = vec!["https://a:1/am".to_owned()], "");
        check(
            |config| config.external_labels = BTreeMap::from([(String::new(), "x".to_owned())]),
            "rules.external_labels = \"\": it is no name of a label",
        );
    }

    #[test]
    fn where_it_is_reached() {
        let listen = "127.0.0.1:4319".parse().unwrap();
        let url = |text: &str| {
            RulesConfig { external_url: text.to_owned(), ..RulesConfig::default() }.external_url(listen)
        };
        assert_eq!(url(""), "http://127.0.0.1:4319");
        assert_eq!(url("https://metrics.example.com/"), "https://metrics.example.com");
        assert_eq!(url("https://example.com/metrics"), "https://example.com/metrics");
    }

    #[test]
    fn paths_begin_where_the_configuration_is() {
        let mut config =
            RulesConfig { files: vec!["a/*.yml".into(), "/b.yml".into()], ..RulesConfig::default() };
        config.tenants.insert("acme".into(), TenantRules { files: vec!["c.yml".into()] });
        config.resolve(Path::new("/etc"));
        assert_eq!(config.files, ["/etc/a/*.yml", "/b.yml"]);
        assert_eq!(config.tenants["acme"].files, ["/etc/c.yml"]);
    }
}
