//! The bindings of the SDK and of plugins in C, generated from `wit/` and checked
//! in: so that building a plugin needs neither a macro nor a parser for WIT.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};
use wit_parser::Resolve;

/// The package, and the worlds that the SDK knows.
const PACKAGE: &str = "plugin-0.1";
const VERSION: &str = "0.1.2";
const WORLDS: [&str; 6] = ["validator", "limiter", "deriver", "pairing-deriver", "transformer", "function"];

/// Interfaces that are the same in each world. They are generated for the
/// first one; the others refer to it.
const SHARED: [&str; 4] = ["columns", "log", "clock", "telemetry"];

/// Writes the bindings of the SDK and those that plugins in C begin with.
pub(crate) fn write(workspace: &Path) -> Result<()> {
    for (path, text) in all(workspace)? {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Whether the checked-in bindings are those of today's `wit/`.
pub(crate) fn are_current(workspace: &Path) -> Result<bool> {
    for (path, text) in all(workspace)? {
        let checked_in = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        if checked_in != text {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every generated file.
fn all(workspace: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for world in WORLDS {
        let path = workspace.join(format!("sdk/src/bindings/{}.rs", snake(world)));
        files.push((path, of_rust(workspace, world)?.into_bytes()));
        for (name, text) in of_c(workspace, world)? {
            files.push((workspace.join("templates/c/bindings").join(name), text));
        }
    }
    Ok(files)
}

fn of_rust(workspace: &Path, world: &str) -> Result<String> {
    let files = generate(workspace, world, &mut options(world).build())?;
    let (_, source) = files.into_iter().next().context("the generator wrote nothing")?;
    // Macros have crate-wide names, and every world exports `lifecycle`.
    let unique = format!("__export_{}_lifecycle", snake(world));
    Ok(String::from_utf8(source)?.replace("__export_isinglass_plugin_lifecycle", &unique))
}

/// `<world>.c` and `<world>.h`; what the component is, `isinglass plugin build` adds.
fn of_c(workspace: &Path, world: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let options = wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() };
    let mut files = generate(workspace, world, &mut *options.build())?;
    for (_, text) in &mut files {
        // The generator refers to the object file that it was told not to write, at the end.
        let source = String::from_utf8(std::mem::take(text))?;
        let (kept, _) = source.split_once("// Ensure that the *_component_type.o").unwrap_or((&source, ""));
        *text = format!("{}\n", kept.trim_end()).into_bytes();
    }
    Ok(files)
}

fn generate(
    workspace: &Path,
    world: &str,
    generator: &mut dyn WorldGenerator,
) -> Result<Vec<(String, Vec<u8>)>> {
    let wit = workspace.join("../wit").join(PACKAGE);
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&wit)?;
    let id = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, id, &mut files)?;
    Ok(files.iter().map(|(name, text)| (name.to_owned(), text.to_vec())).collect())
}

fn options(world: &str) -> Opts {
    Opts {
        format: true,
        pub_export_macro: true,
        export_macro_name: Some(format!("export_{}_world", snake(world))),
        default_bindings_module: Some(format!("$crate::bindings::{}", snake(world))),
        // A list is handed over as it is, whatever the plugin asks for.
        generate_all: true,
        runtime_path: Some("::wit_bindgen::rt".to_owned()),
        with: if world == WORLDS[0] { Vec::new() } else { shared() },
        ..Opts::default()
    }
}

/// As a name of Rust.
fn snake(world: &str) -> String {
    world.replace('-', "_")
}

fn shared() -> Vec<(String, WithOption)> {
    let remap = |interface: &&str| {
        let name = format!("isinglass:plugin/{interface}@{VERSION}");
        let path = format!("crate::bindings::{}::isinglass::plugin::{interface}", WORLDS[0]);
        (name, WithOption::Path(path))
    };
    SHARED.iter().map(remap).collect()
}
