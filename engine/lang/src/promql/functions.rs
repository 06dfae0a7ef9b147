//! The functions of PromQL: their arguments and results.
//!
//! Upstream: <https://prometheus.io/docs/prometheus/latest/querying/functions/>, 3.14.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use super::ast::ValueType::{self, Matrix, Scalar, Text, Vector};

/// What a function takes and gives.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments; the last one is repeated as `variadic` says.
    pub args: &'static [ValueType],
    /// How many of the last arguments may be left out or repeated.
    pub variadic: Variadic,
    /// Type of its result.
    pub returns: ValueType,
    /// Marked experimental upstream.
    pub experimental: bool,
}

/// How many arguments beyond the named ones are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly the named ones.
    No,
    /// The last `n` named ones may be left out.
    Optional(usize),
    /// The last named one may be left out, or given any number of times.
    Any,
}

const fn function(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: Variadic::No, returns, experimental: false }
}

impl Function {
    const fn optional(mut self, last: usize) -> Self {
        self.variadic = Variadic::Optional(last);
        self
    }

    const fn any(mut self) -> Self {
        self.variadic = Variadic::Any;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// The function of a name, upper and lower case told apart: one of PromQL's own, else one that
/// was brought.
pub fn find(name: &str) -> Option<&'static Function> {
    own(name).or_else(|| BROUGHT.read().unwrap_or_else(PoisonError::into_inner).get(name).copied())
}

/// The function of PromQL itself that has this name.
pub fn own(name: &str) -> Option<&'static Function> {
    let at = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
    FUNCTIONS.get(at)
}

/// Functions that are brought, by name. They are known for as long as the process lives, because
/// trees point to them; whether one can be called is found out when it is.
static BROUGHT: RwLock<BTreeMap<&'static str, &'static Function>> = RwLock::new(BTreeMap::new());

/// Names, and changes of their arguments, that are remembered.
const BROUGHT_MAX: usize = 4_096;

/// Makes a function known that takes an instant vector and so many scalars, and gives a vector.
/// A name of PromQL's own stays what it is. Says whether expressions can call it now.
pub fn bring(name: &str, scalars: usize) -> bool {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    if own(name).is_some() {
        return false;
    }
    if find(name).is_some_and(|known| known.args.len() == scalars + 1) {
        return true;
    }
    if MADE.fetch_add(1, Ordering::Relaxed) >= BROUGHT_MAX {
        return false;
    }
    let args: Vec<ValueType> = std::iter::once(Vector).chain(std::iter::repeat_n(Scalar, scalars)).collect();
    let name: &'static str = Box::leak(name.into());
    let made = Box::leak(Box::new(function(name, Box::leak(args.into()), Vector)));
    BROUGHT.write().unwrap_or_else(PoisonError::into_inner).insert(name, made);
    true
}

