//! Every expression of the scripts of Prometheus is read, and written so that it is read again.

use std::path::{Path, PathBuf};

use isinglass_lang::promql::parse;

use crate::support::bare;

/// The scripts: where the environment says, else in the repository, else nowhere.
fn folder() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/promql");
    std::env::var_os("PROMQLTEST_DIR")
        .map(PathBuf::from)
        .or_else(|| repository.is_dir().then_some(repository))
}

/// The expression of a line such as `eval range from 0 to 1m step 30s up`.
fn expression(line: &str) -> Option<&str> {
    let (command, rest) = line.trim().split_once(' ')?;
    if !command.starts_with("eval") {
        return None;
    }
    let words = match rest.split(' ').next()? {
        "instant" => 3,
        "range" => 7,
        _ => return None,
    };
    rest.splitn(words + 1, ' ').nth(words)
}

fn check(text: &str, place: &str) {
    let expr = parse(text).unwrap_or_else(|fault| panic!("{place}: {text}\n{fault}\n{}", fault.caret(text)));
    let written = expr.to_string();
    let again = parse(&written).unwrap_or_else(|fault| panic!("{place}: {text}\nas {written}\n{fault}"));
    assert_eq!(again.to_string(), written, "{place}: {text}");
    // An infinite base is written with a sign, which binds weaker than the power behind it.
    if !text.to_lowercase().contains("inf") {
        assert_eq!(bare(again), bare(expr), "{place}: {text}\nas {written}");
    }
}

#[test]
fn all_expressions_of_the_scripts() {
    let Some(folder) = folder() else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder of scripts") {
        let path = entry.expect("an entry of it").path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let script = std::fs::read_to_string(&path).expect("a script");
        for (line, text) in script.lines().enumerate() {
            if let Some(expression) = expression(text) {
                seen += 1;
                check(expression, &format!("{}:{}", path.display(), line + 1));
            }
        }
    }
    assert!(seen > 500, "{seen} expressions in {}", folder.display());
}
