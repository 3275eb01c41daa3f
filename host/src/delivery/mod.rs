//! What travels: records in batches, the effects a call holds back, rows, and the rules of cutting and retrying.
//!
//! Pure: no I/O, no async, no wasm.

pub mod effects;
pub mod frame;
pub mod packed;
pub mod partitioner;
pub mod records;
pub mod retry;
pub mod rows;

pub use effects::{Effects, Published, Rejection};
pub use packed::Packed;
pub use records::{Header, Records};
pub use rows::{HeldRow, HeldTable, Row, Value};
