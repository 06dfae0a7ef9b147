//! A case of `cases/`: rows, and what a plugin is expected to say of them. See
//! `docs/formats/plugin-cases.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use isinglass_chain::World;
use isinglass_model::columns::Shape;
use isinglass_model::kind::Signal;
use serde::Deserialize;
use serde_json::Value;
use toml::value::Datetime;

use super::calls::Call;
use super::halves::Half;
use super::transformed::{self, Left};

/// What stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    about: String,
    #[serde(default)]
    config: Option<Value>,
    config_refused: Option<String>,
    now: Option<Datetime>,
    #[serde(default)]
    samples: Vec<toml::Table>,
    #[serde(default)]
    series: Vec<toml::Table>,
    #[serde(default)]
    logs: Vec<toml::Table>,
    #[serde(default)]
    spans: Vec<toml::Table>,
    admit: Option<Admit>,
    plan: Option<Vec<Take>>,
    deltas: Option<Vec<Delta>>,
    halves: Option<Vec<Half>>,
    pairs: Option<Vec<Delta>>,
    #[serde(default)]
    calls: Vec<Call>,
}

/// A case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) path: PathBuf,
    pub(super) about: String,
    pub(super) config: Value,
    /// Part of the sentence with which the configuration is refused, instead of rows.
    pub(super) config_refused: Option<String>,
    /// The time that plugins are told.
    pub(super) now_unix_nanos: i64,
    pub(super) shape: Shape,
    pub(super) rows: Vec<toml::Table>,
    pub(super) wanted: Wanted,
}

/// What is expected.
#[derive(Debug)]
pub(super) enum Wanted {
    Rows(Vec<Left>),
    /// What is asked, too.
    Calls(Vec<Call>),
    Verdicts(Vec<Verdict>),
    Plan {
        admit: Option<Admit>,
        plan: Vec<Take>,
    },
    Derived {
        deltas: Vec<Delta>,
        /// `None`: it is not looked at which there are.
        halves: Option<Vec<Half>>,
        /// What becomes of them; `None`: it is not looked at.
        pairs: Option<Vec<Delta>>,
    },
    /// Nothing is shown to the plugin.
    Nothing,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Keep,
    Refuse { code: String, message: Option<String> },
}

/// What a limiter is asked before a request is decoded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admit {
    pub(super) signal: Signal,
    pub(super) wire_bytes: u64,
    pub(super) plan: Vec<Take>,
}

/// What a limiter takes from a bucket.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Take {
    pub(super) bucket: String,
    pub(super) rate_per_second: f64,
    pub(super) burst: f64,
    pub(super) cost: f64,
}

/// What a deriver adds to a series.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delta {
    pub(super) metric: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// Of a histogram the sum.
    pub(super) value: f64,
    /// Of a histogram its counts, `bounds + 1`.
    #[serde(default)]
    pub(super) buckets: Vec<f64>,
}

/// All cases of a folder, by name.
pub(super) fn all(folder: &Path, world: World) -> anyhow::Result<Vec<Case>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "toml"));
    paths.sort_unstable();
    ensure!(!paths.is_empty(), "there is no case in {}", folder.display());
    paths.into_iter().map(|path| read(&path, world)).collect()
}

fn read(path: &Path, world: World) -> anyhow::Result<Case> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(path, &text, world).with_context(|| format!("{}", path.display()))
}

/// Midnight of 2026-01-01, where a case names no time.
pub(in crate::plugin) const NOW: i64 = 1_767_225_600_000_000_000;

fn parse(path: &Path, text: &str, world: World) -> anyhow::Result<Case> {
    let file: File = toml::from_str(text)?;
    let shapes = [
        (Shape::Samples, file.samples),
        (Shape::Series, file.series),
        (Shape::Logs, file.logs),
        (Shape::Spans, file.spans),
    ];
    let mut given = shapes.into_iter().filter(|(_, rows)| !rows.is_empty());
    let (shape, mut rows) = given.next().unwrap_or((Shape::Spans, Vec::new()));
    ensure!(given.next().is_none(), "a case has rows of one kind: samples, series, logs or spans");
    let asks = !rows.is_empty() || !file.calls.is_empty();
    ensure!(
        file.config_refused.is_some() != asks || file.admit.is_some(),
        "a case has either rows or config_refused; of functions calls or config_refused"
    );
    let now_unix_nanos = file.now.map_or(Ok(NOW), |now| super::rows::nanos(&now))?;
    let of_others = |given: bool, key: &str| match given {
        true => bail!("{key} is not for a {}", world.as_str()),
        false => Ok(()),
    };
    let limits = file.plan.is_some() || file.admit.is_some();
    if file.config_refused.is_none() {
        of_others(world == World::Function && !rows.is_empty(), "rows")?;
        of_others(world != World::Function && !file.calls.is_empty(), "calls")?;
        of_others(world != World::Limiter && limits, "plan or admit")?;
        of_others(world != World::Deriver && file.deltas.is_some(), "deltas")?;
        let pairs = file.halves.is_some() || file.pairs.is_some();
        of_others(world != World::Deriver && pairs, "halves or pairs")?;
    }
    let wanted = match world {
        _ if file.config_refused.is_some() => Wanted::Nothing,
        World::Transformer => Wanted::Rows(transformed::wanted(shape, &mut rows, now_unix_nanos)?),
        World::Validator => Wanted::Verdicts(verdicts(&mut rows)?),
        World::Limiter => Wanted::Plan { admit: file.admit, plan: file.plan.unwrap_or_default() },
        World::Deriver => derived(file.deltas, file.halves, file.pairs, rows.len())?,
        World::Function => {
            for (at, call) in file.calls.iter().enumerate() {
                call.check().with_context(|| format!("call {} of {}", at + 1, call.function))?;
            }
            Wanted::Calls(file.calls)
        }
    };
    Ok(Case {
        path: path.to_owned(),
        about: file.about,
        config: file.config.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        config_refused: file.config_refused,
        now_unix_nanos,
        shape,
        rows,
        wanted,
    })
}

