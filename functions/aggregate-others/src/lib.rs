//! Aggregates 10-minute pressure, humidity and dew point to days. The core ([`fold`]) is free of I/O: it is given
//! records and a [`State`](observation::State) and says what rows follow. Only the component, which exists on wasm32
//! alone, speaks to the host.

mod daily;
mod fold;

#[cfg(target_arch = "wasm32")]
mod component;

#[cfg(test)]
mod fuzz;

pub use daily::DailyRow;
pub use fold::{Outcome, fold};
