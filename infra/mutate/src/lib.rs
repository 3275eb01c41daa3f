//! Fuzzing inside `cargo test`: a reader of some input is given valid inputs, and what becomes of them when bits flip,
//! parts vanish, repeat or mingle and numbers turn extreme. It must not panic, and must stay within a time and, where
//! [`Counting`] allocates, a memory that go with the length of the input; what else has to hold, the target asserts.
//! One that does not come back at all ends the process.
//!
//! No instrumentation tells which code an input reached. In its place a target returns what came out, roughly (which
//! error, how many rows): an input that gives something new is kept, and mutated further.
//!
//! Each target runs for [`SECONDS`]; `ISOBAR_FUZZ_SECONDS=600` makes it ten minutes, and `ISOBAR_FUZZ_SEED` repeats a
//! run: the same seed gives the same inputs in the same order.

mod memory;
mod mutation;
mod random;
mod watch;

use std::collections::HashSet;
use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher as _, RandomState};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub use memory::Counting;
use mutation::mutated;
use random::Random;
use watch::Watch;

/// Seconds for each target where nothing else is asked for: what a run of all tests can spare.
const SECONDS: u64 = 2;
/// A target that tries fewer inputs than this has shown nothing: the slowest of ours tries 300 in two seconds.
const LEAST_INPUTS: u64 = 20;
/// Where the machine is busy, it has so much more time for these.
const GRACE: Duration = Duration::from_secs(60);
/// An input that takes this long, and so many times what it may take, will not end: the machine can be busy, but not so
/// busy.
const HANGS: Duration = Duration::from_secs(60);
const HANGS_TIMES: u32 = 20;
/// Inputs that are kept for what they gave; a target whose outcomes never end needs an end here.
const MOST_KEPT: usize = 2_000;
/// Outcomes that are told apart, for the same reason.
const MOST_KNOWN: usize = 100_000;
/// Mutations of one input.
const MOST_MUTATIONS: u64 = 8;
/// Bytes of an input that failed that the message shows; all of it is in a file.
const SHOWN: usize = 400;
/// An input that took too long is tried again so often: the machine may have been busy.
const SECOND_CHANCES: u32 = 4;

/// An input's reader, and where to begin.
#[derive(Debug, Clone)]
pub struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    longest: usize,
    base: Duration,
    per_kib: Duration,
    base_bytes: usize,
    bytes_per_byte: usize,
    hangs: Duration,
    /// How long it is fed where nobody says.
    seconds: u64,
}

