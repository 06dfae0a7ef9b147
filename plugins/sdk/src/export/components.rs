//! The exported functions of each world, on top of a plugin.

use std::marker::PhantomData;
use std::sync::OnceLock;

use super::{convert, pairs};
use crate::bindings::validator::isinglass::plugin::columns as wit;
use crate::bindings::{deriver, function, limiter, pairing_deriver, transformer, validator};
use crate::host::{self, Level};
use crate::{
    Arguments, Config, Deriver, Edits, Fault, FunctionLibrary, Grouping, Limiter, PairingDeriver, Plugin,
    Request, Transformer, Validator, Verdicts,
};

/// Where a plugin lives in its instance.
pub trait Hosted {
    /// The plugin.
    type Plugin: Plugin;

    /// Set once, by `configure`.
    fn instance() -> &'static OnceLock<Self::Plugin>;
}

/// Exports of the world `transformer`.
pub struct TransformerComponent<H>(PhantomData<H>);

/// Exports of the world `validator`.
pub struct ValidatorComponent<H>(PhantomData<H>);

/// Exports of the world `limiter`.
pub struct LimiterComponent<H>(PhantomData<H>);

/// Exports of the world `function`.
pub struct FunctionComponent<H>(PhantomData<H>);

/// Exports of the world `deriver`.
pub struct DeriverComponent<H>(PhantomData<H>);

/// Exports of the world `pairing-deriver`.
pub struct PairingDeriverComponent<H>(PhantomData<H>);

macro_rules! lifecycle {
    ($component:ident, $world:ident) => {
        impl<H: Hosted> $world::exports::isinglass::plugin::lifecycle::Guest for $component<H> {
            fn describe() -> $world::exports::isinglass::plugin::lifecycle::PluginInfo {
                $world::exports::isinglass::plugin::lifecycle::PluginInfo {
                    name: H::Plugin::NAME.to_owned(),
                    version: H::Plugin::VERSION.to_owned(),
                    requests: requests::<H>(),
                    config_schema: H::Plugin::CONFIG_SCHEMA.to_owned(),
                }
            }

            fn configure(config: String) -> Result<(), String> {
                configure::<H>(&config)
            }
        }
    };
}

lifecycle!(TransformerComponent, transformer);
lifecycle!(ValidatorComponent, validator);
lifecycle!(LimiterComponent, limiter);
lifecycle!(DeriverComponent, deriver);
lifecycle!(PairingDeriverComponent, pairing_deriver);
lifecycle!(FunctionComponent, function);

impl<H: Hosted<Plugin: Transformer>> transformer::exports::isinglass::plugin::transform::Guest
    for TransformerComponent<H>
{
    fn run(batch: wit::Batch) -> transformer::exports::isinglass::plugin::transform::Edits {
        let batch = convert::batch(batch);
        let mut edits = Edits::of(batch.rows);
        plugin::<H>().transform(&batch, &mut edits);
        convert::edits(edits)
    }
}

impl<H: Hosted<Plugin: Validator>> validator::exports::isinglass::plugin::validate::Guest
    for ValidatorComponent<H>
{
    fn run(batch: wit::Batch) -> validator::exports::isinglass::plugin::validate::Verdicts {
        let batch = convert::batch(batch);
        let mut verdicts = Verdicts::of(batch.rows);
        plugin::<H>().validate(&batch, &mut verdicts);
        convert::verdicts(verdicts)
    }
}

impl<H: Hosted<Plugin: Limiter>> limiter::exports::isinglass::plugin::limit::Guest for LimiterComponent<H> {
    fn admit(
        signal: limiter::exports::isinglass::plugin::limit::Signal,
        wire_bytes: u64,
    ) -> limiter::exports::isinglass::plugin::limit::Plan {
        convert::plan(plugin::<H>().admit(convert::signal(signal), wire_bytes))
    }

    fn run(batch: wit::Batch) -> limiter::exports::isinglass::plugin::limit::Plan {
        convert::plan(plugin::<H>().limit(&convert::batch(batch)))
    }
}

