//! The program `isobar`, built beside the application's tests so that they can start it, and end it, as a user does.

use std::process::ExitCode;

fn main() -> ExitCode {
    isobar::program::main()
}
