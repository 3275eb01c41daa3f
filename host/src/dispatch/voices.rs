//! What functions write to stdout and stderr, as it goes into the host's log: so much a minute and no more. The last lines are held
//! for who asks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use utoipa::ToSchema;

use crate::clock::now_ms;
use crate::registry::Version;

/// Under what target the log has what functions write.
pub const VOICES: &str = "isobar::functions";

const MINUTE_MS: i64 = 60_000;
/// What the log adds to a line, about: time, level, names. Empty lines would be free without it.
const LINE_BYTES: usize = 100;
/// Lines that are held, and bytes of them.
const MOST_LINES: usize = 10_000;
const MOST_HELD_BYTES: usize = 4 * 1024 * 1024;

/// What a function wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spoken {
    /// Which line it is, of all functions, counted from 1 since the host was started.
    pub number: u64,
    /// When its call ended, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The function.
    pub function: String,
    /// Its version, as people read it.
    pub version: String,
    /// The line.
    pub line: String,
}

/// What each function said in this minute.
#[derive(Default)]
pub struct Voices {
    said: Mutex<HashMap<Arc<str>, Said>>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    lines: VecDeque<Spoken>,
    bytes: usize,
    last: u64,
}

impl Held {
    fn push(&mut self, at_ms: i64, function: &Arc<str>, version: &Version, line: &str) {
        self.last += 1;
        self.bytes += line.len() + LINE_BYTES;
        let (function, version, line) = (function.to_string(), version.short().to_owned(), line.to_owned());
        self.lines.push_back(Spoken { number: self.last, at_ms, function, version, line });
        while self.lines.len() > MOST_LINES || self.bytes > MOST_HELD_BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |gone| gone.line.len() + LINE_BYTES);
        }
    }
}

#[derive(Default)]
struct Said {
    minute: i64,
    bytes: usize,
    is_told: bool,
}

impl Voices {
    /// Logs what a call wrote, as far as its minute has room.
    pub(super) fn log(&self, function: &Arc<str>, version: &Version, output: &str) {
        if output.is_empty() {
            return;
        }
        let most = version.function.limits.output_bytes_per_minute as usize;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.entry(Arc::clone(function)).or_default();
        let now = now_ms();
        let minute = now / MINUTE_MS;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if said.minute != minute {
            *said = Said { minute, ..Said::default() };
        }
        for line in output.lines() {
            said.bytes += line.len() + LINE_BYTES;
            if said.bytes <= most {
                info!(target: VOICES, %function, "{line}");
                held.push(now, function, version, line);
            } else if !std::mem::replace(&mut said.is_told, true) {
                let told = format!(
                    "it wrote more than its `output_bytes_per_minute` of {most}; the rest of this minute is not logged"
                );
                warn!(%function, "{told}");
                held.push(now, function, version, &told);
            }
        }
    }

    /// Lines that are held of `function`, or of all, behind the one of number `after`; the last `most` of them. And the number of the
    /// last line of all.
    #[must_use]
    pub fn held(&self, function: Option<&str>, after: u64, most: usize) -> (Vec<Spoken>, u64) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |spoken: &&Spoken| spoken.number > after && function.is_none_or(|f| spoken.function == f);
        let mut lines: Vec<Spoken> = held.lines.iter().rev().filter(wanted).take(most).cloned().collect();
        lines.reverse();
        (lines, held.last)
    }
}
