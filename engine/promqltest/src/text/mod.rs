//! The small notations that scripts are made of.

pub(crate) mod duration;
pub(crate) mod number;
pub(crate) mod series;