/// All functions by name.
pub static FUNCTIONS: &[Function] = &[
    function("abs", &[Vector], Vector),
    function("absent", &[Vector], Vector),
    function("absent_over_time", &[Matrix], Vector),
    function("acos", &[Vector], Vector),
    function("acosh", &[Vector], Vector),
    function("asin", &[Vector], Vector),
    function("asinh", &[Vector], Vector),
    function("atan", &[Vector], Vector),
    function("atanh", &[Vector], Vector),
    function("avg_over_time", &[Matrix], Vector),
    function("ceil", &[Vector], Vector),
    function("changes", &[Matrix], Vector),
    function("clamp", &[Vector, Scalar, Scalar], Vector),
    function("clamp_max", &[Vector, Scalar], Vector),
    function("clamp_min", &[Vector, Scalar], Vector),
    function("cos", &[Vector], Vector),
    function("cosh", &[Vector], Vector),
    function("count_over_time", &[Matrix], Vector),
    function("day_of_month", &[Vector], Vector).optional(1),
    function("day_of_week", &[Vector], Vector).optional(1),
    function("day_of_year", &[Vector], Vector).optional(1),
    function("days_in_month", &[Vector], Vector).optional(1),
    function("deg", &[Vector], Vector),
    function("delta", &[Matrix], Vector),
    function("deriv", &[Matrix], Vector),
    function("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector).experimental(),
    function("end", &[], Scalar).experimental(),
    function("exp", &[Vector], Vector),
    function("first_over_time", &[Matrix], Vector).experimental(),
    function("floor", &[Vector], Vector),
    function("histogram_avg", &[Vector], Vector),
    function("histogram_count", &[Vector], Vector),
    function("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    function("histogram_quantile", &[Scalar, Vector], Vector),
    function("histogram_quantiles", &[Vector, Text, Scalar, Scalar], Vector).any().experimental(),
    function("histogram_stddev", &[Vector], Vector),
    function("histogram_stdvar", &[Vector], Vector),
    function("histogram_sum", &[Vector], Vector),
    function("hour", &[Vector], Vector).optional(1),
    function("idelta", &[Matrix], Vector),
    function("increase", &[Matrix], Vector),
    function("info", &[Vector, Vector], Vector).optional(1).experimental(),
    function("irate", &[Matrix], Vector),
    function("label_join", &[Vector, Text, Text, Text], Vector).any(),
    function("label_replace", &[Vector, Text, Text, Text, Text], Vector),
    function("last_over_time", &[Matrix], Vector),
    function("ln", &[Vector], Vector),
    function("log10", &[Vector], Vector),
    function("log2", &[Vector], Vector),
    function("mad_over_time", &[Matrix], Vector).experimental(),
    function("max_of", &[Scalar, Scalar], Scalar).experimental(),
    function("max_over_time", &[Matrix], Vector),
    function("min_of", &[Scalar, Scalar], Scalar).experimental(),
    function("min_over_time", &[Matrix], Vector),
    function("minute", &[Vector], Vector).optional(1),
    function("month", &[Vector], Vector).optional(1),
    function("pi", &[], Scalar),
    function("predict_linear", &[Matrix, Scalar], Vector),
    function("present_over_time", &[Matrix], Vector),
    function("quantile_over_time", &[Scalar, Matrix], Vector),
    function("rad", &[Vector], Vector),
    function("range", &[], Scalar).experimental(),
    function("rate", &[Matrix], Vector),
    function("resets", &[Matrix], Vector),
    function("round", &[Vector, Scalar], Vector).optional(1),
    function("scalar", &[Vector], Scalar),
    function("sgn", &[Vector], Vector),
    function("sin", &[Vector], Vector),
    function("sinh", &[Vector], Vector),
    function("sort", &[Vector], Vector),
    function("sort_by_label", &[Vector, Text], Vector).any().experimental(),
    function("sort_by_label_desc", &[Vector, Text], Vector).any().experimental(),
    function("sort_desc", &[Vector], Vector),
    function("sqrt", &[Vector], Vector),
    function("start", &[], Scalar).experimental(),
    function("start_timestamp", &[Vector], Vector).experimental(),
    function("stddev_over_time", &[Matrix], Vector),
    function("stdvar_over_time", &[Matrix], Vector),
    function("step", &[], Scalar).experimental(),
    function("sum_over_time", &[Matrix], Vector),
    function("tan", &[Vector], Vector),
    function("tanh", &[Vector], Vector),
    function("time", &[], Scalar),
    function("timestamp", &[Vector], Vector),
    function("ts_of_first_over_time", &[Matrix], Vector).experimental(),
    function("ts_of_last_over_time", &[Matrix], Vector).experimental(),
    function("ts_of_max_over_time", &[Matrix], Vector).experimental(),
    function("ts_of_min_over_time", &[Matrix], Vector).experimental(),
    function("vector", &[Scalar], Vector),
    function("year", &[Vector], Vector).optional(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_name() {
        assert!(FUNCTIONS.is_sorted_by(|one, other| one.name < other.name));
        assert_eq!(FUNCTIONS.len(), 90);
        for function in FUNCTIONS {
            assert_eq!(find(function.name), Some(function));
        }
        assert_eq!((find("Rate"), find("")), (None, None));
    }
}
