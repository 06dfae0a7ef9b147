//! Globs to rule files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use isinglass_model::Tenant;
use isinglass_model::tenant::DEFAULT_TENANT;
use isinglass_rules::file::{FILE_BYTES_MAX, FileError};
use isinglass_rules::{RuleFile, TenantFiles};

use super::config::RulesConfig;
use super::error::RulesError;

/// Rule files of a tenant, at most.
const FILES_MAX: usize = 10_000;

impl RulesConfig {
    /// Checks the settings, finds all rule files and reads them.
    ///
    /// # Errors
    /// A setting that cannot be; a file that is named and not there; all mistakes of all files;
    /// more groups or rules than a tenant may have.
    pub fn load(&self) -> Result<TenantFiles, RulesError> {
        self.check()?;
        let mut mistakes = Vec::new();
        let mut loaded = TenantFiles::new();
        let of_tenants = self.tenants.iter().map(|(name, rules)| (name.as_str(), &rules.files));
        for (name, patterns) in std::iter::once((DEFAULT_TENANT, &self.files)).chain(of_tenants) {
            let tenant = tenant(name)?;
            let paths = paths(name, patterns)?;
            let mut files = Vec::with_capacity(paths.len());
            for path in paths {
                match read(path)? {
                    Ok(file) => files.push(file),
                    Err(errors) => mistakes.extend(errors),
                }
            }
            // `default` may stand among the tenants, too.
            loaded.entry(tenant).or_default().extend(files);
        }
        if !mistakes.is_empty() {
            return Err(RulesError::Files(mistakes));
        }
        loaded.retain(|_, files| !files.is_empty());
        self.check_counts(&loaded)?;
        Ok(loaded)
    }

    fn check_counts(&self, loaded: &TenantFiles) -> Result<(), RulesError> {
        for (tenant, files) in loaded {
            let groups = files.iter().flat_map(|file| &file.groups);
            check_count(tenant.as_str(), "rule groups", groups.clone().count(), self.groups_max)?;
            let rules = groups.map(|group| group.rules.len()).sum();
            check_count(tenant.as_str(), "rules", rules, self.rules_max)?;
        }
        Ok(())
    }
}

fn tenant(name: &str) -> Result<Tenant, RulesError> {
    Tenant::new(name).map_err(|error| RulesError::Setting {
        key: "tenants".to_owned(),
        value: name.to_owned(),
        reason: error.to_string(),
    })
}

fn check_count(tenant: &str, what: &'static str, got: usize, limit: usize) -> Result<(), RulesError> {
    if got <= limit {
        return Ok(());
    }
    Err(RulesError::TooMany { tenant: tenant.to_owned(), what, got, limit })
}

/// Files of all patterns, each once. A glob may find none; a file that is named must be there.
fn paths(tenant: &str, patterns: &[String]) -> Result<BTreeSet<PathBuf>, RulesError> {
    let mut paths = BTreeSet::new();
    for pattern in patterns {
        if !pattern.contains(['*', '?', '[']) {
            paths.insert(PathBuf::from(pattern));
            continue;
        }
        let found = glob::glob(pattern).map_err(|error| RulesError::Setting {
            key: "files".to_owned(),
            value: pattern.clone(),
            reason: error.to_string(),
        })?;
        for path in found {
            let path = path.map_err(|error| unreadable(error.path().to_owned(), error.into()))?;
            if !path.is_dir() {
                paths.insert(path);
            }
            check_count(tenant, "rule files", paths.len(), FILES_MAX)?;
        }
    }
    Ok(paths)
}

