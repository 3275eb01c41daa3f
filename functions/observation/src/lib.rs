//! What the weather functions share: the messages of the topics, their exact units, the winner among several
//! readings of one slot, and the port to keyed state. It knows no table, no archive format and no host.

mod column;
mod days;
mod fallback;
mod invalid;
mod message;
mod readings;
mod records;
mod source;
mod stamp;
mod state;
mod station;
mod summary;
mod template;
mod tenths;
mod writer;

#[cfg(test)]
mod fuzz;

pub use column::{Column, Hours, Totals, rounded};
pub use days::{Puts, Reading, TouchedDay, TouchedDays};
pub use invalid::Invalid;
pub use message::{Others, Temperature, parse_others, parse_temperature, write_others, write_temperature};
pub use readings::{Change, DayReadings, Provenance};
pub use records::{Refusal, check_key, read};
pub use source::{Product, Source};
pub use stamp::{Day, HOUR_ZERO, SLOTS, Stamp, days_in_year};
#[cfg(target_arch = "wasm32")]
pub use state::HostState;
pub use state::{MemoryState, State, Unreadable};
pub use station::StationId;
pub use summary::{StationSummary, parse_summary, write_summary};
pub use tenths::{Range, Tenths};
pub use writer::MessageWriter;
