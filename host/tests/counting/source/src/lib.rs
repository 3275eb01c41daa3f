//! Publishes numbered records under a few keys, some per run, until there are enough. Not idempotent: its cursor is in
//! state, so a run that is committed twice or lost shows in the topic.

#[cfg(target_arch = "wasm32")]
mod component {
    use isobar_guest::events::{Failure, Next, Tick};
    use isobar_guest::{PackedBuilder, state};

    mod bindings {
        wit_bindgen::generate!({
            path: "wit",
            world: "grants",
            with: { "isobar:platform/types@0.1.1": isobar_guest::types },
            generate_all,
        });
    }

    /// Records in all.
    const RECORDS: u64 = 400_000;
    /// Records of one run.
    const PER_RUN: u64 = 200;
    /// Different keys.
    const KEYS: u64 = 23;

    struct Source;

    impl isobar_guest::Scheduled for Source {
        async fn run(_: Tick) -> Result<Next, Failure> {
            let stored = state::get("next").and_then(|bytes| bytes.try_into().ok());
            let first = stored.map_or(0, u64::from_le_bytes);
            let next = (first + PER_RUN).min(RECORDS);
            let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
            for number in first..next {
                keys.push(format!("k{}", number % KEYS).as_bytes());
                values.push(number.to_string().as_bytes());
            }
            bindings::counts::topics::input::send(&keys.build(), &values.build())?;
            state::put("next", &next.to_le_bytes());
            Ok(if next == RECORDS { Next::Done } else { Next::Again(0) })
        }
    }

    isobar_guest::scheduled!(Source);
}