/// The file, or all that is wrong with it.
fn read(path: PathBuf) -> Result<Result<RuleFile, Vec<FileError>>, RulesError> {
    let mut bytes = Vec::new();
    // One byte more than a file may have: it is refused for its size, and not held.
    let limit = FILE_BYTES_MAX as u64 + 1;
    let readable = fs::metadata(&path).and_then(|about| match about.is_file() {
        true => File::open(&path)?.take(limit).read_to_end(&mut bytes),
        false => Err(io::Error::other("it is no file")),
    });
    if let Err(reason) = readable {
        return Err(unreadable(path, reason));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(RuleFile::parse(&path.to_string_lossy(), &text)),
        Err(_) => Err(unreadable(path, io::Error::other("it is no UTF-8"))),
    }
}

fn unreadable(path: PathBuf, reason: io::Error) -> RulesError {
    RulesError::Read { path: path.to_string_lossy().into_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::config::TenantRules;
    use super::*;

    const UP: &str = "groups: [{name: g, rules: [{record: a, expr: up}, {record: b, expr: up}]}]";

    fn write(folder: &Path, name: &str, text: &str) -> String {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn config(files: &[String]) -> RulesConfig {
        RulesConfig { files: files.to_vec(), ..RulesConfig::default() }
    }

    fn error(config: &RulesConfig) -> String {
        config.load().unwrap_err().to_string()
    }

    #[test]
    fn files_are_found_once_and_belong_to_tenants() {
        let folder = tempfile::tempdir().unwrap();
        let one = write(folder.path(), "one.yml", UP);
        write(folder.path(), "two.yml", UP);
        write(folder.path(), "other.txt", "no rules");
        fs::create_dir(folder.path().join("folder.yml")).unwrap();
        let glob = folder.path().join("*.yml").to_string_lossy().into_owned();
        let mut config = config(&[one.clone(), glob, folder.path().join("none*").to_string_lossy().into()]);
        config.tenants = BTreeMap::from([
            ("acme".to_owned(), TenantRules { files: vec![one] }),
            ("quiet".to_owned(), TenantRules::default()),
        ]);
        let loaded = config.load().unwrap();
        let counts = loaded.iter().map(|(tenant, files)| (tenant.as_str(), files.len()));
        assert_eq!(counts.collect::<Vec<_>>(), [("acme", 1), ("default", 2)]);
        assert!(RulesConfig::default().load().unwrap().is_empty());
    }

    #[test]
    fn all_mistakes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let bad = "groups:\n- name: g\n  rules:\n  - record: r\n    expr: up +\n";
        let (one, two) = (write(folder.path(), "1.yml", bad), write(folder.path(), "2.yml", bad));
        let text = error(&config(&[one.clone(), two.clone()]));
        let line = |file: &str| {
            format!(
                "{file}: 5:11: group \"g\", rule 1, \"r\": could not parse expression: 1:5: parse error: unexpected end of input"
            )
        };
        assert_eq!(text, format!("{}\n{}", line(&one), line(&two)));
    }

    #[test]
    fn what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none.yml").to_string_lossy().into_owned();
        assert!(
            error(&config(&[none.clone()])).starts_with(&format!("cannot read rule file {none}: No such"))
        );
        let there = folder.path().to_string_lossy().into_owned();
        assert_eq!(error(&config(&[there.clone()])), format!("cannot read rule file {there}: it is no file"));
        assert!(error(&config(&["/tmp/***".to_owned()])).starts_with("rules.files = \"/tmp/***\": "));
        let tenants = BTreeMap::from([("a/b".to_owned(), TenantRules::default())]);
        let wrong = RulesConfig { tenants, ..RulesConfig::default() };
        assert!(error(&wrong).starts_with("rules.tenants = \"a/b\": tenant id has the character '/'"));
    }

    #[test]
    fn tenants_may_have_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "1.yml", UP);
        let limited =
            |groups_max, rules_max| RulesConfig { groups_max, rules_max, ..config(&[file.clone()]) };
        assert!(limited(1, 2).load().is_ok());
        assert_eq!(error(&limited(0, 2)), "tenant default has 1 rule groups, the limit is 0");
        assert_eq!(error(&limited(1, 1)), "tenant default has 2 rules, the limit is 1");
    }
}
