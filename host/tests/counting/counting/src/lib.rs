//! Counts records per key, deliberately not idempotent: a batch that takes effect twice or not at all shows in the
//! count, in the published records and in the table. Some records it cannot handle.

include!("counting.rs");
