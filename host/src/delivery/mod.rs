//! What travels: records in batches, the effects a call holds back, rows, and the rules of cutting and retrying.
//!
//! Pure: no I/O, no async, no wasm.

pub mod allowance;
pub mod effects;
pub mod failure;
pub mod frame;
pub mod letters;
pub mod outbox;
pub mod outcome;
pub mod packed;
pub mod partitioner;
pub mod records;
pub mod retry;
pub mod rounds;
pub mod rows;
pub mod toll;
pub mod trial;

pub use allowance::Allowance;
pub use effects::{Effects, Published, Rejection};
pub use failure::{Cause, Failure};
pub use packed::Packed;
pub use records::{Header, Records};
pub use rows::{HeldRow, HeldTable, Row, Value, key_bytes};
pub use trial::{Interval, Patience, Trial, Verdict};
