//! Queries against a real store in a temporary folder.

mod answers;
mod attributes;
mod bombs;
mod damage;
mod fixture;
mod footers;
mod fuzz;
mod late;
mod marks;
mod once;
mod plans;
mod promql;
mod system;
mod tenants;
mod tokens;
