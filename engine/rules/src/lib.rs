//! Recording and alerting rules.
pub mod template;