/// What is expected of a deriver, which must be something.
fn derived(
    deltas: Option<Vec<Delta>>,
    halves: Option<Vec<Half>>,
    pairs: Option<Vec<Delta>>,
    rows: usize,
) -> anyhow::Result<Wanted> {
    let of_pairs = halves.is_some() || pairs.is_some();
    ensure!(
        deltas.is_some() || of_pairs,
        "deltas are missing, and so are halves and pairs; `deltas = []` says that there are none"
    );
    for (at, half) in halves.iter().flatten().enumerate() {
        half.check(rows).with_context(|| format!("half {}", at + 1))?;
    }
    // Where a case says nothing of halves there are none.
    let halves = if of_pairs { halves } else { Some(Vec::new()) };
    Ok(Wanted::Derived { deltas: deltas.unwrap_or_default(), halves, pairs })
}

/// Takes the verdicts out of the rows.
fn verdicts(rows: &mut [toml::Table]) -> anyhow::Result<Vec<Verdict>> {
    let verdict = |(at, row): (usize, &mut toml::Table)| {
        let value = row.remove("verdict");
        let at = at + 1;
        match value {
            Some(toml::Value::String(text)) if text == "keep" => Ok(Verdict::Keep),
            Some(value @ (toml::Value::String(_) | toml::Value::Table(_))) => {
                let (code, message) = reason("verdict", value).with_context(|| format!("row {at}"))?;
                Ok(Verdict::Refuse { code, message })
            }
            Some(other) => bail!("row {at}: a verdict is \"keep\", a code or a table, not {other}"),
            None => bail!("row {at} has no verdict: \"keep\", or the code of its refusal"),
        }
    };
    rows.iter_mut().enumerate().map(verdict).collect()
}

