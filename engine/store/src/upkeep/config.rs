//! What of the upkeep can be configured.

use std::collections::BTreeMap;
use std::time::Duration;

use isinglass_model::labels::METRIC_NAME;
use isinglass_model::{Kind, Tenant};
use serde::{Deserialize, Serialize};

/// Merging of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactionConfig {
    /// Whether files are merged, and files past their retention removed, at all.
    pub enabled: bool,
    /// Pause between two looks at all tables.
    pub interval_ms: u64,
    /// About how large a merged file may become.
    pub file_bytes: u64,
    /// What one merge may hold in memory. One runs at a time.
    pub memory_bytes: usize,
    /// How much one merge reads at most; beyond it a day is merged in parts.
    pub job_bytes_max: u64,
    /// How late rows may come before the hours and days they belong to are merged.
    pub late_ms: u64,
    /// zstd level of files that will be merged again.
    pub zstd_level: i32,
    /// zstd level of the files of a day that is over.
    pub zstd_level_last: i32,
    /// The same for log lines, which gain more than the rest.
    pub zstd_level_last_logs: i32,
    /// Attributes of logs and spans that get a column of their own in a merged file, beside
    /// the map: those that most rows have; 0 = none.
    pub attribute_columns_max: usize,
    /// Series of replicas that become one.
    pub ha: HaConfig,
    /// How long a replaced file stays for queries that began before; must be longer than
    /// any query, here or in another tool that reads the tables.
    pub grace_ms: u64,
    /// Age at which a file that no version of a table names is taken for the remains of a
    /// write that never ended.
    pub orphan_ms: u64,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_ms: 30_000,
            file_bytes: 128 << 20,
            memory_bytes: 128 << 20,
            job_bytes_max: 4 << 30,
            late_ms: 2 * 3_600_000,
            zstd_level: 1,
            zstd_level_last: 9,
            zstd_level_last_logs: 12,
            attribute_columns_max: 16,
            ha: HaConfig::default(),
            grace_ms: 10 * 60_000,
            orphan_ms: 24 * 3_600_000,
        }
    }
}

impl CompactionConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, level) in [
            ("zstd_level", self.zstd_level),
            ("zstd_level_last", self.zstd_level_last),
            ("zstd_level_last_logs", self.zstd_level_last_logs),
        ] {
            if !(1..=22).contains(&level) {
                return Err(format!("store.compaction.{name} = {level} must be 1 to 22"));
            }
        }
        if self.attribute_columns_max > ATTRIBUTE_COLUMNS_MAX {
            let got = self.attribute_columns_max;
            return Err(format!(
                "store.compaction.attribute_columns_max = {got} must be 0 to {ATTRIBUTE_COLUMNS_MAX}"
            ));
        }
        self.ha.check()
    }
}

/// Each column has an encoder in memory while a file is written.
const ATTRIBUTE_COLUMNS_MAX: usize = 64;

/// Series that differ in the replica that wrote them alone. Off unless both labels are set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HaConfig {
    /// The label that says which replicas send the same, usually `cluster`.
    pub cluster_label: String,
    /// The label that says which of them, usually `__replica__`. Merged series lack it.
    pub replica_label: String,
    /// A replica that was silent for so long is replaced by another.
    pub failover_ms: u64,
}

impl Default for HaConfig {
    fn default() -> Self {
        Self { cluster_label: String::new(), replica_label: String::new(), failover_ms: 30_000 }
    }
}

impl HaConfig {
    /// Whether anything is to be merged.
    pub(crate) fn is_on(&self) -> bool {
        !self.replica_label.is_empty()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let field = |name: &str, value: &str, problem: &str| {
            Err(format!("store.compaction.ha.{name} = {value:?} {problem}"))
        };
        if self.cluster_label.is_empty() != self.replica_label.is_empty() {
            let (name, other) = match self.cluster_label.is_empty() {
                true => ("cluster_label", "replica_label"),
                false => ("replica_label", "cluster_label"),
            };
            return field(name, "", &format!("must be set where {other} is"));
        }
        if !self.is_on() {
            return Ok(());
        }
        if self.cluster_label == self.replica_label {
            return field("replica_label", &self.replica_label, "must be another label than cluster_label");
        }
        for (name, value) in [("cluster_label", &self.cluster_label), ("replica_label", &self.replica_label)]
        {
            if value == METRIC_NAME {
                return field(name, value, "is the name of the metric");
            }
        }
        if !(1_000..=3_600_000).contains(&self.failover_ms) {
            let got = self.failover_ms;
            return Err(format!("store.compaction.ha.failover_ms = {got} must be 1000 to 3600000"));
        }
        Ok(())
    }
}

/// How long rows are kept: `forever`, or a number and a unit, `90m`, `36h`, `30d`, `52w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// Never removed.
    #[default]
    Forever,
    /// Removed at this age, in milliseconds.
    For(u64),
}

const DAY: Duration = Duration::from_secs(86_400);

const UNITS: [(&str, u64); 4] = [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)];

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let parsed = UNITS.iter().find_map(|(unit, ms)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(*ms).filter(|ms| *ms > 0)
        });
        parsed.map(Self::For).ok_or_else(|| {
            format!("retention {text:?} must be forever or a whole number above 0 with m, h, d or w")
        })
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        let Keep::For(ms) = keep else { return "forever".to_owned() };
        let (unit, of) = UNITS.into_iter().find(|(_, of)| ms % of == 0).unwrap_or(("m", 60_000));
        format!("{}{unit}", ms / of)
    }
}

