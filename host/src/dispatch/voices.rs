//! What functions write to stdout and stderr, as it goes into the host's log: so much a minute and no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use crate::clock::now_ms;
use crate::registry::Version;

/// Under what target the log has what functions write.
pub const VOICES: &str = "isobar::functions";

const MINUTE_MS: i64 = 60_000;
/// What the log adds to a line, about: time, level, names. Empty lines would be free without it.
const LINE_BYTES: usize = 100;

/// What each function said in this minute.
#[derive(Default)]
pub(crate) struct Voices {
    said: Mutex<HashMap<Arc<str>, Said>>,
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
        let minute = now_ms() / MINUTE_MS;
        if said.minute != minute {
            *said = Said { minute, ..Said::default() };
        }
        for line in output.lines() {
            said.bytes += line.len() + LINE_BYTES;
            if said.bytes <= most {
                info!(target: VOICES, %function, "{line}");
            } else if !std::mem::replace(&mut said.is_told, true) {
                warn!(%function, "it wrote more than its `output_bytes_per_minute` of {most}; the rest of this minute is not logged");
            }
        }
    }
}
