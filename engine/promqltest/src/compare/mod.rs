//! What counts as equal: the rules of upstream's runner.

mod annotations;
mod floats;
mod histograms;
mod results;
pub mod wire;

pub use annotations::{check_annotations, check_error};
pub use floats::almost_equal;
pub use results::{check_outcome, check_sorted};

#[cfg(test)]
mod tests;
