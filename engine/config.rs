//! Defaults, file, environment and flags in one configuration.
//!
//! The sections are the crates' own types, so that a setting is declared,
//! documented and defaulted where it is used. `docs/formats/config.md` lists
//! them all.

use std::path::Path;

use anyhow::{anyhow, bail};
use figment::error::Kind;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Error, Figment};
use isinglass_chain::ChainConfig;
use isinglass_ingest::{IngestConfig, LogsConfig};
use isinglass_query::QueryConfig;
use isinglass_serve::{RulesConfig, ServeConfig};
use isinglass_store::StoreConfig;
use serde::{Deserialize, Serialize};

use crate::allocator;
use crate::args::ServeArgs;
use crate::log::LogConfig;
use crate::memory::{Memory, divide};

/// Environment variables with this prefix, and `__` between section and key.
/// Others with the prefix are left alone: container platforms set variables
/// such as `ISINGLASS_PORT` for a service of this name.
const ENVIRONMENT: &str = "ISINGLASS_";
/// Names this similar (Jaro-Winkler) are offered instead of an unknown one.
const SIMILAR: f64 = 0.75;

/// The effective configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// What the process may hold in memory; all budgets below are shares of it.
    pub memory: Memory,
    /// Addresses and bounds of the front door.
    pub server: ServeConfig,
    /// Log, head and tables.
    pub store: StoreConfig,
    /// The write path.
    pub ingest: IngestConfig,
    /// What becomes of log lines.
    pub logs: LogsConfig,
    /// The plugin chain and each plugin's limits.
    pub plugins: ChainConfig,
    /// Queries.
    pub query: QueryConfig,
    /// Recording and alerting rules.
    pub rules: RulesConfig,
    /// This process's own logs.
    pub log: LogConfig,
}

/// What has to be known before there are defaults.
#[derive(Deserialize)]
struct Given {
    memory: Option<Memory>,
}

impl Default for Config {
    fn default() -> Self {
        Self::with(Memory::of_machine(allocator::memory_bytes()))
    }
}

impl Config {
    /// Defaults of a process that may hold so much.
    pub(crate) fn with(memory: Memory) -> Self {
        let undivided = Self {
            memory,
            server: ServeConfig::default(),
            store: StoreConfig { data_dir: "isinglass-data".into(), ..StoreConfig::default() },
            ingest: IngestConfig::default(),
            logs: LogsConfig::default(),
            plugins: ChainConfig::default(),
            query: QueryConfig::default(),
            rules: RulesConfig::default(),
            log: LogConfig::default(),
        };
        divide(undivided)
    }

    /// Reads everything; the later wins: defaults, file, environment, flags.
    pub(crate) fn load(args: &ServeArgs) -> anyhow::Result<Self> {
        let mut given = Figment::new();
        if let Some(path) = &args.config {
            given = given.merge(file(path)?);
        }
        let ours = |key: &figment::value::UncasedStr| key == "memory" || key.as_str().contains("__");
        let environment = Env::prefixed(ENVIRONMENT).filter(ours).split("__");
        given = flags(given.merge(environment), args);
        // Shares of what is said to be there, with what is said of a share over it.
        let Given { memory } = given.extract().map_err(explain)?;
        let defaults = memory.map_or_else(Self::default, Self::with);
        let mut config: Self =
            Figment::from(Serialized::defaults(defaults)).merge(given).extract().map_err(explain)?;
        // As in Prometheus: files that the configuration names lie beside it.
        if let Some(folder) = args.config.as_deref().and_then(Path::parent) {
            config.rules.resolve(folder);
        }
        Ok(config)
    }
}

impl Config {
    /// What `serve` with this folder and file would have.
    pub(crate) fn of_folder(data_dir: Option<&Path>, file: Option<&Path>) -> anyhow::Result<Self> {
        let owned = |path: Option<&Path>| path.map(Path::to_path_buf);
        Self::load(&ServeArgs { data_dir: owned(data_dir), config: owned(file), ..ServeArgs::default() })
    }
}

/// The file. Read here and not by figment, which takes a missing one for empty.
fn file(path: &Path) -> anyhow::Result<figment::providers::Data<Toml>> {
    if !path.is_file() {
        bail!("configuration file {} does not exist", path.display());
    }
    Ok(Toml::file_exact(path))
}

fn flags(figment: Figment, args: &ServeArgs) -> Figment {
    let text = |figment: Figment, key: &str, value: &Option<String>| match value {
        Some(value) => figment.merge(Serialized::default(key, value)),
        None => figment,
    };
    let figment = text(figment, "server.listen", &args.listen);
    let figment = text(figment, "server.otlp_grpc", &args.otlp_grpc);
    let figment = text(figment, "server.otlp_http", &args.otlp_http);
    let figment = text(figment, "log.level", &args.log_level);
    let figment = text(figment, "memory", &args.memory);
    let figment =
        if args.strict { figment.merge(Serialized::default("store.strict", true)) } else { figment };
    match &args.data_dir {
        Some(dir) => figment.merge(Serialized::default("store.data_dir", dir)),
        None => figment,
    }
}

/// Names source and key of each fault, and a key that may have been meant.
fn explain(error: Error) -> anyhow::Error {
    let faults: Vec<String> = error.into_iter().map(|fault| explain_one(&fault)).collect();
    anyhow!("{}", faults.join("\n       "))
}

