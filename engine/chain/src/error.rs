//! Why a chain cannot be loaded.

use std::path::PathBuf;

use isinglass_model::ErrorKind;

/// A fault in the configuration of a chain or in one of its plugins, found when
/// the chain is loaded. A chain that is loaded never fails as a whole again:
/// what a plugin does wrong later is handled by its binding's failure policy.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The sandbox itself could not be set up.
    #[error("cannot set up the plugin sandbox: {0}")]
    Sandbox(String),
    /// A setting of the chain, not of one binding.
    #[error("plugin chain: {0}")]
    Config(String),
    /// A binding that contradicts itself.
    #[error("plugin binding {binding:?}: {fault}")]
    Binding {
        /// Its name.
        binding: String,
        /// What is wrong, and what would be right.
        fault: String,
    },
    /// A component that cannot be read.
    #[error("plugin binding {binding:?}: cannot read {path}: {source}")]
    Read {
        /// The binding.
        binding: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A component that is too large to be compiled.
    #[error("plugin binding {binding:?}: component has {got} bytes, the limit is {limit}")]
    TooLarge {
        /// The binding.
        binding: String,
        /// Bytes of the component.
        got: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A component that takes more to compile than its budget allows.
    #[error("plugin binding {binding:?}: compiling its component takes more than {key} = {limit}")]
    CompileLimit {
        /// The binding.
        binding: String,
        /// The key of the budget.
        key: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The compiler is not there.
    #[error("plugin binding {binding:?}: the compiler cannot be run: {fault}")]
    Compiler {
        /// The binding.
        binding: String,
        /// Why.
        fault: String,
    },
    /// Bytes that are no component, or one of an unknown interface.
    #[error("plugin binding {binding:?}: not a usable component: {fault}")]
    Component {
        /// The binding.
        binding: String,
        /// What the compiler or linker said.
        fault: String,
    },
    /// Bytes that are not those that were meant.
    #[error("plugin binding {binding:?}: the component has the digest sha256:{got}, not {wanted}")]
    Digest {
        /// The binding.
        binding: String,
        /// The digest of what is there, in hex.
        got: String,
        /// What the binding asks for.
        wanted: String,
    },
    /// A component that nobody has signed whom the configuration trusts.
    #[error("plugin binding {binding:?}: signature: {fault}")]
    Signature {
        /// The binding.
        binding: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The folder of installed plugins cannot be read or written.
    #[error("installed plugins: {path}: {source}")]
    Installed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing with this name is installed.
    #[error("no plugin is installed as {name:?}")]
    NotInstalled {
        /// The name.
        name: String,
    },
    /// Nothing with this name was installed to be tried out.
    #[error("no plugin is installed as {name:?} to be tried out (--shadow)")]
    NotTriedOut {
        /// The name.
        name: String,
    },
    /// There is nothing to go back to.
    #[error("there is no earlier version of {name:?}")]
    NoPrevious {
        /// The name.
        name: String,
    },
    /// An import outside of the interface.
    #[error(
        "plugin binding {binding:?}: component imports {import:?}; \
         plugins may import only log, clock and telemetry of isinglass:plugin"
    )]
    ForbiddenImport {
        /// The binding.
        binding: String,
        /// The first such import.
        import: String,
    },
    /// The plugin failed while it was asked what it is.
    #[error("plugin binding {binding:?}: {call} failed: {fault}")]
    Start {
        /// The binding.
        binding: String,
        /// Which call: `instantiate`, `describe`, `configure` or `metrics`.
        call: &'static str,
        /// How it failed.
        fault: String,
    },
    /// The plugin did not accept its configuration.
    #[error("plugin binding {binding:?}: configuration{for_tenant} refused: {fault}")]
    Configuration {
        /// The binding.
        binding: String,
        /// ` of tenant "x"`, or empty.
        for_tenant: String,
        /// The plugin's sentence.
        fault: String,
    },
}

impl ChainError {
    /// What it means to the one who asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sandbox(_) | Self::Installed { .. } | Self::Compiler { .. } => ErrorKind::Internal,
            Self::NotInstalled { .. } | Self::NotTriedOut { .. } | Self::NoPrevious { .. } => {
                ErrorKind::NotFound
            }
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::TooLarge { .. } | Self::CompileLimit { .. } => ErrorKind::TooLarge,
            Self::ForbiddenImport { .. } | Self::Signature { .. } => ErrorKind::Forbidden,
            _ => ErrorKind::Malformed,
        }
    }
}
