//! What a function may import, one folder per interface. The glue to wasm is in `host`, the backends below it.

pub mod tables;
