//! What a new plugin begins with: the files of `plugins/templates`, the interface and the SDK, all
//! within this binary, so that an author needs nothing else but a compiler.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::manifest::{Lang, PAIRING_DERIVER};

/// A file of a new folder.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The interface that plugins are built against.
pub(super) const WIT: &str = include_str!("../../../../wit/plugin-0.1/plugin.wit");

/// A file of `plugins/templates`, by its path there.
struct Template(&'static str, &'static str);

macro_rules! templates {
    ($($path:literal,)*) => {
        &[$(Template($path, include_str!(concat!("../../../../plugins/templates/", $path))),)*]
    };
}

/// One folder per language and one file per world in it; `common/WORLD` is the same for all languages.
const TEMPLATES: &[Template] = templates! {
    "c/bindings/deriver.c",
    "c/bindings/deriver.h",
    "c/bindings/function.c",
    "c/bindings/function.h",
    "c/bindings/limiter.c",
    "c/bindings/limiter.h",
    "c/bindings/pairing_deriver.c",
    "c/bindings/pairing_deriver.h",
    "c/bindings/transformer.c",
    "c/bindings/transformer.h",
    "c/bindings/validator.c",
    "c/bindings/validator.h",
    "c/deriver.c",
    "c/function.c",
    "c/isinglass.c",
    "c/isinglass.h",
    "c/limiter.c",
    "c/pairing-deriver.c",
    "c/transformer.c",
    "c/validator.c",
    "common/README.md",
    "common/deriver/config.schema.json",
    "common/deriver/logs.toml",
    "common/deriver/no-severity.toml",
    "common/function/calls.toml",
    "common/function/config.schema.json",
    "common/function/groups.toml",
    "common/function/no-step.toml",
    "common/gitignore",
    "common/limiter/config.schema.json",
    "common/limiter/logs.toml",
    "common/limiter/no-rate.toml",
    "common/limiter/spans.toml",
    "common/pairing-deriver/alone.toml",
    "common/pairing-deriver/config.schema.json",
    "common/pairing-deriver/spans.toml",
    "common/pairing-deriver/unknown-key.toml",
    "common/plugin.toml",
    "common/transformer/config.schema.json",
    "common/transformer/logs.toml",
    "common/transformer/nothing-asked.toml",
    "common/transformer/spans.toml",
    "common/transformer/unknown-key.toml",
    "common/validator/config.schema.json",
    "common/validator/logs.toml",
    "common/validator/nothing-denied.toml",
    "common/validator/spans.toml",
    "common/validator/unknown-key.toml",
    "javascript/budget.toml",
    "javascript/deriver.js",
    "javascript/function.js",
    "javascript/isinglass.js",
    "javascript/limiter.js",
    "javascript/pairing-deriver.js",
    "javascript/transformer.js",
    "javascript/validator.js",
    "python/budget.toml",
    "python/deriver.py",
    "python/function.py",
    "python/isinglass.py",
    "python/limiter.py",
    "python/pairing-deriver.py",
    "python/transformer.py",
    "python/validator.py",
    "rust/Cargo.toml.in",
    "rust/deriver.rs",
    "rust/function.rs",
    "rust/limiter.rs",
    "rust/pairing-deriver.rs",
    "rust/sdk.toml.in",
    "rust/transformer.rs",
    "rust/validator.rs",
};

macro_rules! sdk {
    ($($path:literal,)*) => {
        &[$(Template($path, include_str!(concat!("../../../../plugins/sdk/src/", $path))),)*]
    };
}

/// The sources of the Rust SDK.
const SDK: &[Template] = sdk! {
    "bindings/deriver.rs",
    "bindings/function.rs",
    "bindings/limiter.rs",
    "bindings/mod.rs",
    "bindings/pairing_deriver.rs",
    "bindings/transformer.rs",
    "bindings/validator.rs",
    "blocks.rs",
    "columns.rs",
    "config.rs",
    "deltas.rs",
    "edits.rs",
    "export.rs",
    "export/components.rs",
    "export/convert.rs",
    "export/pairs.rs",
    "functions.rs",
    "group.rs",
    "host.rs",
    "json.rs",
    "lib.rs",
    "pairs.rs",
    "plan.rs",
    "plugin.rs",
    "projection.rs",
    "testing.rs",
    "verdicts.rs",
    "views.rs",
};

/// The worlds that there are templates for.
pub(super) fn worlds() -> PossibleValuesParser {
    PossibleValuesParser::new(world_names())
}

fn world_names() -> Vec<&'static str> {
    let of_rust = |template: &Template| template.0.strip_prefix("rust/")?.strip_suffix(".rs");
    TEMPLATES.iter().filter_map(of_rust).collect()
}

