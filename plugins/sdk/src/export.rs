//! Between the SDK's types and the generated bindings. Lists are moved, never
//! copied: what the host wrote into guest memory is what a view borrows.

#[cfg(target_arch = "wasm32")]
mod components;
#[cfg(target_arch = "wasm32")]
mod convert;
#[cfg(target_arch = "wasm32")]
mod pairs;

#[cfg(target_arch = "wasm32")]
pub use components::{
    DeriverComponent, FunctionComponent, Hosted, LimiterComponent, PairingDeriverComponent,
    TransformerComponent, ValidatorComponent,
};

/// Makes a [`Transformer`](crate::Transformer) the component of this crate.
/// Natively it does nothing.
#[macro_export]
macro_rules! export_transformer {
    ($plugin:ty) => {
        $crate::export_component!($plugin, transformer, TransformerComponent, export_transformer_world);
    };
}

/// Makes a [`FunctionLibrary`](crate::FunctionLibrary) the component of this
/// crate. Natively it does nothing.
#[macro_export]
macro_rules! export_functions {
    ($plugin:ty) => {
        $crate::export_component!($plugin, function, FunctionComponent, export_function_world);
    };
}

/// Makes a [`Validator`](crate::Validator) the component of this crate.
/// Natively it does nothing.
#[macro_export]
macro_rules! export_validator {
    ($plugin:ty) => {
        $crate::export_component!($plugin, validator, ValidatorComponent, export_validator_world);
    };
}

/// Makes a [`Limiter`](crate::Limiter) the component of this crate. Natively
/// it does nothing.
#[macro_export]
macro_rules! export_limiter {
    ($plugin:ty) => {
        $crate::export_component!($plugin, limiter, LimiterComponent, export_limiter_world);
    };
}

/// Makes a [`Deriver`](crate::Deriver) the component of this crate. Natively
/// it does nothing.
#[macro_export]
macro_rules! export_deriver {
    ($plugin:ty) => {
        $crate::export_component!($plugin, deriver, DeriverComponent, export_deriver_world);
    };
}

/// Makes a [`PairingDeriver`](crate::PairingDeriver) the component of this crate. Natively
/// it does nothing.
#[macro_export]
macro_rules! export_pairing_deriver {
    ($plugin:ty) => {
        $crate::export_component!(
            $plugin,
            pairing_deriver,
            PairingDeriverComponent,
            export_pairing_deriver_world
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_component {
    ($plugin:ty, $world:ident, $component:ident, $export:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static INSTANCE: ::std::sync::OnceLock<$plugin> = ::std::sync::OnceLock::new();

            struct This;

            impl $crate::export::Hosted for This {
                type Plugin = $plugin;

                fn instance() -> &'static ::std::sync::OnceLock<$plugin> {
                    &INSTANCE
                }
            }

            type Component = $crate::export::$component<This>;
    $crate::bindings::$world::$export!(Component with_types_in $crate::bindings::$world);
        };
    };
}
