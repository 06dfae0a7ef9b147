//! Merging, against a model that sorts all rows in memory.

mod attributes;
mod every_kind;
mod files;
mod groups;
mod memory;
mod model;
mod plain;
mod replicas;
mod stores;
