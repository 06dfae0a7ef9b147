//! Rust: cargo for `wasm32-unknown-unknown`, which has no imports of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::{execute, say, wrap};
use crate::plugin::manifest::Project;

const TARGET: &str = "wasm32-unknown-unknown";

/// What builds it.
enum Toolchain {
    /// A toolchain with the target's standard library.
    Ready,
    /// Debian's `rustc-web`: the standard library is built from its source.
    FromSource { rustc: PathBuf, cargo: PathBuf, linker: PathBuf },
}

pub(super) fn build(project: &Project, fetch: bool) -> anyhow::Result<Vec<u8>> {
    let toolchain = find(fetch)?;
    say(&format!("cargo build --release --target {TARGET}"))?;
    let target = project.target();
    let mut command = toolchain.cargo();
    command.current_dir(&project.folder).args(["build", "--release", "--target", TARGET, "--target-dir"]);
    execute(command.arg(&target))?;
    let module = project.manifest.name.replace('-', "_") + ".wasm";
    let module = target.join(TARGET).join("release").join(module);
    let bytes = std::fs::read(&module).with_context(|| {
        format!(
            "cargo made no {}: the package in Cargo.toml must be named as plugin.toml says",
            module.display()
        )
    })?;
    wrap::component(&bytes)
}

impl Toolchain {
    fn cargo(&self) -> Command {
        match self {
            Self::Ready => Command::new("cargo"),
            Self::FromSource { rustc, cargo, linker } => {
                let mut command = Command::new(cargo);
                command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                command.args([
                    "-Zbuild-std=std,panic_abort",
                    "-Zbuild-std-features=optimize_for_size",
                    "--config",
                ]);
                command.arg(format!("target.{TARGET}.linker='{}'", linker.display()));
                command
            }
        }
    }
}

/// In the order of `plugins/toolchain.sh`: the library is there; rustup can fetch it; Debian's
/// packages have its source.
fn find(fetch: bool) -> anyhow::Result<Toolchain> {
    let sysroot = sysroot(Path::new("rustc"));
    let has_target = |root: &Path| root.join("lib/rustlib").join(TARGET).join("lib").is_dir();
    if sysroot.as_deref().is_some_and(has_target) {
        return Ok(Toolchain::Ready);
    }
    let rustup = Command::new("rustup").arg("--version").output().is_ok_and(|found| found.status.success());
    if rustup && fetch {
        say(&format!("rustup target add {TARGET}"))?;
        execute(Command::new("rustup").args(["target", "add", TARGET]))?;
        return Ok(Toolchain::Ready);
    }
    if let Some(toolchain) = from_source(sysroot.as_deref()) {
        return Ok(toolchain);
    }
    match (rustup, sysroot) {
        (true, _) => {
            bail!("the target {TARGET} is missing: run `rustup target add {TARGET}`, or build with --fetch")
        }
        (false, Some(_)) => bail!(
            "the target {TARGET} is missing: install it with your Rust; on Debian \
             `apt-get install rustc-web cargo-web rust-web-src lld`"
        ),
        (false, None) => bail!("no rustc is in PATH: install Rust from https://rustup.rs"),
    }
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

fn from_source(sysroot_of_path: Option<&Path>) -> Option<Toolchain> {
    let (rustc, cargo) = (PathBuf::from("/usr/bin/rustc"), PathBuf::from("/usr/bin/cargo"));
    let root = sysroot(&rustc)?;
    let linker = linker(sysroot_of_path.unwrap_or(&root))?;
    let there = root.join("lib/rustlib/src/rust/library").is_dir() && cargo.is_file();
    there.then_some(Toolchain::FromSource { rustc, cargo, linker })
}

/// The toolchain's own, or the distribution's.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    let of_toolchain = hosts.map(|host| host.path().join("bin/rust-lld"));
    let of_system = ["/usr/bin/rust-lld", "/usr/bin/wasm-ld"].map(PathBuf::from);
    of_toolchain.chain(of_system).find(|path| path.is_file())
}
