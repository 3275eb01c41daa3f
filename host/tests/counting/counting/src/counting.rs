#[cfg(target_arch = "wasm32")]
mod component {
    use isobar_guest::events::{Batch, Failure};
    use isobar_guest::{Items, PackedBuilder, state};

    mod bindings {
        wit_bindgen::generate!({
            path: "../counting/wit",
            world: "grants",
            with: { "isobar:platform/types@0.1.0": isobar_guest::types },
            generate_all,
        });
    }

    use bindings::counts::{tables::totals, topics::output};

    struct Counting;

    /// Whether records of `k7` count twice, half of those that cannot be counted do, those of `gone` do not,
    /// and those of `bad` cannot be.
    const OTHERWISE: bool = cfg!(feature = "otherwise");

    impl isobar_guest::Handler for Counting {
        async fn handle(batch: Batch) -> Result<(), Failure> {
            let (mut keys, mut values, mut rows) = (PackedBuilder::default(), PackedBuilder::default(), Vec::new());
            assert!(!Items::of(&batch.values).any(is_poison), "poison");
            for (key, offset) in Items::of(&batch.keys).zip(&batch.offsets) {
                let key = String::from_utf8_lossy(key.unwrap_or_default()).into_owned();
                let stored = state::get(&key).and_then(|bytes| bytes.try_into().ok());
                assert!(!OTHERWISE || key != "bad", "bad");
                if OTHERWISE && key == "gone" {
                    continue;
                }
                let step = if OTHERWISE && key == "k7" { 2 } else { 1 };
                let count = stored.map_or(0, i64::from_le_bytes) + step;
                state::put(&key, &count.to_le_bytes());
                keys.push(key.as_bytes());
                values.push(count.to_string().as_bytes());
                rows.push(totals::Row { name: key, records: count, last_position: *offset });
            }
            output::send(&keys.build(), &values.build())?;
            totals::upsert(&rows)?;
            Ok(())
        }
    }

    isobar_guest::handler!(Counting);

    /// Numbers that cannot be counted: eight of those that `source` publishes.
    fn is_poison(value: Option<&[u8]>) -> bool {
        let digits = value.unwrap_or_default();
        (digits.ends_with(b"49999") && !OTHERWISE) || digits.ends_with(b"99999")
    }
}
