//! The functions that queries may call.
//!
//! `allowed.txt` names them all: what a new release of DataFusion brings does not
//! come in by itself. Those that can make much out of little are capped
//! ([`capped`], [`estimates`], [`joined`], [`collected`]); bins of time and values of maps are found faster than by
//! DataFusion ([`bins`], [`map_value`]), and percentiles of many groups ([`percentile`]). Those of plugins are added to each
//! session ([`plugin`]). Ours are `stream_label`, `json_text`, `has_token` and the table function
//! `trace_tree`.

mod bins;
mod capped;
mod collected;
mod estimates;
mod has_token;
mod joined;
mod json_text;
mod map_value;
mod percentile;
mod plugin;
mod stream_label;
mod trace_tree;
mod tree;

use std::sync::{Arc, LazyLock};

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use hashbrown::HashSet;

pub(crate) use capped::{FunctionLimits, Room};
pub(crate) use has_token::HAS_TOKEN;
pub(crate) use joined::JoinedPlanner;
pub(crate) use map_value::{MapValue, MapValuePlanner, Part, StrictNumber};
pub(crate) use plugin::register as register_plugins;
pub(crate) use trace_tree::TraceTree;

static ALLOWED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("allowed.txt").lines();
    lines.filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
});

fn allowed(name: &str) -> bool {
    ALLOWED.contains(name)
}

/// Scalar functions, capped where they need it, and ours.
pub(crate) fn scalar(limits: FunctionLimits, room: &Room) -> Vec<Arc<ScalarUDF>> {
    let theirs = SessionStateDefaults::default_scalar_functions().into_iter();
    let mut functions: Vec<_> =
        theirs.filter(|f| allowed(f.name())).map(|f| capped::wrap(f, limits, room)).map(bins::wrap).collect();
    functions.push(Arc::new(ScalarUDF::new_from_impl(stream_label::StreamLabel::new())));
    functions.push(Arc::new(ScalarUDF::new_from_impl(json_text::JsonText::new())));
    functions.push(Arc::new(ScalarUDF::new_from_impl(has_token::HasToken::new())));
    functions
}

/// Aggregate functions, capped where they need it, percentiles by group ours.
pub(crate) fn aggregate(limits: FunctionLimits) -> Vec<Arc<AggregateUDF>> {
    let theirs = SessionStateDefaults::default_aggregate_functions().into_iter();
    let theirs = theirs.filter(|f| allowed(f.name())).map(percentile::wrap);
    theirs.map(|f| collected::wrap(f, limits)).collect()
}

/// Window functions.
pub(crate) fn window() -> Vec<Arc<WindowUDF>> {
    let theirs = SessionStateDefaults::default_window_functions().into_iter();
    theirs.filter(|f| allowed(f.name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function that is new in DataFusion shows up here: decide, then list it
    /// in `allowed.txt` or in `refused.txt`.
    #[test]
    fn every_function_of_this_release_is_decided() {
        let refused: HashSet<&str> = include_str!("refused.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .collect();
        let mut known: Vec<String> = Vec::new();
        known.extend(SessionStateDefaults::default_scalar_functions().iter().map(|f| f.name().to_owned()));
        known.extend(SessionStateDefaults::default_aggregate_functions().iter().map(|f| f.name().to_owned()));
        known.extend(SessionStateDefaults::default_window_functions().iter().map(|f| f.name().to_owned()));
        known.sort_unstable();
        known.dedup();
        let open: Vec<_> =
            known.iter().filter(|name| !allowed(name) && !refused.contains(name.as_str())).collect();
        assert!(open.is_empty(), "undecided: {open:?}");
        let gone: Vec<_> =
            ALLOWED.iter().chain(&refused).filter(|name| !known.iter().any(|k| k == *name)).collect();
        assert!(gone.is_empty(), "no longer there: {gone:?}");
    }
}
