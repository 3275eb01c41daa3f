//! What a function written in Rust needs to run under isobar: the bindings of the contract, generated once,
//! and one macro per kind of export. It holds no logic of any function.

/// Bindings of the imports. An application's tables and topics refer to `types` by wit-bindgen's `with`.
mod imports {
    wit_bindgen::generate!({ path: "platform", world: "imports", generate_all, generate_unused_types: true });
}

/// Bindings of the export of a function that a topic triggers.
#[doc(hidden)]
pub mod function {
    wit_bindgen::generate!({
        path: "platform",
        world: "function",
        with: {
            "isobar:platform/types@0.1.1": crate::types,
            "isobar:platform/events@0.1.1": crate::events,
        },
        export_macro_name: "export_function",
        pub_export_macro: true,
        default_bindings_module: "isobar_guest::function",
    });
}

/// Bindings of the export of a function that a schedule triggers.
#[doc(hidden)]
pub mod scheduled_function {
    wit_bindgen::generate!({
        path: "platform",
        world: "scheduled-function",
        with: {
            "isobar:platform/types@0.1.1": crate::types,
            "isobar:platform/events@0.1.1": crate::events,
        },
        export_macro_name: "export_scheduled_function",
        pub_export_macro: true,
        default_bindings_module: "isobar_guest::scheduled_function",
    });
}

/// Bindings of the export of a function whose state has another form than before.
#[doc(hidden)]
pub mod migrating_function {
    wit_bindgen::generate!({
        path: "platform",
        world: "migrating-function",
        with: {
            "isobar:platform/types@0.1.1": crate::types,
            "isobar:platform/events@0.1.1": crate::events,
        },
        export_macro_name: "export_migrating_function",
        pub_export_macro: true,
        default_bindings_module: "isobar_guest::migrating_function",
    });
}

pub use function::exports::isobar::platform::handler::Guest as Handler;
pub use imports::isobar::platform::{events, state, types};
pub use migrating_function::exports::isobar::platform::migration::Guest as Migration;
pub use scheduled_function::exports::isobar::platform::scheduled::Guest as Scheduled;

mod packed;

pub use packed::{Items, PackedBuilder};

/// Exports a type that implements [`Handler`]. Only on wasm32: elsewhere a cdylib cannot hold such names, and
/// tests of the package's pure part must link.
#[macro_export]
macro_rules! handler {
    ($function:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::function::export_function!($function with_types_in $crate::function);
    };
}

/// Exports a type that implements [`Scheduled`]. Only on wasm32, as [`handler!`].
#[macro_export]
macro_rules! scheduled {
    ($function:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::scheduled_function::export_scheduled_function!($function with_types_in $crate::scheduled_function);
    };
}

/// Exports a type that implements [`Migration`]. Only on wasm32, as [`handler!`].
#[macro_export]
macro_rules! migration {
    ($function:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::migrating_function::export_migrating_function!($function with_types_in $crate::migrating_function);
    };
}

impl From<types::Error> for events::Failure {
    /// An import that failed asks for the batch again: the host knows whether it was the import's fault.
    fn from(error: types::Error) -> Self {
        let (types::Error::Unavailable(reason) | types::Error::Invalid(reason)) = error;
        events::Failure::Retry(reason)
    }
}
