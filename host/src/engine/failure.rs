//! How a failed call reads: the panic's own line first, then the guest's frames without those of Rust's std.

use wasmtime::{Trap, WasmBacktrace};

use super::GUEST_STACK;
use crate::delivery::failure::cut;
use crate::delivery::{Cause, Failure};

/// Frames of the guest's own code that are told.
const MAX_FRAMES: usize = 8;

/// From wasmtime's error and what the guest wrote to stderr.
#[must_use]
pub fn of(error: &wasmtime::Error, stderr: &str) -> Failure {
    let panic = panic_line(stderr).map(|line| (Cause::Panic, line));
    let (cause, reason) = panic.unwrap_or_else(|| match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => (Cause::Trap, "it aborted (wasm `unreachable`)".to_owned()),
        Some(Trap::StackOverflow) => {
            let most = GUEST_STACK / 1024;
            (Cause::Limit, format!("its calls are nested deeper than the stack of {most} KiB that a function has"))
        }
        _ => (Cause::Trap, error.root_cause().to_string()),
    });
    let frames = error.downcast_ref::<WasmBacktrace>().map(guest_frames).unwrap_or_default();
    Failure { cause, reason: cut(&reason), frames: frames.iter().map(|frame| cut(frame)).collect() }
}

/// `panicked at src/lib.rs:6:48: index out of bounds`, from the two lines that Rust writes.
fn panic_line(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().skip_while(|l| !l.contains("panicked at "));
    let place = lines.next()?;
    let place = place.split_once("panicked at ").map_or(place, |(_, p)| p).trim_end_matches(':');
    Some(format!("panicked at {place}: {}", lines.next().unwrap_or_default()))
}

fn guest_frames(trace: &WasmBacktrace) -> Vec<String> {
    let names: Vec<String> = trace
        .frames()
        .iter()
        .filter_map(|f| f.func_name())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .collect();
    let is_std = |name: &String| {
        let start = name.trim_start_matches(['<', '&']);
        ["std::", "core::", "alloc::", "__rust", "rust_"].iter().any(|s| start.starts_with(s))
    };
    let own = names.iter().rposition(is_std).map_or(0, |last| last + 1);
    let own = if own == names.len() { 0 } else { own };
    names.into_iter().skip(own).take(MAX_FRAMES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_reads_in_one_line() {
        let stderr = "noise\n\nthread '<unnamed>' (1) panicked at src/lib.rs:6:48:\nindex out of bounds: the len is 1\nnote: run";
        assert_eq!(panic_line(stderr).unwrap(), "panicked at src/lib.rs:6:48: index out of bounds: the len is 1");
        assert_eq!(panic_line("nothing"), None);
    }
}
