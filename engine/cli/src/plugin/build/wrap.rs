//! From a core module to a component.

use anyhow::Context as _;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::plugin::templates::WIT;

/// Makes a component of a module that says itself what its world is, as the Rust SDK does.
pub(super) fn component(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let wrapped =
        ComponentEncoder::default().validate(true).module(module).and_then(|mut encoder| encoder.encode());
    wrapped.context("the module is no component of this interface")
}

/// Makes a component of a module that exports the functions of a world and says nothing of it.
pub(super) fn component_of(mut module: Vec<u8>, world: &str) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plugin.wit", WIT)?;
    let world = resolve.select_world(&[package], Some(world))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    component(&module)
}
