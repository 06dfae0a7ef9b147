//! The SDK's bindings, generated from `wit/` and checked in: so that building
//! a plugin needs neither a macro nor a parser for WIT.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};
use wit_parser::Resolve;

/// The package, and the worlds that the SDK knows.
const PACKAGE: &str = "plugin-0.1";
const VERSION: &str = "0.1.1";
const WORLDS: [&str; 5] = ["validator", "limiter", "deriver", "transformer", "function"];

/// Interfaces that are the same in each world. They are generated for the
/// first one; the others refer to it.
const SHARED: [&str; 4] = ["columns", "log", "clock", "telemetry"];

/// Writes `sdk/src/bindings/<world>.rs`.
pub(crate) fn write(workspace: &Path) -> Result<()> {
    for world in WORLDS {
        let path = workspace.join(format!("sdk/src/bindings/{world}.rs"));
        fs::write(&path, generate(workspace, world)?).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Whether the checked-in bindings are those of today's `wit/`.
pub(crate) fn are_current(workspace: &Path) -> Result<bool> {
    for world in WORLDS {
        let path = workspace.join(format!("sdk/src/bindings/{world}.rs"));
        let checked_in = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if checked_in != generate(workspace, world)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn generate(workspace: &Path, world: &str) -> Result<String> {
    let wit = workspace.join("../wit").join(PACKAGE);
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(&wit)?;
    let id = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    options(world).build().generate(&mut resolve, id, &mut files)?;
    let (_, source) = files.iter().next().context("the generator wrote nothing")?;
    // Macros have crate-wide names, and every world exports `lifecycle`.
    let unique = format!("__export_{world}_lifecycle");
    Ok(String::from_utf8(source.to_vec())?.replace("__export_isinglass_plugin_lifecycle", &unique))
}

fn options(world: &str) -> Opts {
    Opts {
        format: true,
        pub_export_macro: true,
        export_macro_name: Some(format!("export_{world}_world")),
        default_bindings_module: Some(format!("$crate::bindings::{world}")),
        // A list is handed over as it is, whatever the plugin asks for.
        generate_all: true,
        runtime_path: Some("::wit_bindgen::rt".to_owned()),
        with: if world == WORLDS[0] { Vec::new() } else { shared() },
        ..Opts::default()
    }
}

fn shared() -> Vec<(String, WithOption)> {
    let remap = |interface: &&str| {
        let name = format!("isinglass:plugin/{interface}@{VERSION}");
        let path = format!("crate::bindings::{}::isinglass::plugin::{interface}", WORLDS[0]);
        (name, WithOption::Path(path))
    };
    SHARED.iter().map(remap).collect()
}
