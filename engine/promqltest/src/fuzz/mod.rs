//! Random queries over random series, the same for the same seed, to compare two engines.
//!
//! ```text
//! seed ─▶ series set ──────────────▶ both engines
//!    └──▶ expression, times ─▶ query ─▶ both ─▶ differ ─▶ known? ─▶ shrink ─▶ report
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`random`] | the generator of numbers |
//! | [`series`] | sets of series: counters, gauges, histograms of all kinds, what goes wrong in practice |
//! | [`exprs`] | expressions over them, restricted to what Prometheus 3.5 knows |
//! | [`query`] | an expression and its times |
//! | [`differ`] | what counts as the same answer |
//! | [`known`] | differences of 3.5 and 3.14 that are meant |
//! | [`shrink`] | the smallest query and series set that still differ |

pub mod differ;
pub mod exprs;
pub mod known;
pub mod query;
pub mod random;
pub mod series;
pub mod shrink;