impl<H: Hosted<Plugin: Deriver>> deriver::exports::isinglass::plugin::derive::Guest for DeriverComponent<H> {
    fn metrics() -> Vec<deriver::exports::isinglass::plugin::derive::Metric> {
        plugin::<H>().metrics().into_iter().map(convert::metric).collect()
    }

    fn run(batch: wit::Batch) -> deriver::exports::isinglass::plugin::derive::Deltas {
        convert::deltas(plugin::<H>().derive(&convert::batch(batch)))
    }
}

impl<H: Hosted<Plugin: PairingDeriver>> pairing_deriver::exports::isinglass::plugin::derive_pairs::Guest
    for PairingDeriverComponent<H>
{
    fn declare() -> pairing_deriver::exports::isinglass::plugin::derive_pairs::Declaration {
        pairs::declaration(plugin::<H>().declare())
    }

    fn run(batch: wit::Batch) -> pairing_deriver::exports::isinglass::plugin::derive_pairs::Derived {
        pairs::derived(plugin::<H>().derive(&convert::batch(batch)))
    }
}

type Answer<T> = Result<T, function::exports::isinglass::plugin::compute::Fault>;

impl<H: Hosted<Plugin: FunctionLibrary>> function::exports::isinglass::plugin::compute::Guest
    for FunctionComponent<H>
{
    fn functions() -> Vec<function::exports::isinglass::plugin::compute::Signature> {
        plugin::<H>().functions().into_iter().map(convert::signature).collect()
    }

    fn call(function: u16, rows: u32, arguments: Vec<wit::Column>) -> Answer<wit::Column> {
        let arguments = self::arguments(rows, arguments);
        answer(plugin::<H>().call(function.into(), &arguments), convert::values)
    }

    fn accumulate(
        function: u16,
        groups: u32,
        group_of_row: Vec<u32>,
        rows: u32,
        arguments: Vec<wit::Column>,
    ) -> Answer<wit::TextColumn> {
        let arguments = self::arguments(rows, arguments);
        let grouping = Grouping { groups: groups as usize, of_row: group_of_row };
        answer(plugin::<H>().accumulate(function.into(), &grouping, &arguments), convert::states)
    }

    fn merge(
        function: u16,
        groups: u32,
        group_of_state: Vec<u32>,
        states: wit::TextColumn,
    ) -> Answer<wit::TextColumn> {
        let grouping = Grouping { groups: groups as usize, of_row: group_of_state };
        let merged = plugin::<H>().merge(function.into(), &grouping, &convert::of_states(states));
        answer(merged, convert::states)
    }

    fn finish(function: u16, states: wit::TextColumn) -> Answer<wit::Column> {
        answer(plugin::<H>().finish(function.into(), &convert::of_states(states)), convert::values)
    }
}

fn arguments(rows: u32, columns: Vec<wit::Column>) -> Arguments {
    Arguments::new(rows as usize, columns.into_iter().map(convert::column).collect())
}

fn answer<T, R>(result: Result<T, Fault>, convert: impl FnOnce(T) -> R) -> Answer<R> {
    result.map(convert).map_err(|Fault { row, message }| {
        function::exports::isinglass::plugin::compute::Fault { row, message }
    })
}

fn requests<H: Hosted>() -> Vec<wit::ColumnRequest> {
    let fixed = H::Plugin::REQUESTS.iter().copied().flatten().cloned();
    let further = H::instance().get().map(Plugin::further_requests).unwrap_or_default();
    fixed.chain(further).map(|request: Request| convert::request(request)).collect()
}

fn configure<H: Hosted>(config: &str) -> Result<(), String> {
    std::panic::set_hook(Box::new(|panic| host::log(Level::Error, &panic.to_string())));
    let plugin = H::Plugin::configure(Config::parse(config)?)?;
    H::instance().set(plugin).map_err(|_| "this instance is configured already".to_owned())
}

fn plugin<H: Hosted>() -> &'static H::Plugin {
    H::instance().get().expect("the host configures an instance before it runs it")
}
