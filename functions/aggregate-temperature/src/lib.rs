//! Aggregates 10-minute temperatures to days, years and stations. The core ([`fold`]) is free of I/O: it is given
//! records and a [`State`](observation::State) and says what rows and messages follow. Only the component, which
//! exists on wasm32 alone, speaks to the host.

mod daily;
mod fold;
mod station;
mod yearly;

#[cfg(target_arch = "wasm32")]
mod component;

#[cfg(test)]
mod fuzz;

pub use daily::{DailyRow, MeanMethod};
pub use fold::{Outcome, OverallRow, fold};
pub use yearly::YearlyRow;
