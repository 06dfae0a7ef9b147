//! The traits that a plugin implements.

use crate::columns::{Batch, Request};
use crate::config::Config;
use crate::deltas::{Deltas, Metric};
use crate::edits::Edits;
use crate::functions::{Arguments, Fault, Function, Grouping, States, Values};
use crate::pairs::{Declaration, Derived};
use crate::plan::{Plan, Signal};
use crate::verdicts::Verdicts;

/// What every plugin is, whatever it does.
///
/// A plugin is made once per instance from its configuration and does not
/// change after that: any number of instances give the same answers.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Lower-case words with dashes.
    const NAME: &'static str;
    /// Semantic version, such as `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// JSON Schema of the configuration.
    const CONFIG_SCHEMA: &'static str;
    /// The columns it reads, per shape: `REQUESTS` of each [`columns!`](crate::columns!) struct.
    const REQUESTS: &'static [&'static [Request]];

    /// Reads the configuration. The error is one sentence for the operator.
    fn configure(config: Config) -> Result<Self, String>;

    /// Columns whose names come from the configuration. Their slots must not
    /// be those of [`Plugin::REQUESTS`]; numbers from 1,024 on are free.
    fn further_requests(&self) -> Vec<Request> {
        Vec::new()
    }
}

/// Changes or drops rows, before any other plugin sees them.
pub trait Transformer: Plugin {
    /// Changes a batch by `edits`, which start out leaving it alone.
    fn transform(&self, batch: &Batch, edits: &mut Edits);
}

/// Keeps or refuses rows.
pub trait Validator: Plugin {
    /// Refuses rows of a batch in `verdicts`, which starts out keeping all.
    fn validate(&self, batch: &Batch, verdicts: &mut Verdicts);
}

/// Says what a request takes from which token bucket; the host counts.
pub trait Limiter: Plugin {
    /// Before decoding: all that is known is the size on the wire.
    fn admit(&self, signal: Signal, wire_bytes: u64) -> Plan;

    /// After validation: the rows that were kept.
    fn limit(&self, batch: &Batch) -> Plan;
}

/// Turns rows into increments of metrics; the host adds them up.
pub trait Deriver: Plugin {
    /// The metrics that it writes.
    fn metrics(&self) -> Vec<Metric>;

    /// The increments of a batch.
    fn derive(&self, batch: &Batch) -> Deltas;
}

/// A [`Deriver`] that gives several tables of series, gauges, exponential histograms, and halves:
/// rows of which two belong together. The host keeps those until the other one comes.
pub trait PairingDeriver: Plugin {
    /// What it writes.
    fn declare(&self) -> Declaration;

    /// What a batch gives.
    fn derive(&self, batch: &Batch) -> Derived;
}

/// Brings functions to SQL and PromQL. Those of the kind aggregate need the last three.
pub trait FunctionLibrary: Plugin {
    /// The functions; they are called by their position.
    fn functions(&self) -> Vec<Function>;

    /// A value per row.
    fn call(&self, function: usize, arguments: &Arguments) -> Result<Values, Fault>;

    /// What the rows of each group come to ([`accumulate`](crate::accumulate)).
    fn accumulate(
        &self,
        function: usize,
        grouping: &Grouping,
        arguments: &Arguments,
    ) -> Result<States, Fault> {
        let _ = (function, grouping, arguments);
        Err(Fault::new("no aggregate"))
    }

    /// Several states of each group as one ([`merge`](crate::merge)).
    fn merge(&self, function: usize, grouping: &Grouping, states: &States) -> Result<States, Fault> {
        let _ = (function, grouping, states);
        Err(Fault::new("no aggregate"))
    }

    /// The value of each state.
    fn finish(&self, function: usize, states: &States) -> Result<Values, Fault> {
        let _ = (function, states);
        Err(Fault::new("no aggregate"))
    }
}