impl Target {
    /// A target without seeds.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Target {
            name,
            seeds: Vec::new(),
            words: Vec::new(),
            longest: 64 * 1024,
            base: Duration::from_millis(50),
            per_kib: Duration::from_millis(2),
            base_bytes: 1024 * 1024,
            bytes_per_byte: 100,
            hangs: HANGS,
            seconds: SECONDS,
        }
    }

    /// Valid inputs, which are tried as they are, too.
    #[must_use]
    pub fn seeds<S: Into<Vec<u8>>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// Pieces that mean something in this input, to be strewn in.
    #[must_use]
    pub fn words<S: AsRef<[u8]>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_vec()));
        self
    }

    /// No input becomes longer than so many bytes.
    #[must_use]
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// What an input may take: a basic time and, for each KiB of it, so much more.
    #[must_use]
    pub fn time(mut self, base: Duration, per_kib: Duration) -> Self {
        (self.base, self.per_kib) = (base, per_kib);
        self
    }

    /// What an input may allocate at one time: some bytes and, for each byte of it, so many more.
    #[must_use]
    pub fn memory(mut self, base: usize, per_byte: usize) -> Self {
        (self.base_bytes, self.bytes_per_byte) = (base, per_byte);
        self
    }

    /// Feeds `target`, which asserts what must hold and gives what came out.
    ///
    /// # Panics
    /// When the target does, or an input takes too much time or memory; the input is kept in a file that the message
    /// names. Too when hardly an input was tried. An input that takes far too much time ends the process, with the same
    /// message.
    pub fn run<O: Hash>(&self, mut target: impl FnMut(&[u8]) -> O) {
        let seconds = number("ISOBAR_FUZZ_SECONDS");
        let seed = number("ISOBAR_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(self.name));
        let mut running = Running::new(self, seed);
        let mut kept = Vec::new();
        for input in &self.seeds {
            running.feed(input, &mut target);
            kept.push(input.clone());
        }
        assert!(!kept.is_empty(), "target `{}` has no seeds", self.name);
        let begun = Instant::now();
        let end = Duration::from_secs(seconds.unwrap_or(self.seconds));
        let mut inputs = 0_u64;
        while begun.elapsed() < end || (inputs < LEAST_INPUTS && begun.elapsed() < end + GRACE) {
            let input = running.next(&kept);
            if running.feed(&input, &mut target) && kept.len() < MOST_KEPT {
                kept.push(input);
            }
            inputs += 1;
        }
        assert!(
            inputs >= LEAST_INPUTS,
            "fuzzing `{}` with seed {seed}: it tried {inputs} inputs in {:?}, fewer than {LEAST_INPUTS}",
            self.name,
            begun.elapsed()
        );
        if seconds.is_some() {
            let outcomes = running.known.len();
            // Past the harness, which would keep it for itself.
            let _ = writeln!(
                std::io::stderr(),
                "fuzzed {}: {inputs} inputs in {} s, {outcomes} outcomes, seed {seed}",
                self.name,
                begun.elapsed().as_secs()
            );
        }
    }
}

struct Running<'t> {
    target: &'t Target,
    random: Random,
    seed: u64,
    /// Hashes of outcomes.
    known: HashSet<u64>,
    watch: Watch,
}

impl<'t> Running<'t> {
    fn new(target: &'t Target, seed: u64) -> Self {
        let watch = Watch::new(target.name, seed);
        Running { target, random: Random::new(seed), seed, known: HashSet::new(), watch }
    }

    fn next(&mut self, kept: &[Vec<u8>]) -> Vec<u8> {
        let pick = |random: &mut Random| kept.get(random.below(kept.len())).cloned().unwrap_or_default();
        let mut input = pick(&mut self.random);
        let other = pick(&mut self.random);
        for _ in 0..=self.random.below(MOST_MUTATIONS as usize) {
            input = mutated(input, &other, &self.target.words, &mut self.random);
            input.truncate(self.target.longest);
        }
        input
    }

    /// Whether the input gave something new.
    fn feed<O: Hash>(&mut self, input: &[u8], target: &mut impl FnMut(&[u8]) -> O) -> bool {
        let kib = u32::try_from(input.len() / 1024).unwrap_or(u32::MAX);
        let most_time = self.target.base + self.target.per_kib * kib;
        let most_bytes = self.target.base_bytes + self.target.bytes_per_byte * input.len();
        let hangs = self.target.hangs.max(most_time * HANGS_TIMES);
        let mut took = Duration::MAX;
        for _ in 0..=SECOND_CHANCES {
            self.watch.begins(input, hangs);
            let begun = Instant::now();
            let (result, bytes) = memory::most(|| catch_unwind(AssertUnwindSafe(|| target(input))));
            took = took.min(begun.elapsed());
            self.watch.ends();
            let Ok(outcome) = result else { self.failed(input, "it panics") };
            if bytes > most_bytes {
                self.failed(input, &format!("it allocates {bytes} bytes, more than {most_bytes}"));
            }
            if took <= most_time {
                return self.known.len() < MOST_KNOWN && self.known.insert(hash(&outcome));
            }
        }
        self.failed(input, &format!("it takes {took:?}, more than {most_time:?}"));
    }

    fn failed(&self, input: &[u8], how: &str) -> ! {
        panic!("{}", failure(self.target.name, self.seed, input, how));
    }
}

