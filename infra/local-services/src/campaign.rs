//! Runs of tests that do something at random, as many as the environment asks for.

use std::fmt::Debug;
use std::str::FromStr;

/// Rounds in all; a run has a fixed number of them, since after some time there is nothing left to disturb.
const ROUNDS: &str = "ISOBAR_ROUNDS";
/// The seed of the first run, to do it again.
const SEED: &str = "ISOBAR_SEED";

/// Speaks past the test harness, which hides what a passing test prints.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($words)*))).unwrap()
    };
}

/// Calls `run` with a seed: once, or as often as `ISOBAR_ROUNDS` takes when a run has `rounds` of them. Says each seed on stderr.
///
/// # Panics
/// When a variable of the environment is no number, or a run panics.
pub fn campaign(rounds: u32, mut run: impl FnMut(u64)) {
    let runs = asked::<u32>(ROUNDS).map_or(1, |asked| asked.div_ceil(rounds).max(1));
    let first = asked::<u64>(SEED).unwrap_or_else(rand::random);
    for number in 0..runs {
        let seed = first.wrapping_add(number.into());
        crate::say!("run {} of {runs}: `{SEED}={seed}` does the same at random", number + 1);
        run(seed);
    }
}

fn asked<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let said = std::env::var(name).ok()?;
    Some(said.parse().unwrap_or_else(|error| panic!("{name}={said} is no number: {error:?}")))
}
