//! What speaks to the host.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "grants",
        with: { "isobar:platform/types@0.1.1": isobar_guest::types },
        generate_all,
    });
}

use bindings::{{app}}::topics::{{snake}}_out as out;
use isobar_guest::events::{Failure, Next, Tick};
use isobar_guest::{PackedBuilder, Scheduled, state};

use crate::run_after;

struct Function;

isobar_guest::scheduled!(Function);

impl Scheduled for Function {
    async fn run(tick: Tick) -> Result<Next, Failure> {
        let run = run_after(state::get("runs").as_deref());
        let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
        keys.push(b"{{name}}");
        values.push(format!("run {run}, due at {} ms", tick.due_ms).as_bytes());
        out::send(&keys.build(), &values.build())?;
        // Kept together with what was sent, or not at all.
        state::put("runs", &run.to_le_bytes());
        Ok(Next::Done)
    }
}
