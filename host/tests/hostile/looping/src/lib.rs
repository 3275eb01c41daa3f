//! Publishes every record that it reads to the topic that it reads.

#[cfg(target_arch = "wasm32")]
mod component {
    use isobar_guest::events::{Batch, Failure};

    mod bindings {
        wit_bindgen::generate!({
            path: "wit",
            world: "grants",
            with: { "isobar:platform/types@0.1.1": isobar_guest::types },
            generate_all,
        });
    }

    struct Looping;

    impl isobar_guest::Handler for Looping {
        async fn handle(batch: Batch) -> Result<(), Failure> {
            bindings::stage::topics::echo::send(&batch.keys, &batch.values)?;
            Ok(())
        }
    }

    isobar_guest::handler!(Looping);
}
