//! One warm instance of a plugin.

use std::sync::Arc;

use isinglass_model::Tenant;
use isinglass_model::functions::CallMemory;
use wasmtime::component::{Instance as Guest, TypedFunc};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::abi::pairs::{DeclarationOut, DerivedOut};
use crate::abi::{
    BatchIn, ColumnIn, ColumnOut, DeltasOut, EditsOut, FaultOut, MetricOut, PlanOut, PluginInfoOut,
    SignalName, SignatureOut, TextIn, TextOut, VerdictsOut,
};
use crate::component::Component;
use crate::config::{Budget, World};
use crate::engine::Parts;
use crate::failure::{Failure, FailureKind};
use crate::host::{MemoryLimit, State};
use crate::stats::Meter;
use crate::ticker::{Ticker, thread_cpu_nanos};

/// Bytes that the guest may hand to the host in one call.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// Calls after which an instance is replaced, so that a leak has an end.
const CALLS_MAX: u64 = 10_000;

/// Calls after which the memory of an instance should have settled.
const WARM_UP_CALLS: u64 = 100;

/// Memory below which growth is not worth a new instance.
const SMALL_BYTES: usize = 8 << 20;

type Run<R> = TypedFunc<(BatchIn<'static>,), (R,)>;

/// The functions of a world. Wasmtime's typed functions are covariant in their
/// arguments: one made for `'static` buffers takes any.
enum Functions {
    Transformer { run: Run<EditsOut> },
    Validator { run: Run<VerdictsOut> },
    Limiter { run: Run<PlanOut>, admit: TypedFunc<(SignalName, u64), (PlanOut,)> },
    Deriver { run: Run<DeltasOut>, metrics: TypedFunc<(), (Vec<MetricOut>,)> },
    PairingDeriver { run: Run<DerivedOut>, declare: TypedFunc<(), (DeclarationOut,)> },
    Compute(Compute),
}

type Answer<R> = (Result<R, FaultOut>,);

#[derive(Clone, Copy)]
struct Compute {
    functions: TypedFunc<(), (Vec<SignatureOut>,)>,
    call: TypedFunc<(u16, u32, &'static [ColumnIn<'static>]), Answer<ColumnOut>>,
    accumulate: TypedFunc<(u16, u32, &'static [u32], u32, &'static [ColumnIn<'static>]), Answer<TextOut>>,
    merge: TypedFunc<(u16, u32, &'static [u32], TextIn<'static>), Answer<TextOut>>,
    finish: TypedFunc<(u16, TextIn<'static>), Answer<ColumnOut>>,
}

/// An instance. It is used by one call at a time and dropped when a call fails:
/// after a trap its memory may be anything.
pub(crate) struct Instance {
    store: Store<State>,
    guest: Guest,
    functions: Functions,
    calls: u64,
    warm_bytes: usize,
    metered_bytes: usize,
}

/// What a call needs besides its arguments.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) budget: &'a Budget,
    pub(crate) ticker: &'a Ticker,
    pub(crate) tenant: Option<&'a Tenant>,
    pub(crate) now_unix_nanos: i64,
    /// Who pays for the guest's memory; `None` = the binding, as at intake.
    pub(crate) memory: Option<&'a Arc<dyn CallMemory>>,
}

/// Memory and time of a guest, within its budget.
pub(crate) fn new_store(engine: &Engine, meter: &Arc<Meter>, context: &Context<'_>) -> Store<State> {
    let state = State {
        meter: Arc::clone(meter),
        memory: MemoryLimit::new(context.budget.memory_bytes_max as usize, Parts::of(context.budget)),
        tenant: None,
        now_unix_nanos: context.now_unix_nanos,
        cpu_deadline_nanos: 0,
        counted: Vec::new(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(OUTPUT_BYTES_MAX);
    store.epoch_deadline_callback(|store| {
        Ok(match thread_cpu_nanos() < store.data().cpu_deadline_nanos {
            true => UpdateDeadline::Continue(1),
            false => UpdateDeadline::Interrupt,
        })
    });
    store
}

impl Instance {
    /// Instantiates; `describe` and `configure` come next.
    pub(crate) fn start(
        component: &Component,
        world: World,
        meter: &Arc<Meter>,
        context: &Context<'_>,
    ) -> Result<Self, Failure> {
        let mut store = new_store(component.pre.engine(), meter, context);
        let guest = metered(&mut store, context, |store| component.pre.instantiate(store))?;
        Self::of(component, world, store, guest)
    }

    /// Instantiates and configures under one budget: for a component and a configuration of which
    /// it is known what they are. The inner error is the plugin's sentence.
    pub(crate) fn start_configured(
        component: &Component,
        world: World,
        meter: &Arc<Meter>,
        context: &Context<'_>,
        config: &str,
    ) -> Result<Result<Self, String>, Failure> {
        let mut store = new_store(component.pre.engine(), meter, context);
        let mut configuring = false;
        let started = metered(&mut store, context, |store| {
            let guest = component.pre.instantiate(&mut *store)?;
            configuring = true;
            Ok((guest, configure(component, &guest, store, config)?))
        });
        let (guest, configured) = started.map_err(|failure| {
            // Whoever asked lacks memory, which is no fault of the plugin.
            if failure.denied {
                return failure;
            }
            let call = if configuring { "configure: " } else { "" };
            Failure::new(FailureKind::Start, format!("{call}{failure}"))
        })?;
        match configured {
            Ok(()) => Self::of(component, world, store, guest).map(Ok),
            Err(sentence) => Ok(Err(sentence)),
        }
    }

    fn of(
        component: &Component,
        world: World,
        mut store: Store<State>,
        guest: Guest,
    ) -> Result<Self, Failure> {
        let functions = Functions::find(component, world, &guest, &mut store)
            .map_err(|error| Failure::new(FailureKind::Start, format!("{error:#}")))?;
        let meter = &store.data().meter;
        Meter::add(&meter.instances, 1);
        Meter::add(&meter.instances_started, 1);
        let mut instance = Self { store, guest, functions, calls: 0, warm_bytes: 0, metered_bytes: 0 };
        instance.meter_memory();
        Ok(instance)
    }

    /// What the plugin is and wants.
    pub(crate) fn describe(
        &mut self,
        context: &Context<'_>,
        component: &Component,
    ) -> Result<PluginInfoOut, Failure> {
        let (guest, index) = (self.guest, component.exports.describe);
        self.call(context, |store| {
            let describe: TypedFunc<(), (PluginInfoOut,)> = guest.get_typed_func(&mut *store, index)?;
            describe.call(store, ())
        })
        .map(|(info,)| info)
    }

    /// Hands over the configuration; the inner error is the plugin's sentence.
    pub(crate) fn configure(
        &mut self,
        context: &Context<'_>,
        component: &Component,
        config: &str,
    ) -> Result<Result<(), String>, Failure> {
        let guest = self.guest;
        self.call(context, |store| configure(component, &guest, store, config))
    }

    /// Runs a transformer.
    pub(crate) fn transform(
        &mut self,
        context: &Context<'_>,
        batch: BatchIn<'_>,
    ) -> Result<EditsOut, Failure> {
        let Functions::Transformer { run } = self.functions else { return Err(wrong_world()) };
        let run: TypedFunc<(BatchIn<'_>,), _> = run;
        self.call(context, |store| run.call(store, (batch,))).map(|(edits,)| edits)
    }

    /// Runs a validator.
    pub(crate) fn validate(
        &mut self,
        context: &Context<'_>,
        batch: BatchIn<'_>,
    ) -> Result<VerdictsOut, Failure> {
        let Functions::Validator { run } = self.functions else { return Err(wrong_world()) };
        let run: TypedFunc<(BatchIn<'_>,), _> = run;
        self.call(context, |store| run.call(store, (batch,))).map(|(verdicts,)| verdicts)
    }

    /// Asks a limiter about the bytes of a request.
    pub(crate) fn admit(
        &mut self,
        context: &Context<'_>,
        signal: SignalName,
        wire_bytes: u64,
    ) -> Result<PlanOut, Failure> {
        let Functions::Limiter { admit, .. } = self.functions else { return Err(wrong_world()) };
        self.call(context, |store| admit.call(store, (signal, wire_bytes))).map(|(plan,)| plan)
    }

    /// Asks a limiter about kept rows.
    pub(crate) fn limit(&mut self, context: &Context<'_>, batch: BatchIn<'_>) -> Result<PlanOut, Failure> {
        let Functions::Limiter { run, .. } = self.functions else { return Err(wrong_world()) };
        let run: TypedFunc<(BatchIn<'_>,), _> = run;
        self.call(context, |store| run.call(store, (batch,))).map(|(plan,)| plan)
    }

    /// What a deriver writes.
    pub(crate) fn declare(&mut self, context: &Context<'_>) -> Result<DeclarationOut, Failure> {
        match self.functions {
            Functions::Deriver { metrics, .. } => {
                self.call(context, |store| metrics.call(store, ())).map(|(metrics,)| metrics.into())
            }
            Functions::PairingDeriver { declare, .. } => {
                self.call(context, |store| declare.call(store, ())).map(|(declaration,)| declaration)
            }
            _ => Err(wrong_world()),
        }
    }

    /// Runs a deriver.
    pub(crate) fn derive(
        &mut self,
        context: &Context<'_>,
        batch: BatchIn<'_>,
    ) -> Result<DerivedOut, Failure> {
        match self.functions {
            Functions::Deriver { run, .. } => {
                let run: TypedFunc<(BatchIn<'_>,), _> = run;
                self.call(context, |store| run.call(store, (batch,))).map(|(deltas,)| deltas.into())
            }
            Functions::PairingDeriver { run, .. } => {
                let run: TypedFunc<(BatchIn<'_>,), _> = run;
                self.call(context, |store| run.call(store, (batch,))).map(|(derived,)| derived)
            }
            _ => Err(wrong_world()),
        }
    }

    fn compute(&self) -> Result<Compute, Failure> {
        match self.functions {
            Functions::Compute(compute) => Ok(compute),
            _ => Err(wrong_world()),
        }
    }

    /// The functions of a function plugin.
    pub(crate) fn functions(&mut self, context: &Context<'_>) -> Result<Vec<SignatureOut>, Failure> {
        let functions = self.compute()?.functions;
        self.call(context, |store| functions.call(store, ())).map(|(functions,)| functions)
    }

    /// Calls a scalar function; the inner error is the plugin's.
    pub(crate) fn call_function(
        &mut self,
        context: &Context<'_>,
        function: u16,
        rows: u32,
        arguments: &[ColumnIn<'_>],
    ) -> Result<Result<ColumnOut, FaultOut>, Failure> {
        let call: TypedFunc<(u16, u32, &[ColumnIn<'_>]), _> = self.compute()?.call;
        self.call(context, |store| call.call(store, (function, rows, arguments))).map(|(answer,)| answer)
    }

    /// Accumulates rows for an aggregate.
    pub(crate) fn accumulate(
        &mut self,
        context: &Context<'_>,
        function: u16,
        (groups, group_of_row): (u32, &[u32]),
        rows: u32,
        arguments: &[ColumnIn<'_>],
    ) -> Result<Result<TextOut, FaultOut>, Failure> {
        let call: TypedFunc<(u16, u32, &[u32], u32, &[ColumnIn<'_>]), _> = self.compute()?.accumulate;
        self.call(context, |store| call.call(store, (function, groups, group_of_row, rows, arguments)))
            .map(|(answer,)| answer)
    }

    /// Merges states of an aggregate.
    pub(crate) fn merge(
        &mut self,
        context: &Context<'_>,
        function: u16,
        (groups, group_of_state): (u32, &[u32]),
        states: TextIn<'_>,
    ) -> Result<Result<TextOut, FaultOut>, Failure> {
        let call: TypedFunc<(u16, u32, &[u32], TextIn<'_>), _> = self.compute()?.merge;
        self.call(context, |store| call.call(store, (function, groups, group_of_state, states)))
            .map(|(answer,)| answer)
    }

    /// The values of an aggregate.
    pub(crate) fn finish(
        &mut self,
        context: &Context<'_>,
        function: u16,
        states: TextIn<'_>,
    ) -> Result<Result<ColumnOut, FaultOut>, Failure> {
        let call: TypedFunc<(u16, TextIn<'_>), _> = self.compute()?.finish;
        self.call(context, |store| call.call(store, (function, states))).map(|(answer,)| answer)
    }

    /// Whether it should be replaced by a new one: after many calls, or when it
    /// holds more than twice the memory it had when it was warm.
    pub(crate) fn is_worn(&self) -> bool {
        let bytes = self.store.data().memory.bytes;
        self.calls >= CALLS_MAX
            || (self.calls > WARM_UP_CALLS && bytes > SMALL_BYTES && bytes > 2 * self.warm_bytes)
    }

    fn call<R>(
        &mut self,
        context: &Context<'_>,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, Failure> {
        let result = metered(&mut self.store, context, call);
        self.calls += 1;
        if self.calls <= WARM_UP_CALLS {
            self.warm_bytes = self.store.data().memory.bytes;
        }
        self.meter_memory();
        result
    }

    fn meter_memory(&mut self) {
        let state = self.store.data();
        let grown = state.memory.bytes.wrapping_sub(self.metered_bytes);
        self.metered_bytes = state.memory.bytes;
        // Shrinking wraps around, which the sum undoes.
        Meter::add(&state.meter.memory_bytes, grown as u64);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let meter = &self.store.data().meter;
        Meter::add(&meter.memory_bytes, (self.metered_bytes as u64).wrapping_neg());
        Meter::add(&meter.instances, 1_u64.wrapping_neg());
    }
}

fn configure(
    component: &Component,
    guest: &Guest,
    store: &mut Store<State>,
    config: &str,
) -> wasmtime::Result<Result<(), String>> {
    let configure: TypedFunc<(&str,), (Result<(), String>,)> =
        guest.get_typed_func(&mut *store, component.exports.configure)?;
    configure.call(store, (config,)).map(|(result,)| result)
}

impl Functions {
    fn find(
        component: &Component,
        world: World,
        guest: &Guest,
        store: &mut Store<State>,
    ) -> wasmtime::Result<Self> {
        let run = component.exports.run;
        let second = || {
            component
                .exports
                .second
                .ok_or_else(|| wasmtime::Error::msg("the component lacks a function of its world"))
        };
        Ok(match world {
            World::Transformer => Self::Transformer { run: guest.get_typed_func(&mut *store, run)? },
            World::Validator => Self::Validator { run: guest.get_typed_func(&mut *store, run)? },
            World::Limiter => Self::Limiter {
                run: guest.get_typed_func(&mut *store, run)?,
                admit: guest.get_typed_func(&mut *store, second()?)?,
            },
            World::Function => {
                let exports = component
                    .exports
                    .compute
                    .ok_or_else(|| wasmtime::Error::msg("the component lacks a function of its world"))?;
                Self::Compute(Compute {
                    functions: guest.get_typed_func(&mut *store, exports.functions)?,
                    call: guest.get_typed_func(&mut *store, run)?,
                    accumulate: guest.get_typed_func(&mut *store, exports.accumulate)?,
                    merge: guest.get_typed_func(&mut *store, exports.merge)?,
                    finish: guest.get_typed_func(&mut *store, exports.finish)?,
                })
            }
            World::Deriver if component.exports.pairs => Self::PairingDeriver {
                run: guest.get_typed_func(&mut *store, run)?,
                declare: guest.get_typed_func(&mut *store, second()?)?,
            },
            World::Deriver => Self::Deriver {
                run: guest.get_typed_func(&mut *store, run)?,
                metrics: guest.get_typed_func(&mut *store, second()?)?,
            },
        })
    }
}

/// Runs guest code under its budget of thread CPU time and counts what it used.
pub(crate) fn metered<R>(
    store: &mut Store<State>,
    context: &Context<'_>,
    call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<R>,
) -> Result<R, Failure> {
    store.data_mut().memory.charge(context.memory).map_err(Failure::denied)?;
    let running = context.ticker.run();
    let began = thread_cpu_nanos();
    let state = store.data_mut();
    state.tenant = context.tenant.cloned();
    state.now_unix_nanos = context.now_unix_nanos;
    state.cpu_deadline_nanos = began + u64::from(context.budget.cpu_hard_ms) * 1_000_000;
    store.set_epoch_deadline(1);
    let result = call(store);
    let used = thread_cpu_nanos().saturating_sub(began);
    drop(running);

    let State { meter, counted, memory, .. } = store.data_mut();
    meter.count(counted);
    Meter::add(&meter.cpu_nanos, used);
    if let Some(tenant) = context.tenant {
        meter.costs.call(tenant, used);
    }
    Meter::add(&meter.slow_calls, u64::from(used > u64::from(context.budget.cpu_soft_ms) * 1_000_000));
    let denied = memory.settle();
    result.map_err(|error| denied.map_or_else(|| Failure::of_call(&error, memory.refused), Failure::denied))
}

fn wrong_world() -> Failure {
    Failure::new(FailureKind::Start, "called as another world than it was loaded for")
}
