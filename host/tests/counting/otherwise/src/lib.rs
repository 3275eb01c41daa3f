//! The counting function with another formula: see `OTHERWISE` there.

include!("../../counting/src/counting.rs");
