//! The components that ship inside the engine, built from `plugins/` and checked in.

const COMPONENTS: [(&str, &[u8]); 3] = [
    ("validate", include_bytes!("../../../plugins/dist/validate.wasm")),
    ("rate-limit", include_bytes!("../../../plugins/dist/rate-limit.wasm")),
    ("span-metrics", include_bytes!("../../../plugins/dist/span-metrics.wasm")),
];

/// The component of a built-in plugin.
pub(crate) fn component(name: &str) -> Option<&'static [u8]> {
    COMPONENTS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Their names, for error messages.
pub(crate) fn names() -> String {
    COMPONENTS.map(|(name, _)| name).join(", ")
}
