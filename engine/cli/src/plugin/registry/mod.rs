//! Components from OCI registries, as the images that they are published as.
//!
//! | file | is |
//! |---|---|
//! | `reference.rs` | `oci://REGISTRY/REPOSITORY:TAG` |
//! | `manifest.rs` | what the registry says that the name stands for |
//! | `login.rs` | who asks |
//! | `client.rs` | three requests: the manifest, a token where one is wanted, the component |
//!
//! Sources: the OCI distribution specification 1.1, and the CNCF's WebAssembly OCI artifact
//! layout. A server asks no registry: `plugin install` fetches the component and hands it over,
//! so a server starts without the network, and with the bytes that it had.

mod client;
mod login;
mod manifest;
mod reference;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

pub(super) use client::pull;
pub(super) use reference::{Reference, SCHEME};

/// What to fetch, and where to put it.
#[derive(Debug, Clone, Args)]
pub struct PullArgs {
    /// oci://REGISTRY/REPOSITORY:TAG, or …@sha256:DIGEST
    #[arg(value_name = "REFERENCE")]
    pub reference: Reference,
    /// The file to write; by default the last part of the repository's name, with .wasm
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Fetches a component and its signature into files.
pub(super) async fn run(args: &PullArgs) -> anyhow::Result<ExitCode> {
    let pulled = pull(&args.reference).await?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.wasm", args.reference.name())));
    std::fs::write(&out, &pulled.component).with_context(|| format!("cannot write {}", out.display()))?;
    let mut said = format!("{}: {} bytes, {}\n", out.display(), pulled.component.len(), pulled.digest);
    if let Some(signature) = &pulled.signature {
        let mut name = out.into_os_string();
        name.push(".minisig");
        let beside = PathBuf::from(name);
        std::fs::write(&beside, signature).with_context(|| format!("cannot write {}", beside.display()))?;
        said += &format!("{}: its signature\n", beside.display());
    }
    std::io::stdout().lock().write_all(said.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