/// Keeps an input that failed in a file, and says what failed and where it is.
fn failure(name: &str, seed: u64, input: &[u8], how: &str) -> String {
    let file = std::env::temp_dir().join(format!("isobar-fuzz-{name}-{:016x}", hash(&input)));
    let kept = match std::fs::write(&file, input) {
        Ok(()) => file.display().to_string(),
        Err(error) => format!("no file: {error}"),
    };
    let shown = input.get(..SHOWN).unwrap_or(input).escape_ascii();
    format!("fuzzing `{name}` with seed {seed}: {how}; its {} bytes are in {kept}: {shown}", input.len())
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{variable}` is `{text}`, which is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    fn failure(run: impl FnOnce()) -> String {
        let error = catch_unwind(AssertUnwindSafe(run)).expect_err("it is found");
        error.downcast_ref::<String>().expect("it says what").clone()
    }

    #[test]
    fn a_panic_is_found_step_by_step_and_its_input_kept() {
        // Seven letters in a row are never met by chance; what each prefix gives leads there.
        let target = |input: &[u8]| {
            let common = input.iter().zip(b"isobars").take_while(|(a, b)| a == b).count();
            assert!(common < 7, "found");
            common
        };
        let mut letters = Target::new("letters").seeds(["a"]);
        // It mostly takes one second, and ends when it is found.
        letters.seconds = 120;
        let said = failure(|| letters.run(target));
        let file = said.split(" are in ").nth(1).and_then(|rest| rest.split(": ").next()).expect("it names the file");
        assert!(std::fs::read(file).expect("the file is there").starts_with(b"isobars"), "{said}");
        std::fs::remove_file(file).expect("the file can be removed");
    }

    #[test]
    fn too_much_time_and_too_much_memory_are_found() {
        let slow = Target::new("slow").seeds(["a"]).time(Duration::from_millis(1), Duration::ZERO);
        let said = failure(|| slow.run(|_| std::thread::sleep(Duration::from_millis(3))));
        assert!(said.contains("it takes ") && said.contains("more than 1ms"), "{said}");
        let large = Target::new("large").seeds(["a"]).memory(1000, 0);
        let said = failure(|| large.run(|_| std::hint::black_box(vec![1_u8; 2000]).len()));
        assert!(said.contains("it allocates 2"), "{said}");
    }

    #[test]
    fn a_target_that_hangs_ends_with_its_input_kept() {
        // Run by itself, since the process ends.
        if std::env::var_os("ISOBAR_FUZZ_HANGS").is_some() {
            let mut target = Target::new("hangs").seeds(["a"]).time(Duration::from_millis(1), Duration::ZERO);
            target.hangs = Duration::from_millis(100);
            return target.run(|_| std::thread::sleep(Duration::from_secs(10)));
        }
        let this = std::env::current_exe().expect("the test knows its file");
        let mut child = std::process::Command::new(this);
        child.args(["tests::a_target_that_hangs_ends_with_its_input_kept", "--exact"]);
        let child = child.env("ISOBAR_FUZZ_HANGS", "").env("ISOBAR_FUZZ_SEED", "5").output().expect("it runs");
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(
            said.contains("fuzzing `hangs` with seed 5: it does not end within 100ms; its 1 bytes are in "),
            "{said}"
        );
        let file = said.split(" are in ").nth(1).and_then(|rest| rest.split(": ").next()).expect("it names the file");
        assert_eq!(std::fs::read(file).expect("the file is there"), b"a");
        std::fs::remove_file(file).expect("the file can be removed");
    }

    #[test]
    fn a_seed_gives_the_same_inputs() {
        let inputs = |seed| {
            let target = Target::new("same").seeds(["abc 12", "<a>"]).words(["word"]);
            let mut running = Running::new(&target, seed);
            let kept = target.seeds.clone();
            (0..1000).map(|_| running.next(&kept)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }
}
