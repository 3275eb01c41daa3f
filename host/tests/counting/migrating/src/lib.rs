//! The counting function with its counts as text: see `AS_TEXT` there.

include!("../../counting/src/counting.rs");