/// A code, or a table with a code and a message.
pub(super) fn reason(key: &str, value: toml::Value) -> anyhow::Result<(String, Option<String>)> {
    let mut table = match value {
        toml::Value::String(code) => return Ok((code, None)),
        toml::Value::Table(table) => table,
        other => bail!("{key} is a code or a table, not {other}"),
    };
    let mut text = |key: &str| match table.remove(key) {
        Some(toml::Value::String(text)) => Some(text),
        _ => None,
    };
    let (code, message) = (text("code"), text("message"));
    ensure!(table.is_empty(), "{key} has a code and a message, both text");
    Ok((code.with_context(|| format!("{key} has no code"))?, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, world: World) -> anyhow::Result<Case> {
        parse(Path::new("x.toml"), text, world)
    }

    #[test]
    fn faults_are_named() {
        let check = |text: &str, world: World, fault: &str| {
            let error = format!("{:#}", parsed(text, world).unwrap_err());
            assert!(error.contains(fault), "{error}");
        };
        check("[[spans]]\nname = \"x\"", World::Validator, "row 1 has no verdict");
        check("[[spans]]\nverdict = 3", World::Validator, "a verdict is \"keep\", a code or a table, not 3");
        check("[[spans]]\nverdict = { message = \"x\" }", World::Validator, "row 1: verdict has no code");
        check("[[spans]]\nname = \"x\"\n[[logs]]\nbody = \"x\"", World::Deriver, "rows of one kind");
        check("[[logs]]\nbody = \"x\"", World::Deriver, "deltas are missing");
        check("deltas = []\n[[logs]]\nverdict = \"keep\"", World::Validator, "deltas is not for a validator");
        check("pairs = []\n[[logs]]\nverdict = \"keep\"", World::Validator, "halves or pairs is not for");
        let half = "[[logs]]\nbody = \"x\"\n[[halves]]\nside = \"first\"\n";
        check(&format!("{half}row = 2"), World::Deriver, "half 1: row 2 is not there, the case has 1");
        check(&format!("{half}row = 1\nkey = \"12\""), World::Deriver, "\"12\" is no key of 24 bytes in hex");
        check("config = {}", World::Validator, "either rows or config_refused");
        check("[[calls]]\nfunction = \"f\"\nreturns = []", World::Deriver, "calls is not for a deriver");
        check("[[logs]]\nbody = \"x\"", World::Function, "rows is not for a function");
        check("[[calls]]\nfunction = \"f\"", World::Function, "call 1 of f: a call either returns or fails");
        check("rows = []", World::Validator, "unknown field `rows`");
    }

    /// A file as the first release wrote it, with everything that there is.
    #[test]
    fn the_first_format_is_read() {
        let text = "about = \"all\"\nconfig = { a = [1, \"b\"] }\nnow = 2026-01-01T00:00:01Z\n\
                    [[spans]]\nname = \"a\"\nverdict = \"keep\"\n\
                    [[spans]]\nname = \"b\"\nattributes = { \"x.y\" = 1 }\nverdict = \"denied\"\n\
                    [[spans]]\nname = \"c\"\nverdict = { code = \"denied\", message = \"no\" }\n";
        let case = parsed(text, World::Validator).unwrap();
        assert_eq!((case.rows.len(), case.now_unix_nanos), (3, NOW + 1_000_000_000));
        let Wanted::Verdicts(verdicts) = case.wanted else { panic!("verdicts") };
        assert_eq!(verdicts[0], Verdict::Keep);
        assert_eq!(verdicts[1], Verdict::Refuse { code: "denied".into(), message: None });
        assert!(!case.rows[1].contains_key("verdict"));

        let text = "[admit]\nsignal = \"logs\"\nwire_bytes = 10\nplan = []\n[[samples]]\nvalue = 1.5\n\
                    [[plan]]\nbucket = \"b\"\nrate_per_second = 1\nburst = 2\ncost = 3\n";
        let Wanted::Plan { admit: Some(admit), plan } = parsed(text, World::Limiter).unwrap().wanted else {
            panic!("a plan")
        };
        assert_eq!((admit.wire_bytes, plan[0].cost), (10, 3.0));

        let text = "[[series]]\nlabels = { job = \"a\" }\n\
                    [[deltas]]\nmetric = \"m\"\nlabels = { a = \"b\" }\nvalue = 1\nbuckets = [1, 2]\n";
        let Wanted::Derived { deltas, halves, .. } = parsed(text, World::Deriver).unwrap().wanted else {
            panic!("deltas")
        };
        assert_eq!((&deltas[0].buckets[..], halves.map(|halves| halves.len())), (&[1.0, 2.0][..], Some(0)));
        let text = "[[spans]]\nservice = \"a\"\n[[halves]]\nrow = 1\nside = \"second\"\nvalue = 1\n\
                    key = \"000000000000000000000000000000000000000000000001\"\nmarked = true\n\
                    counts_alone = true\nweight = 2\ntime = 2026-01-01T00:00:00Z\nlabels = { a = \"b\" }\n\
                    labels_alone = { c = \"d\" }\n[[pairs]]\nmetric = \"m\"\nvalue = 1\n";
        let Wanted::Derived { halves: Some(halves), pairs: Some(pairs), .. } =
            parsed(text, World::Deriver).unwrap().wanted
        else {
            panic!("halves")
        };
        assert_eq!((halves.len(), pairs.len()), (1, 1));
        let text = "[[logs]]\nbody = \"a\"\nbecomes = { body = \"b\", attributes = { k = 1 } }\n\
                    [[logs]]\nbody = \"a\"\nbecomes = \"same\"\n[[logs]]\nbody = \"a\"\ndrop = \"debug\"\n\
                    [[logs]]\nbody = \"a\"\nrefused = { code = \"label_invalid\", message = \"no\" }\n";
        let Wanted::Rows(rows) = parsed(text, World::Transformer).unwrap().wanted else { panic!("rows") };
        assert_eq!(rows[2], Left::Gone { reason: "dropped:debug".into(), message: None });

        let text = "[[calls]]\nfunction = \"f\"\narguments = [[1, 2.5, []], [\"a\", \"b\", \"c\"]]\nreturns = [true, [], 1]\n\
                    [[calls]]\nfunction = \"g\"\narguments = [[1, 2]]\ngroups = [1, 0]\nreturns = [1, 2]\nwithin = 0.5\n\
                    [[calls]]\nfunction = \"g\"\narguments = [[0]]\nfails = \"positive\"\n";
        let Wanted::Calls(calls) = parsed(text, World::Function).unwrap().wanted else { panic!("calls") };
        assert_eq!((calls.len(), calls[1].function.as_str()), (3, "g"));
        let refused = parsed("config = { x = 1 }\nconfig_refused = \"x\"\n", World::Deriver).unwrap();
        assert!(matches!(refused.wanted, Wanted::Nothing));
    }
}