/// All files of a new plugin.
pub(super) fn of(name: &str, world: &str, lang: Lang) -> Vec<File> {
    let sources = sources(lang, world);
    let quoted: Vec<_> = sources.iter().map(|path| format!("\"{path}\"")).collect();
    let filled = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{world}}", world)
            .replace("{{bound}}", if world == PAIRING_DERIVER { "deriver" } else { world })
            .replace("{{lang}}", lang.as_str())
            .replace("{{source}}", &sources[0])
            .replace("{{sources}}", &quoted.join(", "))
    };
    let mut files = vec![File { path: "wit/plugin.wit".into(), text: WIT.to_owned() }];
    for Template(path, text) in TEMPLATES {
        if let Some(path) = place(path, world, lang) {
            files.push(File { path: path.into(), text: filled(text) });
        }
    }
    if lang == Lang::Rust {
        files.extend(SDK.iter().map(|Template(path, text)| File {
            path: format!("vendor/isinglass-plugin/src/{path}").into(),
            text: (*text).to_owned(),
        }));
    }
    if let Some(manifest) = files.iter_mut().find(|file| file.path.as_os_str() == super::manifest::FILE) {
        manifest.text.push_str(template(&format!("{}/budget.toml", lang.as_str())));
    }
    files
}

fn template(path: &str) -> &'static str {
    TEMPLATES.iter().find(|template| template.0 == path).map_or("", |template| template.1)
}

/// What `sources` of `plugin.toml` says; the first one is the author's.
fn sources(lang: Lang, world: &str) -> Vec<String> {
    let of = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    match lang {
        Lang::Rust => of(&["src/lib.rs"]),
        Lang::C => {
            of(&["src/plugin.c", "src/isinglass.c", &format!("bindings/{}.c", world.replace('-', "_"))])
        }
        Lang::Javascript => of(&["src/plugin.js"]),
        Lang::Python => of(&["src/plugin.py"]),
    }
}

/// Where a template goes in a new folder, if it goes there at all.
fn place(path: &str, world: &str, lang: Lang) -> Option<String> {
    if let Some(common) = path.strip_prefix("common/") {
        return match common.split_once('/') {
            Some((of, "config.schema.json")) if of == world => Some("config.schema.json".to_owned()),
            Some((of, case)) => (of == world).then(|| format!("cases/{case}")),
            None if common == "gitignore" => Some(".gitignore".to_owned()),
            None => Some(common.to_owned()),
        };
    }
    let own = path.strip_prefix(lang.as_str())?.strip_prefix('/')?;
    match own {
        "Cargo.toml.in" => return Some("Cargo.toml".to_owned()),
        "sdk.toml.in" => return Some("vendor/isinglass-plugin/Cargo.toml".to_owned()),
        "budget.toml" => return None,
        _ => {}
    }
    let (folder, file) = own.rsplit_once('/').unwrap_or(("src", own));
    let (stem, suffix) = file.rsplit_once('.')?;
    if stem == world && folder == "src" {
        return Some(format!("src/{}.{suffix}", if lang == Lang::Rust { "lib" } else { "plugin" }));
    }
    // Bindings are named as C names things.
    let of = stem.replace('_', "-");
    let of_another = world_names().contains(&of.as_str()) && of != world;
    (!of_another).then(|| format!("{folder}/{file}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files_below(folder: &Path, prefix: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                found.extend(files_below(&entry.path(), &format!("{name}/")));
            } else {
                found.insert(name);
            }
        }
        found
    }

    #[test]
    fn no_file_is_forgotten() {
        let check = |folder: &str, known: &[Template]| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(folder);
            let known: BTreeSet<_> = known.iter().map(|template| template.0.to_owned()).collect();
            assert_eq!(files_below(&folder, ""), known, "{}", folder.display());
        };
        check("templates", TEMPLATES);
        check("sdk/src", SDK);
    }

    #[test]
    fn every_language_has_every_world() {
        assert!(world_names().len() >= 6);
        for world in world_names() {
            for lang in Lang::ALL {
                let files = of("my-plugin", world, lang);
                let paths: BTreeSet<_> = files.iter().map(|file| file.path.to_str().unwrap()).collect();
                assert_eq!(paths.len(), files.len(), "{world} {lang:?}: a file twice");
                for wanted in
                    ["plugin.toml", "config.schema.json", "README.md", ".gitignore", "wit/plugin.wit"]
                {
                    assert!(paths.contains(wanted), "{world} {lang:?}: {wanted}");
                }
                for source in sources(lang, world) {
                    assert!(paths.contains(source.as_str()), "{world} {lang:?}: {source} of {paths:?}");
                }
                assert!(paths.iter().any(|path| path.starts_with("cases/")), "{world} {lang:?}");
                let open = files.iter().find(|file| file.text.contains("{{"));
                let open = open.filter(|file| !file.path.starts_with("vendor"));
                assert!(open.is_none_or(|file| !file.text.contains("{{name")), "{open:?}");
            }
        }
    }

    /// The manifest of the vendored SDK stands for that of the workspace.
    #[test]
    fn the_sdk_is_built_with_what_the_workspace_says() {
        let of_workspace = include_str!("../../../../plugins/Cargo.toml");
        let line = of_workspace.lines().find(|line| line.starts_with("wit-bindgen =")).unwrap();
        assert!(template("rust/sdk.toml.in").contains(line), "{line}");
    }
}
