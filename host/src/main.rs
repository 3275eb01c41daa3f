//! The program `isobar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    isobar::program::main()
}
