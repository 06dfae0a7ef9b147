//! Functions for SQL and PromQL: the nearest multiple of a step, and a harmonic mean.

use isinglass_plugin::{
    Arguments, Config, Fault, Function, FunctionLibrary, Grouping, Plugin, Request, State, States, ValueType,
    Values, accumulate, export_functions, merge, read_floats, write_floats,
};

const FLOAT: ValueType = ValueType::Float64;

/// They are called by their place in this list.
const NEAREST_STEP: usize = 0;
const FUNCTIONS: [Function; 2] = [
    Function::scalar("nearest_step", &[FLOAT], FLOAT).help("The nearest multiple of the configured step."),
    Function::aggregate("harmonic_mean", &[FLOAT], FLOAT).help("Harmonic mean of positive values."),
];

/// The plugin, as its configuration makes it.
#[derive(Debug)]
pub struct Functions {
    step: f64,
}

impl Plugin for Functions {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("../config.schema.json");
    // Arguments are handed over; nothing is read of batches.
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(mut config: Config) -> Result<Self, String> {
        let step = config.f64("step")?.unwrap_or(1.0);
        config.finish()?;
        if step > 0.0 { Ok(Self { step }) } else { Err("step must be above 0".to_owned()) }
    }
}

/// What is known of a group: how many values, and the sum of their reciprocals.
#[derive(Debug, Clone, Default, PartialEq)]
struct Harmonic {
    count: f64,
    reciprocals: f64,
}

impl State for Harmonic {
    fn write(&self, out: &mut Vec<u8>) {
        if self.count > 0.0 {
            write_floats(&[self.count, self.reciprocals], out);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let [count, reciprocals] = read_floats(bytes)?.try_into().ok()?;
        Some(Self { count, reciprocals })
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.reciprocals += other.reciprocals;
    }
}

impl FunctionLibrary for Functions {
    fn functions(&self) -> Vec<Function> {
        FUNCTIONS.to_vec()
    }

    fn call(&self, function: usize, arguments: &Arguments) -> Result<Values, Fault> {
        if function != NEAREST_STEP {
            return Err(Fault::new("no scalar function"));
        }
        let values = arguments.floats(0)?;
        let nearest = values.values().iter().map(|value| (value / self.step + 0.5).floor() * self.step);
        Ok(Values::floats(nearest.collect()).valid_where(arguments.validity()))
    }

    fn accumulate(&self, _: usize, grouping: &Grouping, arguments: &Arguments) -> Result<States, Fault> {
        let (values, rows) = (arguments.floats(0)?, arguments.rows());
        if let Some(row) = (0..rows).find(|row| values.get(*row).is_some_and(|value| value <= 0.0)) {
            return Err(Fault::of_row(row, "harmonic_mean takes positive values only"));
        }
        Ok(accumulate(grouping, rows, |state: &mut Harmonic, row| {
            if let Some(value) = values.get(row) {
                state.count += 1.0;
                state.reciprocals += 1.0 / value;
            }
        }))
    }

    fn merge(&self, _: usize, grouping: &Grouping, states: &States) -> Result<States, Fault> {
        merge::<Harmonic>(grouping, states)
    }

    fn finish(&self, _: usize, states: &States) -> Result<Values, Fault> {
        let states = states.read::<Harmonic>()?;
        let means = states.iter().map(|state| state.count / state.reciprocals).collect();
        Ok(Values::floats(means).valid_if(states.iter().map(|state| state.count > 0.0)))
    }
}

export_functions!(Functions);
