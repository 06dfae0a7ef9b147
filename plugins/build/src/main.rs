//! Builds the plugins of this workspace as WebAssembly components.
//!
//! ```text
//! build-plugins              builds every guest into dist/ and writes dist/SHA256SUMS
//! build-plugins --check      builds and compares with what is checked in
//! build-plugins --only PKG   builds one of them
//! build-plugins --wrap M C   makes component C of a core module M
//! build-plugins --bindings   writes sdk/src/bindings and templates/c/bindings from ../wit
//! ```
//!
//! Needs the target wasm32-unknown-unknown; `../toolchain.sh` finds or installs it.

mod bindings;
mod compile;
mod dist;
mod guests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: build-plugins [--check | --bindings | --only PACKAGE | --wrap MODULE COMPONENT]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("build-plugins: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether what was asked for holds.
fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let workspace = workspace();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => dist::write(&workspace, None).map(|()| true),
        ["--only", package] => dist::write(&workspace, Some(package)).map(|()| true),
        ["--wrap", module, component] => {
            compile::wrap_file(module.as_ref(), component.as_ref()).map(|()| true)
        }
        ["--check"] => dist::check(&workspace),
        ["--bindings"] => bindings::write(&workspace).map(|()| true),
        _ => anyhow::bail!(USAGE),
    }
}

/// The folder `plugins`.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
