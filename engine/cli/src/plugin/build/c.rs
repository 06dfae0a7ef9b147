//! C: `zig cc`, or the clang of a WASI SDK, with the bindings that lie in the folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::info::Info;
use super::tools::ZIG;
use super::{execute, say, wrap};
use crate::plugin::manifest::Project;

pub(super) fn build(project: &Project, fetch: bool) -> anyhow::Result<Vec<u8>> {
    let target = project.target();
    std::fs::write(target.join("plugin_info.h"), Info::of(project)?.header())?;
    let module = target.join("module.wasm");
    let mut compiler = compiler(fetch)?;
    compiler
        .current_dir(&project.folder)
        // A library: no main, and its memory belongs to it alone.
        .args(["-mexec-model=reactor", "-O2", "-s", "-Wall", "-Wextra", "-Isrc", "-Ibindings", "-Itarget"])
        // The default of zig is 16 MiB of every instance.
        .arg("-Wl,-z,stack-size=131072")
        .args(&project.manifest.sources)
        .arg("-o")
        .arg(&module);
    say(&format!(
        "{} of {} files",
        Path::new(compiler.get_program()).display(),
        project.manifest.sources.len()
    ))?;
    execute(&mut compiler)?;
    let bytes = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    wrap::component_of(bytes, project.manifest.world.as_str())
        .context("plugins have no files, no clock and no standard output: what needs WASI cannot be linked")
}

/// A WASI SDK where its variable says so, zig otherwise.
fn compiler(fetch: bool) -> anyhow::Result<Command> {
    if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from) {
        let mut clang = Command::new(sdk.join("bin/clang"));
        clang.arg("--target=wasm32-wasi");
        return Ok(clang);
    }
    let mut zig = Command::new(ZIG.find(fetch)?);
    zig.args(["cc", "-target", "wasm32-wasi"]);
    Ok(zig)
}
