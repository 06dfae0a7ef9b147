//! JavaScript: `componentize-qjs` puts the sources and QuickJS into a component.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::info::Info;
use super::tools::COMPONENTIZE_QJS;
use super::{execute, say};
use crate::plugin::manifest::Project;

pub(super) fn build(project: &Project, fetch: bool) -> anyhow::Result<Vec<u8>> {
    let tool = COMPONENTIZE_QJS.find(fetch)?;
    let entry = &project.manifest.sources[0];
    let source = entry.parent().unwrap_or(Path::new(""));
    // Beside the sources, because modules are found by paths from one another.
    let info = project.folder.join(source).join("plugin_info.js");
    std::fs::write(&info, Info::of(project)?.module())
        .with_context(|| format!("cannot write {}", info.display()))?;
    let made = project.target().join("component.wasm");
    say("componentize-qjs: the sources and QuickJS")?;
    let mut command = Command::new(tool);
    command.current_dir(&project.folder).args(["--wit", "wit", "--world", project.manifest.world.as_str()]);
    // Without WASI and without asynchronous functions, neither of which a server has. The runtime
    // that is smaller by a third takes twice the time for a row.
    command.args(["--stub-wasi", "--sync", "--module-root"]).arg(source);
    execute(command.arg("--js").arg(entry).arg("--output").arg(&made))?;
    std::fs::read(&made).with_context(|| format!("cannot read {}", made.display()))
}
