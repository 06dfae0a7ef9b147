//! The components that are checked in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::guests::{GUESTS, Guest};
use crate::{bindings, compile};

/// First line of the file of sums.
const COMPILER: &str = "# built by ";

/// Builds all guests, or one, and writes them with the file of sums.
pub(crate) fn write(workspace: &Path, only: Option<&str>) -> Result<()> {
    let wanted: Vec<Guest> =
        GUESTS.into_iter().filter(|guest| only.is_none_or(|name| guest.package == name)).collect();
    if wanted.is_empty() {
        let names: Vec<_> = GUESTS.iter().map(|guest| guest.package).collect();
        bail!("no such plugin; there are {}", names.join(", "));
    }
    for guest in wanted {
        let component = compile::component(workspace, guest)?;
        let path = path(workspace, guest);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &component).with_context(|| format!("write {}", path.display()))?;
        println!("{:>8} B  {}", component.len(), guest.component);
    }
    fs::write(sums_path(workspace), sums(workspace)?)?;
    Ok(())
}

/// Builds all guests again and compares. With another compiler than the one
/// that built what is checked in, the bytes cannot be compared: then building
/// and wrapping must work, and the engine's tests compare the behaviour.
pub(crate) fn check(workspace: &Path) -> Result<bool> {
    if !bindings::are_current(workspace)? {
        eprintln!("the bindings are not what wit/ gives: run build-plugins --bindings");
        return Ok(false);
    }
    let checked_in = fs::read_to_string(sums_path(workspace)).context("read dist/SHA256SUMS")?;
    if checked_in != sums_of(workspace, checked_in_compiler(&checked_in))? {
        eprintln!("dist/SHA256SUMS is not of the files in dist: run build-plugins");
        return Ok(false);
    }
    let mut differ = Vec::new();
    for guest in GUESTS {
        let built = compile::component(workspace, guest)?;
        if built != fs::read(path(workspace, guest))? {
            differ.push(guest.component);
        }
    }
    Ok(verdict(&differ, checked_in_compiler(&checked_in), &compile::compiler()?))
}

fn verdict(differ: &[&str], theirs: &str, ours: &str) -> bool {
    if differ.is_empty() {
        println!("{} components are the same as rebuilt by {ours}", GUESTS.len());
        return true;
    }
    if theirs == ours {
        eprintln!("not what the sources give: {}; run build-plugins", differ.join(", "));
        return false;
    }
    println!(
        "checked in were built by {theirs}, this is {ours}: bytes differ ({}) and cannot be compared; \
         they build, and the engine's tests compare what they do",
        differ.join(", ")
    );
    true
}

fn checked_in_compiler(sums: &str) -> &str {
    sums.lines().next().and_then(|line| line.strip_prefix(COMPILER)).unwrap_or("an unknown compiler")
}

fn sums(workspace: &Path) -> Result<String> {
    sums_of(workspace, &compile::compiler()?)
}

/// In the format of `sha256sum`, so that `sha256sum --check` reads it too.
fn sums_of(workspace: &Path, compiler: &str) -> Result<String> {
    let mut text = format!("{COMPILER}{compiler}\n");
    for guest in GUESTS {
        let path = path(workspace, guest);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("{digest}  {}\n", guest.component));
    }
    Ok(text)
}

fn path(workspace: &Path, guest: Guest) -> PathBuf {
    workspace.join("dist").join(guest.component)
}

fn sums_path(workspace: &Path) -> PathBuf {
    workspace.join("dist/SHA256SUMS")
}
