//! Dashboards of Grafana as tests see them: which queries they send, with what in place of their
//! variables.
//!
//! ```text
//! JSON ─▶ Dashboard ─▶ queries, variables ─┐
//!                 step, scrape, range ─▶ Times ─▶ Variables ─▶ the text that Grafana would send
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`dashboard`] | panels, queries, variables and data sources of a dashboard |
//! | [`lookup`] | `label_values(…)` and `query_result(…)`, from which variables get their options |
//! | [`options`](mod@options) | what a variable can be set to, from what was found |
//! | [`variables`] | variables and their place in a text |
//! | [`format`](mod@format) | how a value is written: escaped for PromQL, or as `${name:format}` says |
//! | [`times`] | `$__interval`, `$__rate_interval`, `$__range` |
//!
//! What is written follows `@grafana/prometheus` and `@grafana/scenes` 13 and the back end of
//! Grafana's Prometheus data source. Fields of a value, `${name.field}`, are not known here.
//!
//! ```
//! use isinglass_promqltest::grafana::{Times, Value, Variable};
//!
//! let times = Times { step_ms: 15_000, scrape_ms: 15_000, range_ms: 3_600_000 };
//! let jobs = Value::Many(vec!["api".into(), "web.eu".into()]);
//! let variables = times.variables().with("job", Variable { value: jobs, multi: true, include_all: true });
//!
//! let sent = variables.expand(r#"rate(up{job=~"$job"}[$__rate_interval])"#);
//! assert_eq!(sent, r#"rate(up{job=~"(api|web\\.eu)"}[1m0s])"#);
//! ```

pub mod dashboard;
pub mod format;
pub mod lookup;
pub mod options;
pub mod times;
pub mod variables;

pub use dashboard::{Asked, Dashboard, DashboardError, Panel, Place, Query, VariableModel};
pub use lookup::Lookup;
pub use options::{options, series_text};
pub use times::Times;
pub use variables::{Value, Variable, Variables};
