//! Why a function runs besides records: schedules.

pub mod schedule;
