//! The program `isobar`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    isobar::program::run().await
}
