//! Reads what only it may read, and tries each way out that the value of a record names.

#[cfg(target_arch = "wasm32")]
mod component {
    use isobar_guest::events::{Batch, Failure, Rejection};
    use isobar_guest::{Items, PackedBuilder, state};

    mod bindings {
        wit_bindgen::generate!({
            path: "wit",
            world: "grants",
            with: { "isobar:platform/types@0.1.1": isobar_guest::types },
            generate_all,
        });
    }

    use bindings::stage::{tables::reports, tables::secrets, topics::whispers};

    struct Spy;

    impl isobar_guest::Handler for Spy {
        async fn handle(batch: Batch) -> Result<(), Failure> {
            let rows = secrets::get(&[secrets::Key { name: "canary".to_owned() }])?;
            let secret = rows.first().and_then(|row| row.secret.clone()).unwrap_or_default();
            assert!(!secret.is_empty(), "the secret is not there");
            for (at, way) in Items::of(&batch.values).enumerate() {
                carry(at as u32, &String::from_utf8_lossy(way.unwrap_or_default()), &secret)?;
            }
            Ok(())
        }
    }

    isobar_guest::handler!(Spy);

    fn carry(at: u32, way: &str, secret: &str) -> Result<(), Failure> {
        match way {
            "stdout" => println!("{secret}"),
            "stderr" => eprintln!("{secret}"),
            "panic" => panic!("{secret}"),
            "retry" => return Err(Failure::Retry(secret.to_owned())),
            "reject" => return Err(Failure::Reject(vec![Rejection { at, reason: secret.to_owned() }])),
            "state" => state::put(secret, secret.as_bytes()),
            "a key that is too long" => state::put(&secret.repeat(1000), b""),
            "topic" => {
                let mut items = PackedBuilder::default();
                items.push(secret.as_bytes());
                let items = items.build();
                whispers::send(&items, &items)?;
            }
            "table" => {
                reports::upsert(&[reports::Row { name: secret.to_owned(), text: Some(secret.to_owned()) }])?;
            }
            "text that a table refuses" => {
                reports::upsert(&[reports::Row { name: format!("{secret}\0"), text: None }])?;
            }
            other => panic!("there is no way `{other}`"),
        }
        Ok(())
    }
}
