//! What a function may use up: `[application.trigger.isobar.limits.<function>]`, each with a default that suits most.

use serde::Serialize;

/// The limits of one function. Those of a call fail that call; those of the function stop it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Linear memory of a call, in MiB.
    pub memory_mb: u32,
    /// Wall time of a call, in milliseconds, without what it waits for the host's own stores.
    pub timeout_ms: u32,
    /// Elements of a call's tables of functions.
    pub table_elements: u32,
    /// Bytes that a call writes to stdout and stderr; what is beyond is cut.
    pub output_bytes: u32,
    /// The same for all calls of a minute; what is beyond is not logged.
    pub output_bytes_per_minute: u32,
    /// Bytes of one value of state.
    pub state_value_bytes: u32,
    /// Bytes of all keys and values of the function's state.
    pub state_bytes: u64,
    /// Records published by a call.
    pub publish_records: u32,
    /// Bytes of their keys and values.
    pub publish_bytes: u32,
    /// Rows written by a call, deleted ones too.
    pub write_rows: u32,
    /// Bytes of their cells.
    pub write_bytes: u32,
    /// Rows of tables and values of state that a call asks for.
    pub read_rows: u32,
    /// Bytes of them.
    pub read_bytes: u32,
    /// Bytes of everything that a call holds until it commits.
    pub held_bytes: u32,
    /// Bytes in the log of everything that the function published.
    pub stored_bytes: u64,
    /// How often a record may follow from a record of the same function: 0 where it may not publish to itself at all.
    pub rounds: u32,
    /// Dead letters among the last 10,000 records; with more the function is stopped.
    pub max_dead_letters: u32,
    /// What the requests of a call may use up.
    pub http: HttpLimits,
}

/// What the HTTP requests of one call may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HttpLimits {
    /// Bytes of a request's body.
    pub request_bytes: u32,
    /// Bytes of a response's body.
    pub response_bytes: u32,
    /// Requests, those included that are denied.
    pub requests: u32,
    /// Requests under way at one time, each until its response is read or dropped.
    pub concurrent: u32,
    /// From the beginning of a request to the end of its response, in milliseconds.
    pub timeout_ms: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            request_bytes: 1024 * 1024,
            response_bytes: 32 * 1024 * 1024,
            requests: 64,
            concurrent: 8,
            timeout_ms: 30_000,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_mb: 64,
            timeout_ms: 5_000,
            table_elements: 20_000,
            output_bytes: 64 * 1024,
            output_bytes_per_minute: 1024 * 1024,
            state_value_bytes: 900 * 1024,
            state_bytes: 1 << 30,
            publish_records: 200_000,
            publish_bytes: 24 * 1024 * 1024,
            write_rows: 100_000,
            write_bytes: 24 * 1024 * 1024,
            read_rows: 100_000,
            read_bytes: 32 * 1024 * 1024,
            held_bytes: 32 * 1024 * 1024,
            stored_bytes: 1 << 40,
            rounds: 0,
            max_dead_letters: 100,
            http: HttpLimits::default(),
        }
    }
}
