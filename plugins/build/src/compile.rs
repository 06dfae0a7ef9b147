//! From a guest crate to a component.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

use crate::guests::Guest;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";

/// Builds a guest and wraps it.
pub(crate) fn component(workspace: &Path, guest: Guest) -> Result<Vec<u8>> {
    wrap(&core_module(workspace, guest)?).with_context(|| format!("make a component of {}", guest.package))
}

/// Wraps a core module that was built elsewhere.
pub(crate) fn wrap_file(module: &Path, component: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("read {}", module.display()))?;
    let wrapped = wrap(&bytes).with_context(|| format!("make a component of {}", module.display()))?;
    fs::write(component, wrapped).with_context(|| format!("write {}", component.display()))
}

fn wrap(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// The compiler that builds them, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
pub(crate) fn compiler() -> Result<String> {
    let output = Command::new(rustc()).arg("--version").output().context("run rustc")?;
    ensure!(output.status.success(), "rustc --version failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn core_module(workspace: &Path, guest: Guest) -> Result<Vec<u8>> {
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace)
        .args(["rustc", "--locked", "--quiet", "--lib", "--crate-type", "cdylib"])
        .args(["--package", guest.package, "--target", TARGET, "--profile", PROFILE])
        .args(extra_arguments())
        // One variable only, so that a caller's own flags do not change the bytes.
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(workspace)?)
        .status()
        .context("run cargo")?;
    ensure!(
        status.success(),
        "cargo could not build {}; see toolchain.sh if the target {TARGET} is missing",
        guest.package
    );
    let path = target_dir(workspace)
        .join(TARGET)
        .join(PROFILE)
        .join(format!("{}.wasm", guest.package.replace('-', "_")));
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}

/// Set by `toolchain.sh` where the standard library has to be built too.
fn extra_arguments() -> Vec<String> {
    let arguments = env::var("ISINGLASS_GUEST_CARGO_ARGS").unwrap_or_default();
    arguments.split_whitespace().map(str::to_owned).collect()
}

/// No path of this machine may end up in a panic message.
fn rustflags(workspace: &Path) -> Result<String> {
    let root = fs::canonicalize(workspace.join(".."))?;
    let flags = [
        format!("--remap-path-prefix={}=/src", root.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()),
    ];
    Ok(flags.join("\u{1f}"))
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    Ok(PathBuf::from(env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?).join(".cargo"))
}

fn target_dir(workspace: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

fn rustc() -> std::ffi::OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}
