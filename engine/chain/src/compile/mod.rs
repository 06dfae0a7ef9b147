//! Compiling within bounds: a component comes from a stranger.

mod process;
mod thread;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

use wasmtime::component::Component;

use crate::config::Budget;
use crate::engine::Sandbox;

pub use worker::compile_as_told;

/// The argument that makes this program a compiler; the next one says what of.
pub const COMPILE_COMMAND: &str = "plugin-compile";

/// The compiler recurses over what it is given.
const STACK_BYTES: usize = 16 << 20;

/// Where machine code comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compilation {
    /// Folder in which it is kept, so that components are compiled once; `None` = at every start.
    pub code_dir: Option<PathBuf>,
    /// Who makes it.
    pub compiler: Compiler,
}

/// Who compiles components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// A thread of this process. Nothing bounds its memory, and one that takes too long is only
    /// not waited for: this is for components that one has made oneself.
    #[default]
    Thread,
    /// A process of its own, which the kernel holds to the limits of a budget: this program,
    /// called with these arguments, calls [`compile_as_told`] with the one that comes behind them.
    Process {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
}

impl Compiler {
    /// This program, called with [`COMPILE_COMMAND`].
    pub fn of_this_program() -> Self {
        // Whoever replaces the file while the program runs does not replace this.
        let program = PathBuf::from("/proc/self/exe");
        Self::Process { program, arguments: vec![COMPILE_COMMAND.into()] }
    }

    pub(crate) fn compile(
        &self,
        sandbox: &Sandbox,
        budget: &Budget,
        bytes: &[u8],
    ) -> Result<Component, Fault> {
        match self {
            Self::Thread => thread::compile(&sandbox.engine, budget, bytes),
            Self::Process { program, arguments } => {
                process::compile((program, arguments), sandbox, budget, bytes)
            }
        }
    }
}

/// Why there is no machine code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The component is none, or the compiler cannot cope with it.
    Component(String),
    /// It takes more than a budget allows.
    Limit {
        /// The key.
        key: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The compiler could not be started.
    Start(String),
}

impl Fault {
    pub(crate) fn memory(budget: &Budget) -> Self {
        Self::Limit { key: "budget.compile_memory_bytes_max", limit: budget.compile_memory_bytes_max }
    }

    pub(crate) fn time(budget: &Budget) -> Self {
        Self::Limit { key: "budget.compile_cpu_ms", limit: budget.compile_cpu_ms.into() }
    }
}

#[cfg(test)]
mod tests;
