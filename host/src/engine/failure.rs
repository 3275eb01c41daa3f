//! How a failed call reads: the panic's own line first, then the guest's frames without those of Rust's std.

use wasmtime::{Trap, WasmBacktrace};

/// Characters of a reason that are kept; a guest can make a panic message as long as it likes.
pub const MAX_REASON_CHARS: usize = 2000;

/// Frames of the guest's own code that are told.
const MAX_FRAMES: usize = 8;

/// Says why a call failed, from wasmtime's error and what the guest wrote to stderr.
#[must_use]
pub fn reason(error: &wasmtime::Error, stderr: &str) -> String {
    let cause = panic_line(stderr).unwrap_or_else(|| match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => "it aborted (wasm `unreachable`)".to_owned(),
        _ => error.root_cause().to_string(),
    });
    let frames = error.downcast_ref::<WasmBacktrace>().map(guest_frames).unwrap_or_default();
    match frames.is_empty() {
        true => cut(&cause),
        false => cut(&format!("{cause}\n  in {}", frames.join("\n  in "))),
    }
}

/// Cuts a text of a guest to [`MAX_REASON_CHARS`].
#[must_use]
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
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

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "ü".repeat(MAX_REASON_CHARS + 5);
        assert_eq!(cut(&long).chars().count(), MAX_REASON_CHARS + 1);
        assert_eq!(cut("short"), "short");
    }
}
