//! Calls, by the table of functions.

use isinglass_lang::promql::ast::ValueType;
use isinglass_lang::promql::functions::{FUNCTIONS, Function, Variadic};

use super::selector::Kind;
use super::{Writer, features};

/// They have rules of their own.
const ELSEWHERE: [&str; 8] = [
    "info",
    "label_join",
    "label_replace",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "vector",
];

/// Meant for counters: called more often than others.
const USUAL: [&str; 8] = [
    "rate",
    "rate",
    "increase",
    "sum_over_time",
    "avg_over_time",
    "max_over_time",
    "delta",
    "count_over_time",
];

impl Writer<'_> {
    /// A function of an instant vector.
    pub(super) fn call(&mut self, depth: usize) -> String {
        let function = self.function(|function| !function.args.contains(&ValueType::Matrix));
        let kind = if function.name.starts_with("histogram_") { Kind::Native } else { self.any_kind() };
        self.called(function, kind, depth)
    }

    /// A function of a range vector.
    pub(super) fn over_range(&mut self, kind: Kind, depth: usize) -> String {
        if self.random.percent(40) {
            let name = self.random.pick(&USUAL);
            return format!("{name}({}[{}]{})", self.bare_selector(kind), self.range(), self.modifiers());
        }
        let function = self.function(|function| function.args.contains(&ValueType::Matrix));
        self.called(function, kind, depth)
    }

    fn function(&mut self, fits: impl Fn(&Function) -> bool) -> &'static Function {
        loop {
            let function = &FUNCTIONS[self.random.below(FUNCTIONS.len())];
            let is_vector = function.returns == ValueType::Vector;
            if is_vector
                && features::is_known(function.name)
                && !ELSEWHERE.contains(&function.name)
                && fits(function)
            {
                return function;
            }
        }
    }

    fn called(&mut self, function: &Function, kind: Kind, depth: usize) -> String {
        let omitted = match function.variadic {
            Variadic::Optional(last) => self.random.below(last + 1),
            Variadic::No | Variadic::Any => 0,
        };
        let args = &function.args[..function.args.len() - omitted];
        let args: Vec<String> = args.iter().map(|arg| self.argument(*arg, kind, depth)).collect();
        format!("{}({})", function.name, args.join(", "))
    }

    /// Of the right type; in one of three hundred, of any.
    fn argument(&mut self, wanted: ValueType, kind: Kind, depth: usize) -> String {
        let any = [ValueType::Scalar, ValueType::Text, ValueType::Vector, ValueType::Matrix];
        let wanted = if self.random.below(300) == 0 { self.random.one_of(&any) } else { wanted };
        match wanted {
            ValueType::Scalar => self.scalar(depth.min(1)),
            ValueType::Text => self.text(),
            ValueType::Vector => self.vector_of(kind, depth),
            ValueType::Matrix => self.matrix(depth),
        }
    }
}