fn explain_one(error: &Error) -> String {
    let source = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => source.to_string(),
        None => metadata.name.to_string(),
    });
    let source = source.unwrap_or_else(|| "configuration".to_owned());
    let path = |key: &str| {
        let mut path = error.path.clone();
        if path.last().is_none_or(|last| last != key) {
            path.push(key.to_owned());
        }
        path.join(".")
    };
    match &error.kind {
        Kind::UnknownField(key, expected) => match suggest(key, expected) {
            Some(near) => format!("{source}: unknown key `{}`, did you mean `{near}`?", path(key)),
            None => format!("{source}: unknown key `{}`; there are {}", path(key), expected.join(", ")),
        },
        kind if error.path.is_empty() => format!("{source}: {kind}"),
        kind => format!("{source}: `{}`: {kind}", error.path.join(".")),
    }
}

/// The most similar of the known names.
fn suggest(unknown: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), *name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use isinglass_store::Durability;

    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let args = ServeArgs { config: Some(file.path().to_owned()), ..ServeArgs::default() };
        Config::load(&args).map_err(|error| error.to_string())
    }

    /// The fault, after the name of the file.
    fn check(text: &str, want: &str) {
        let error = load(text).unwrap_err();
        let (file, fault) = error.split_once(".toml: ").unwrap_or(("", &error));
        assert_eq!(fault, want);
        assert!(!file.is_empty(), "{error}");
    }

    #[test]
    fn nothing_is_needed() {
        assert_eq!(load(""), Ok(Config::default()));
        assert_eq!(load("# only a comment\n"), Ok(Config::default()));
        assert_eq!(Config::load(&ServeArgs::default()).unwrap(), Config::default());
    }

    #[test]
    fn flags_win_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[server]\nlisten = \"[::1]:1\"\notlp_http = \"[::1]:2\"\n[store]\ndurability = \"interval:50\"\n")
            .unwrap();
        let args = ServeArgs {
            config: Some(file.path().to_owned()),
            listen: Some("0.0.0.0:9".to_owned()),
            data_dir: Some("elsewhere".into()),
            strict: true,
            ..ServeArgs::default()
        };
        let config = Config::load(&args).unwrap();
        assert_eq!(config.server.listen, "0.0.0.0:9");
        assert_eq!(config.server.otlp_http, "[::1]:2");
        assert_eq!(config.server.otlp_grpc, ServeConfig::default().otlp_grpc);
        assert_eq!(config.store.data_dir, Path::new("elsewhere"));
        assert_eq!(config.store.durability, Durability::Interval(50));
        assert!(config.store.strict && !Config::default().store.strict);
    }

    #[test]
    fn budgets_are_shares_of_the_memory() {
        let small = load("memory = \"512MiB\"\n").unwrap();
        assert_eq!(small, Config::with(Memory(512 << 20)));
        let large = load("memory = 4294967296\n").unwrap();
        assert!(small.query.memory_bytes < large.query.memory_bytes);
        // What is said of a share holds.
        let config = load("memory = \"512MiB\"\n[query]\nmemory_bytes = 77\n").unwrap();
        assert_eq!(config.query.memory_bytes, 77);
        assert_eq!(config.store, small.store);
        let args = ServeArgs { memory: Some("1GiB".to_owned()), ..ServeArgs::default() };
        assert_eq!(Config::load(&args).unwrap(), Config::with(Memory(1 << 30)));
        check("memory = true\n", "`memory`: expected a size as in \"512MiB\", or a number of bytes");
        check("memory = \"1MiB\"\n", "`memory`: memory of 1048576 bytes is less than 256MiB");
    }

    #[test]
    fn one_limit_of_a_plugin_can_be_changed_alone() {
        let config = load("[plugins.config.validate]\nline_bytes_max = 1000\n[plugins.tenants.acme.rate-limit]\nitems_per_second = 5\n")
            .unwrap();
        assert_eq!(config.plugins.bindings, ChainConfig::default().bindings);
        assert_eq!(config.plugins.config["validate"]["line_bytes_max"], 1_000);
        assert_eq!(config.plugins.tenants["acme"]["rate-limit"]["items_per_second"], 5);
    }

    #[test]
    fn unknown_keys_are_refused_with_a_suggestion() {
        check("[server]\nlisten_adress = 1\n", "unknown key `server.listen_adress`, did you mean `listen`?");
        check("[stroe]\n", "unknown key `stroe`, did you mean `store`?");
        check("[store]\ndatadir = \"x\"\n", "unknown key `store.datadir`, did you mean `data_dir`?");
        let error = load("[log]\nqqq = 1\n").unwrap_err();
        assert!(error.ends_with("unknown key `log.qqq`; there are level, format"), "{error}");
    }

    #[test]
    fn wrong_values_name_their_key() {
        let error = load("[server]\nwrites_max = \"many\"\n").unwrap_err();
        assert!(error.contains("`server.writes_max`") && error.contains("many"), "{error}");
        let error = load("[store]\ndurability = \"never\"\n").unwrap_err();
        assert!(
            error.contains("`store.durability`") && error.contains("sync, interval:<ms> or os"),
            "{error}"
        );
        assert!(load("[server\n").unwrap_err().contains(".toml"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let args = ServeArgs { config: Some("/no/such/file.toml".into()), ..ServeArgs::default() };
        assert_eq!(
            Config::load(&args).unwrap_err().to_string(),
            "configuration file /no/such/file.toml does not exist"
        );
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(load(&text), Ok(Config::default()));
    }

    #[test]
    fn every_key_is_described() {
        let page = include_str!("../docs/formats/config.md");
        let config = serde_json::to_value(Config::default()).unwrap();
        assert!(page.contains("`memory`"));
        for (section, keys) in config.as_object().unwrap().iter().filter(|(_, keys)| keys.is_object()) {
            assert!(page.contains(&format!("## `[{section}]`")), "[{section}] is not described");
            // The chain has a page of its own.
            for key in keys.as_object().unwrap().keys().filter(|_| section != "plugins") {
                assert!(page.contains(&format!("`{key}`")), "{section}.{key} is not described");
            }
        }
    }
}