/// How long the rows of one tenant, or of all, are kept. What is not set is taken from
/// the more general: kind of the tenant, default of the tenant, kind, default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepByKind {
    /// All kinds that are not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Keep>,
    /// Samples, and with them histograms and exemplars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Keep>,
    /// Log lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Keep>,
    /// Spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<Keep>,
    /// Rejected items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Keep>,
    /// What plugins that are tried out would have done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Keep>,
}

impl KeepByKind {
    fn of(&self, kind: Kind) -> Option<Keep> {
        match kind {
            Kind::Series | Kind::Samples | Kind::Histograms | Kind::Exemplars => self.metrics,
            Kind::Logs => self.logs,
            Kind::Spans => self.spans,
            Kind::Rejected | Kind::Reingested => self.rejected,
            Kind::Shadow => self.shadow,
        }
    }
}

/// How long rows are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Of all tenants.
    pub all: KeepByKind,
    /// Of single ones.
    pub tenants: BTreeMap<String, KeepByKind>,
    /// Of single series and streams: the first that matches counts.
    pub rules: Vec<RetentionRule>,
}

/// How long the rows of some series or streams are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// What it is about.
    pub kind: RuleKind,
    /// Whose, `*` standing for any text; of all by default.
    #[serde(default = "any_tenant")]
    pub tenant: String,
    /// A selector as PromQL writes it; for logs of the labels of the stream and `service`.
    #[serde(rename = "match")]
    pub matching: String,
    /// How long.
    pub keep: Keep,
}

fn any_tenant() -> String {
    "*".to_owned()
}

/// What a rule can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// Samples, histograms and exemplars, by the labels of their series.
    Metrics,
    /// Log lines, by service and stream.
    Logs,
}

impl RetentionConfig {
    /// How long rows of a kind are kept; `None` = forever.
    pub(crate) fn of(&self, tenant: &Tenant, kind: Kind) -> Option<Duration> {
        let own = self.tenants.get(tenant.as_str());
        let keep = own
            .and_then(|own| own.of(kind).or(own.default))
            .or_else(|| self.all.of(kind))
            .or(self.all.default)
            .unwrap_or_default();
        match keep {
            Keep::Forever => None,
            // A mark outlives the row that it is about, which would else be sent again.
            Keep::For(ms) if kind == Kind::Reingested => Some(Duration::from_millis(ms) + DAY),
            Keep::For(ms) => Some(Duration::from_millis(ms)),
        }
    }

    /// Whether anything is ever removed.
    pub(crate) fn is_set(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(ha: HaConfig, want: &str) {
        let config = CompactionConfig { ha, ..CompactionConfig::default() };
        assert_eq!(config.check().unwrap_err(), format!("store.compaction.{want}"));
    }

    #[test]
    fn settings_that_make_no_sense_are_named_with_their_value() {
        CompactionConfig::default().check().unwrap();
        let ha = |cluster: &str, replica: &str, failover_ms| HaConfig {
            cluster_label: cluster.into(),
            replica_label: replica.into(),
            failover_ms,
        };
        let config = CompactionConfig { ha: ha("cluster", "__replica__", 30_000), ..Default::default() };
        config.check().unwrap();
        refused(ha("", "r", 30_000), "ha.cluster_label = \"\" must be set where replica_label is");
        refused(ha("c", "", 30_000), "ha.replica_label = \"\" must be set where cluster_label is");
        refused(ha("c", "c", 30_000), "ha.replica_label = \"c\" must be another label than cluster_label");
        refused(ha("c", "__name__", 30_000), "ha.replica_label = \"__name__\" is the name of the metric");
        refused(ha("c", "r", 5), "ha.failover_ms = 5 must be 1000 to 3600000");
        let config = CompactionConfig { zstd_level_last_logs: 23, ..Default::default() };
        assert_eq!(config.check().unwrap_err(), "store.compaction.zstd_level_last_logs = 23 must be 1 to 22");
        let config = CompactionConfig { attribute_columns_max: 65, ..Default::default() };
        assert_eq!(
            config.check().unwrap_err(),
            "store.compaction.attribute_columns_max = 65 must be 0 to 64"
        );
    }

    fn check(text: &str, want: Keep) {
        let keep = Keep::try_from(text.to_owned()).unwrap();
        assert_eq!(keep, want);
        assert_eq!(Keep::try_from(String::from(keep)), Ok(want));
    }

    #[test]
    fn retention_reads_what_it_prints() {
        check("forever", Keep::Forever);
        check("90m", Keep::For(5_400_000));
        check("36h", Keep::For(129_600_000));
        check("30d", Keep::For(2_592_000_000));
        check("2w", Keep::For(1_209_600_000));
        for text in ["", "d", "0d", "-1d", "30", "30 d", "1.5h", "30s", "99999999999999999999d"] {
            let error = Keep::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_more_special_setting_wins() {
        let text = r#"{"all": {"default": "30d", "logs": "7d"}, "tenants": {"a": {"default": "1d"}, "b": {"logs": "forever"}}}"#;
        let config: RetentionConfig = serde_json::from_str(text).unwrap();
        let days = |tenant: &str, kind| {
            config.of(&Tenant::new(tenant).unwrap(), kind).map(|keep| keep.as_secs() / 86_400)
        };
        assert_eq!((days("x", Kind::Spans), days("x", Kind::Logs)), (Some(30), Some(7)));
        assert_eq!((days("a", Kind::Spans), days("a", Kind::Logs)), (Some(1), Some(1)));
        assert_eq!((days("a", Kind::Rejected), days("a", Kind::Reingested)), (Some(1), Some(2)));
        assert_eq!((days("b", Kind::Samples), days("b", Kind::Logs)), (Some(30), None));
    }
}
