#[cfg(target_arch = "wasm32")]
mod component {
    use isobar_guest::events::{Batch, Failure};
    use isobar_guest::types::Packed;
    use isobar_guest::{Items, PackedBuilder, state};

    mod bindings {
        wit_bindgen::generate!({
            path: "../counting/wit",
            world: "grants",
            with: { "isobar:platform/types@0.1.1": isobar_guest::types },
            generate_all,
        });
    }

    use bindings::counts::{tables::totals, topics::output};

    struct Counting;

    /// Whether records of `k7` count twice, half of those that cannot be counted do, those of `gone` do not,
    /// and those of `bad` cannot be.
    const OTHERWISE: bool = cfg!(feature = "otherwise");

    /// Whether counts are kept as text, which is version 2 of the state.
    const AS_TEXT: bool = cfg!(feature = "migrating");

    impl isobar_guest::Handler for Counting {
        async fn handle(batch: Batch) -> Result<(), Failure> {
            let (mut keys, mut values, mut rows) = (PackedBuilder::default(), PackedBuilder::default(), Vec::new());
            assert!(!Items::of(&batch.values).any(is_poison), "poison");
            for (key, offset) in Items::of(&batch.keys).zip(&batch.offsets) {
                let key = String::from_utf8_lossy(key.unwrap_or_default()).into_owned();
                let stored = state::get(&key).map_or(0, number);
                assert!(!OTHERWISE || key != "bad", "bad");
                if OTHERWISE && key == "gone" {
                    continue;
                }
                let step = if OTHERWISE && key == "k7" { 2 } else { 1 };
                let count = stored + step;
                state::put(&key, &kept(count));
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

    impl isobar_guest::Migration for Counting {
        fn migrate(version: u32, keys: Packed, values: Packed) -> Result<(Packed, Packed), Failure> {
            if version != 1 {
                return Err(Failure::Retry(format!("version {version} is not known")));
            }
            if Items::of(&keys).any(|key| key == Some(b"strange")) {
                return Err(Failure::Retry("`strange` is not known".to_owned()));
            }
            let mut texts = PackedBuilder::default();
            for value in Items::of(&values) {
                let value = value.unwrap_or_default().try_into().map_or(0, i64::from_le_bytes);
                texts.push(&kept(value));
            }
            Ok((keys, texts.build()))
        }
    }

    #[cfg(feature = "migrating")]
    isobar_guest::migration!(Counting);

    fn number(bytes: Vec<u8>) -> i64 {
        match AS_TEXT {
            true => String::from_utf8_lossy(&bytes).parse().unwrap_or_default(),
            false => bytes.try_into().map_or(0, i64::from_le_bytes),
        }
    }

    fn kept(count: i64) -> Vec<u8> {
        if AS_TEXT { count.to_string().into_bytes() } else { count.to_le_bytes().to_vec() }
    }

    /// Numbers that cannot be counted: eight of those that `source` publishes.
    fn is_poison(value: Option<&[u8]>) -> bool {
        let digits = value.unwrap_or_default();
        (digits.ends_with(b"49999") && !OTHERWISE) || digits.ends_with(b"99999")
    }
}
