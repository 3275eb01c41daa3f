//! What the weather functions share: the messages of the topics, their exact units, the winner among several
//! readings of one slot, and the port to keyed state. It knows no table, no archive format and no host.

mod fallback;
mod invalid;
mod message;
mod source;
mod stamp;
mod station;
mod summary;
mod template;
mod tenths;

pub use invalid::Invalid;
pub use message::{Others, Temperature, parse_others, parse_temperature, write_others, write_temperature};
pub use source::{Product, Source};
pub use stamp::{Day, HOUR_ZERO, SLOTS, Stamp, days_in_year};
pub use station::StationId;
pub use summary::{StationSummary, parse_summary, write_summary};
pub use tenths::{Range, Tenths};
