//! Python: `componentize-py` puts the sources and CPython into a component.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::info::Info;
use super::tools::COMPONENTIZE_PY;
use super::{execute, say};
use crate::plugin::manifest::Project;

pub(super) fn build(project: &Project, fetch: bool) -> anyhow::Result<Vec<u8>> {
    let tool = COMPONENTIZE_PY.find(fetch)?;
    let made_sources = project.target().join("python");
    std::fs::create_dir_all(&made_sources)?;
    std::fs::write(made_sources.join("plugin_info.py"), Info::of(project)?.python())?;
    let entry = &project.manifest.sources[0];
    let module = entry.file_stem().with_context(|| format!("{} has no name", entry.display()))?;
    let made = project.target().join("component.wasm");
    say("componentize-py: the sources and CPython, some 20 s")?;
    let mut command = Command::new(tool);
    command
        .current_dir(&project.folder)
        .args(["--wit-path", "wit", "--world", project.manifest.world.as_str(), "componentize"])
        // Without WASI, which a server does not have.
        .args(["--stub-wasi", "--python-path"])
        .arg(entry.parent().unwrap_or(Path::new(".")))
        .arg("--python-path")
        .arg(&made_sources)
        .arg("--output")
        .arg(&made);
    execute(command.arg(module))?;
    std::fs::read(&made).with_context(|| format!("cannot read {}", made.display()))
}
