//! What is built, and where it goes.

/// A crate of this workspace that becomes a component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest {
    /// Its package.
    pub(crate) package: &'static str,
    /// Its component, below `dist/`.
    pub(crate) component: &'static str,
}

/// All guests. Those directly in `dist/` are embedded into the engine.
pub(crate) const GUESTS: [Guest; 15] = [
    Guest { package: "isinglass-validate", component: "validate.wasm" },
    Guest { package: "isinglass-rate-limit", component: "rate-limit.wasm" },
    Guest { package: "isinglass-span-metrics", component: "span-metrics.wasm" },
    Guest { package: "isinglass-noop", component: "noop.wasm" },
    Guest { package: "deny-service", component: "examples/deny-service.wasm" },
    Guest { package: "log-counts", component: "examples/log-counts.wasm" },
    Guest { package: "log-pattern", component: "examples/log-pattern.wasm" },
    Guest { package: "log-patterns", component: "examples/log-patterns.wasm" },
    Guest { package: "geo", component: "examples/geo.wasm" },
    Guest { package: "redact", component: "examples/redact.wasm" },
    Guest { package: "hostile-function", component: "test/hostile-function.wasm" },
    Guest { package: "hostile-transformer", component: "test/hostile-transformer.wasm" },
    Guest { package: "hostile-validator", component: "test/hostile-validator.wasm" },
    Guest { package: "hostile-limiter", component: "test/hostile-limiter.wasm" },
    Guest { package: "hostile-deriver", component: "test/hostile-deriver.wasm" },
];
