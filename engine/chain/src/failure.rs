//! How a call into a plugin can fail.

use wasmtime::Trap;

/// The kinds of failure, counted per binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FailureKind {
    /// The guest trapped: a panic, a bad index, a division by zero.
    Trap,
    /// The guest used more than its stack.
    Stack,
    /// The guest asked for more memory than its budget and then gave up.
    Memory,
    /// The guest used more thread CPU time than its budget.
    Time,
    /// The result was too large, or not even readable (text that is not UTF-8).
    Output,
    /// The result breaks the contract: wrong lengths, indexes out of range.
    Contract,
    /// No instance became free in time.
    Busy,
    /// A new instance could not be made.
    Start,
    /// It was not called: it had failed too often just before.
    Open,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Trap,
        Self::Stack,
        Self::Memory,
        Self::Time,
        Self::Output,
        Self::Contract,
        Self::Busy,
        Self::Start,
        Self::Open,
    ];

    /// Lower-case name, the label value of `kind` in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Stack => "stack",
            Self::Memory => "memory",
            Self::Time => "time",
            Self::Output => "output",
            Self::Contract => "contract",
            Self::Busy => "busy",
            Self::Start => "start",
            Self::Open => "open",
        }
    }
}

/// A failed call. The instance that failed is gone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", kind.as_str())]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    /// Whether it got less memory than its budget, because its caller has no more. It is no
    /// fault of the plugin.
    pub(crate) denied: bool,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), denied: false }
    }

    /// Its caller has no memory for it.
    pub(crate) fn denied(message: String) -> Self {
        Self { denied: true, ..Self::new(FailureKind::Memory, message) }
    }

    /// A result that breaks the contract.
    pub(crate) fn contract(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Contract, message)
    }

    /// What wasmtime reported; `memory_refused` = the guest was denied memory before.
    pub(crate) fn of_call(error: &wasmtime::Error, memory_refused: bool) -> Self {
        let kind = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => FailureKind::Time,
            Some(Trap::StackOverflow) => FailureKind::Stack,
            _ if memory_refused => FailureKind::Memory,
            Some(_) => FailureKind::Trap,
            None => FailureKind::Output,
        };
        Self::new(kind, shorten(&error.root_cause().to_string()))
    }
}

/// Keeps messages of the sandbox, which may quote the guest, at a readable length.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}
