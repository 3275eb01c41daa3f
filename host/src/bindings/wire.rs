//! The records of the contract as wasmtime lowers and lifts them. Shapes only; what they mean stands in platform.wit.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::delivery::{Packed, Rejection};

/// `packed`, borrowed on its way into a guest.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub struct WirePackedRef<'a> {
    data: &'a [u8],
    ends: &'a [u32],
    nulls: &'a [u32],
}

/// `packed`, owned.
#[derive(Clone, Default, ComponentType, Lift, Lower)]
#[component(record)]
pub struct WirePacked {
    pub(super) data: Vec<u8>,
    pub(super) ends: Vec<u32>,
    pub(super) nulls: Vec<u32>,
}

/// `batch`, borrowed.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub struct WireBatch<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// Keys.
    pub keys: WirePackedRef<'a>,
    /// Values.
    pub values: WirePackedRef<'a>,
    /// Offsets.
    pub offsets: &'a [i64],
    /// Milliseconds since the Unix epoch.
    pub timestamps: &'a [i64],
    /// Headers.
    pub headers: &'a [WireHeader<'a>],
    /// 1 for the first delivery.
    pub attempt: u32,
}

/// `header`, borrowed.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub struct WireHeader<'a> {
    /// Index of the record.
    pub at: u32,
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a [u8],
}

/// `tick`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub struct WireTick {
    /// Milliseconds since the Unix epoch.
    #[component(name = "due-ms")]
    pub due_ms: i64,
    /// Runs that never happened.
    pub missed: u32,
    /// 1 for the first try.
    pub attempt: u32,
}

/// `next`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum WireNext {
    /// At the next time of the schedule.
    #[default]
    #[component(name = "done")]
    Done,
    /// After so many milliseconds.
    #[component(name = "again")]
    Again(u32),
}

/// `rejection`.
#[derive(Clone, ComponentType, Lift)]
#[component(record)]
pub struct WireRejection {
    at: u32,
    reason: String,
}

/// `failure`.
#[derive(Clone, ComponentType, Lift)]
#[component(variant)]
pub enum WireFailure {
    /// The whole batch again.
    #[component(name = "retry")]
    Retry(String),
    /// These records are refused.
    #[component(name = "reject")]
    Reject(Vec<WireRejection>),
}

/// `error`, as imports give it.
#[derive(Clone, Debug, ComponentType, Lower)]
#[component(variant)]
pub(crate) enum WireError {
    /// Trying again later may help.
    #[component(name = "unavailable")]
    Unavailable(String),
    /// Trying again will not help.
    #[component(name = "invalid")]
    Invalid(String),
}

impl<'a> From<&'a Packed> for WirePackedRef<'a> {
    fn from(packed: &'a Packed) -> Self {
        WirePackedRef { data: packed.data(), ends: packed.ends(), nulls: packed.nulls() }
    }
}

impl WireRejection {
    /// The same with other words.
    pub fn with(self, words: impl FnOnce(String) -> String) -> Self {
        WireRejection { reason: words(self.reason), ..self }
    }
}

impl From<WireRejection> for Rejection {
    fn from(rejection: WireRejection) -> Self {
        Rejection { at: rejection.at, reason: crate::delivery::failure::cut(&rejection.reason) }
    }
}

impl WirePacked {
    /// Checks what a guest gave.
    pub(crate) fn checked(self, what: &str) -> Result<Packed, WireError> {
        Packed::from_parts(self.data, self.ends, self.nulls)
            .map_err(|e| WireError::Invalid(format!("`{what}` is not packed right: {e}")))
    }
}
