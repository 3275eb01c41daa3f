//! One aggregate from a packed batch in memory to held effects, state included, against the same code called natively
//! over the same state. The state holds every day of the batches; each round revises every reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::app::{self, Plan};
use isobar::bindings::{CallContext, WireBatch};
use isobar::delivery::{Allowance, Effects, HeldTable, Interval, Packed};
use isobar::deploys::Settings;
use isobar::embedded::{Commit, Kind, Note, Store};
use isobar::registry::Version;
use isobar::registry::call::Outcome;
use observation::{Product, Source, Stamp, State, StationId, Temperature, Tenths, write_temperature};

use crate::{median, native, root};

const FUNCTION: &str = "aggregate-temperature";
/// Records that are measured for each size of batch.
const RECORDS: usize = 32 * 4096;
const ROUNDS: usize = 9;

/// Measures batches of 1, 256 and 4096 records and prints a line for each.
pub(crate) async fn run() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = std::fs::read_to_string(root().join("spin.toml")).unwrap();
    let data_dir = dir.path().join("data");
    let plan = Plan { manifest, root: root(), data_dir, kind: Kind::MadeUp, settings: Settings::default() };
    let prepared = app::prepare(plan).await.unwrap();
    let _time = prepared.tick().unwrap();
    let version = prepared.version(FUNCTION).unwrap();
    let store = Arc::clone(&prepared.store);
    let context = version.context(&store, 0);
    fill(&store, &version, &context).await;
    println!("(a) one batch of `{FUNCTION}` to held effects, state read from the store; ns per record, medians");
    for size in [1, 256, 4096] {
        let records = if size == 1 { 512 } else { RECORDS };
        measure(&store, &version, &context, size, records).await;
    }
    prepared.store.close().await;
}

async fn measure(store: &Arc<Store>, version: &Arc<Version>, context: &CallContext, size: usize, records: usize) {
    let (mut guest, mut native) = (Vec::new(), Vec::new());
    let mut commits = Vec::new();
    for round in 0..ROUNDS {
        let batches = batches(records, size, 2 + round as u64);
        let started = Instant::now();
        let mut last = None;
        for batch in &batches {
            last = Some(call(version, context, batch).await);
        }
        guest.push(started.elapsed());
        let started = Instant::now();
        for batch in &batches {
            std::hint::black_box(run_native(store, batch));
        }
        native.push(started.elapsed());
        let started = Instant::now();
        commit(store, version, last.unwrap(), size).await;
        commits.push(started.elapsed());
    }
    let per =
        // The first round touches memory for the first time.
        |times: &[Duration], n: usize| median(times.iter().skip(1).map(|t| t.as_nanos() as f64 / n as f64).collect());
    let (guest, native) = (per(&guest, records), per(&native, records));
    let commit = per(&commits, size);
    println!(
        "    batch {size:>4}: guest {guest:>8.0}  native {native:>8.0}  ratio {:.2}   (commit {commit:.0}, left out)",
        guest / native
    );
}

/// Commits every day once, so that state is read and not only written.
async fn fill(store: &Store, version: &Version, context: &CallContext) {
    for batch in batches(RECORDS, 4096, 1) {
        let effects = call(version, context, &batch).await;
        commit(store, version, effects, batch.values.len()).await;
    }
}

async fn commit(store: &Store, version: &Version, effects: Effects, records: usize) {
    let note = Note { function: FUNCTION.into(), source: "temperature".into(), partition: 0 };
    let first = store.position(&note).await.unwrap();
    let commit = Commit {
        note,
        interval: Some(Interval { first, next: first + records as i64 }),
        records: records as u32,
        version: Arc::clone(&version.digest),
        attempt: 1,
        effects: Arc::new(effects),
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
}

struct Batch {
    keys: Packed,
    values: Packed,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
}

/// Consecutive readings of one station; the values follow from stamp and revision.
fn batches(records: usize, size: usize, revision: u64) -> Vec<Batch> {
    let station = StationId::new(433).unwrap();
    let source = Source { product: Product::Recent, revision };
    let first = Stamp::from_number(201_501_010_000).unwrap();
    let numbers: Vec<usize> = (0..records).collect();
    let batch = |numbers: &[usize]| {
        let (mut keys, mut values) = (Packed::default(), Packed::default());
        for number in numbers {
            let wave = (*number as f64 / 23.0).sin() * 120.0 + revision as f64;
            let reading = Temperature {
                station,
                stamp: Stamp::from_minutes(first.minutes() + 10 * *number as i32).unwrap(),
                temperature: Tenths::new(wave as i32 + 80),
                temperature_5cm: Tenths::new(wave as i32 + 70),
                quality: Some(3),
                source,
            };
            let mut value = Vec::new();
            write_temperature(&mut value, &reading);
            keys.push(Some(&station.digits()));
            values.push(Some(&value));
        }
        let offsets = numbers.iter().map(|n| *n as i64).collect();
        Batch { keys, values, offsets, timestamps: vec![0; numbers.len()] }
    };
    numbers.chunks(size).map(batch).collect()
}

async fn call(version: &Version, context: &CallContext, batch: &Batch) -> Effects {
    let wire = WireBatch {
        topic: "temperature",
        partition: 0,
        keys: (&batch.keys).into(),
        values: (&batch.values).into(),
        offsets: &batch.offsets,
        timestamps: &batch.timestamps,
        headers: &[],
        attempt: 1,
    };
    match version.handle(context.clone(), wire, 0, 1).await.outcome {
        Outcome::Done { effects, .. } => effects,
        Outcome::Failed { failure, .. } => panic!("{failure}"),
    }
}

/// The same state, by the same store, held as the host holds it.
struct Committed<'s> {
    store: &'s Store,
    held: BTreeMap<String, Option<Vec<u8>>>,
}

impl State for Committed<'_> {
    fn get_many(&mut self, keys: &isobar_guest::types::Packed) -> isobar_guest::types::Packed {
        let keys: Vec<&str> = isobar_guest::Items::of(keys).map(|k| std::str::from_utf8(k.unwrap()).unwrap()).collect();
        let missing: Vec<&str> = keys.iter().copied().filter(|k| !self.held.contains_key(*k)).collect();
        let found = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current()
                .block_on(self.store.state(FUNCTION, 0, &missing, &mut Allowance::unlimited()))
                .unwrap()
        });
        let mut values = isobar_guest::PackedBuilder::default();
        for key in keys {
            match self.held.get(key).map_or_else(|| found.get(key), Option::as_ref) {
                Some(value) => values.push(value),
                None => values.push_null(),
            }
        }
        values.build()
    }

    fn put_many(&mut self, keys: &isobar_guest::types::Packed, values: &isobar_guest::types::Packed) {
        for (key, value) in isobar_guest::Items::of(keys).zip(isobar_guest::Items::of(values)) {
            let key = String::from_utf8(key.unwrap().to_vec()).unwrap();
            self.held.insert(key, value.map(<[u8]>::to_vec));
        }
    }
}

type Held = (BTreeMap<String, Option<Vec<u8>>>, BTreeMap<&'static str, HeldTable>);

fn run_native(store: &Store, batch: &Batch) -> Held {
    let mut state = Committed { store, held: BTreeMap::new() };
    let records = batch.keys.iter().flatten().zip(batch.values.iter().flatten());
    let outcome = aggregate_temperature::fold(records, &mut state).unwrap();
    let others = aggregate_others::Outcome { daily: Vec::new(), refusals: Vec::new() };
    let held = native::held(&outcome, &others);
    (state.held, held)
}
