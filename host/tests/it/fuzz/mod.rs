//! Inputs as nobody wrote them: whatever reaches the host is read, refused in words, or found damaged, and nothing of it
//! makes the host panic, wait, or take without bounds. See `mutate` for how inputs are made and how long it goes on.

mod api;
mod components;
mod data_file;
mod frames;
mod manifests;
mod tables;
mod words;

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// For `mutate` to bound memory by.
#[global_allocator]
static ALLOCATOR: mutate::Counting = mutate::Counting;

/// Panics of this process so far, in whatever thread or task: a task's is caught by the runtime and seen by nobody.
fn panics() -> u64 {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            SEEN.fetch_add(1, Ordering::Relaxed);
            before(panic);
        }));
    });
    SEEN.load(Ordering::Relaxed)
}

/// What a message says, without what it says it of: the same mistake at another place is no other outcome.
fn kind(message: &str) -> String {
    message.split('`').step_by(2).flat_map(|part| part.chars().filter(char::is_ascii_lowercase)).take(40).collect()
}
