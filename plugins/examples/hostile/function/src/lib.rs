//! Functions that misbehave on demand; what they can do stands in `../README.md`.

use hostile_common::Orders;
use isinglass_plugin::{
    Arguments, Config, Fault, Function, FunctionLibrary, Grouping, Plugin, Request, State, States, ValueType,
    Values, export_functions,
};

const FLOAT: ValueType = ValueType::Float64;

/// The plugin.
#[derive(Debug)]
pub struct HostileFunctions(Orders);

impl Plugin for HostileFunctions {
    const NAME: &'static str = "hostile-function";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object"}"#;
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(config: Config) -> Result<Self, String> {
        Orders::read(config).map(Self)
    }
}

/// A state of so many bytes.
#[derive(Default)]
struct Zeros(usize);

impl State for Zeros {
    fn write(&self, out: &mut Vec<u8>) {
        out.resize(out.len() + self.0, 0);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.len()))
    }

    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl HostileFunctions {
    fn answer(&self, rows: usize) -> Result<Values, Fault> {
        Ok(match self.0.with(rows) {
            "fault" => return Err(Fault::of_row(1, "told to")),
            "too_few_rows" => Values::floats(vec![0.0; rows.saturating_sub(1)]),
            "too_many_rows" => Values::floats(vec![0.0; rows + 1]),
            "other_type" => Values::integers(vec![0; rows]),
            "bad_validity" => Values::floats(vec![0.0; rows]).valid_where(Some(vec![0; rows + 9])),
            "huge_output" => Values::floats(vec![0.0; 3 << 20]),
            "absent" => Values::floats(vec![f64::from_bits(0x7ff0_0000_0000_0002); rows]),
            _ => Values::floats(vec![1.0; rows]),
        })
    }
}

impl FunctionLibrary for HostileFunctions {
    fn functions(&self) -> Vec<Function> {
        let name = if self.0.does == "same_name" { "hostile" } else { "hostile_sum" };
        vec![Function::scalar("hostile", &[FLOAT], FLOAT), Function::aggregate(name, &[FLOAT], FLOAT)]
    }

    fn call(&self, _: usize, arguments: &Arguments) -> Result<Values, Fault> {
        self.answer(arguments.rows())
    }

    fn accumulate(&self, _: usize, grouping: &Grouping, arguments: &Arguments) -> Result<States, Fault> {
        let states = |count: usize, bytes: usize| {
            Ok(States::of(&std::iter::repeat_with(|| Zeros(bytes)).take(count).collect::<Vec<_>>()))
        };
        match self.0.with(arguments.rows()) {
            "too_few_rows" => states(grouping.groups - 1, 1),
            "too_many_rows" => states(grouping.groups + 1, 1),
            "huge_output" => states(grouping.groups, 17 << 20),
            _ => states(grouping.groups, 1),
        }
    }

    fn merge(&self, _: usize, grouping: &Grouping, states: &States) -> Result<States, Fault> {
        isinglass_plugin::merge::<Zeros>(grouping, states)
    }

    fn finish(&self, _: usize, states: &States) -> Result<Values, Fault> {
        self.answer(states.len())
    }
}

export_functions!(HostileFunctions);
