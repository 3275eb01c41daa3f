//! What the platform costs beside the same code run natively. Both sides run in turns, in one process or one run, the
//! first round is dropped, and what counts is the ratio of the medians. Run by `cargo bench -p isobar`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that fails says so by panicking")]

mod call;
mod job;
mod meter;
mod native;

use std::path::{Path, PathBuf};

fn main() {
    // `cargo test --benches` asks for a list of tests, of which a bench has none.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let built =
        std::process::Command::new(env!("CARGO_BIN_EXE_isobar")).arg("build").current_dir(root()).status().unwrap();
    assert!(built.success(), "the functions could not be built");
    let cores = std::thread::available_parallelism().unwrap();
    println!("machine: {cores} cores");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(call::run());
    job::run(&runtime);
}

/// The folder of the application's manifest.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
