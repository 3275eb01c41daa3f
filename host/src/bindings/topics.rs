//! `<application>:topics/<topic>`: records held until the call commits.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::CallState;
use super::wire::{WireError, WirePacked};
use crate::delivery::Published;
use crate::manifest::schema::wit_name;

/// Links a topic; `returns` says that what is published to it can come back to the function.
pub(super) fn link(
    linker: &mut Linker<CallState>,
    application: &str,
    topic: &str,
    returns: bool,
) -> wasmtime::Result<()> {
    let topic = topic.to_owned();
    let interface = format!("{application}:topics/{}", wit_name(&topic));
    linker.instance(&interface)?.func_wrap(
        "send",
        move |mut store: StoreContextMut<'_, CallState>, (keys, values): (WirePacked, WirePacked)| {
            let call = store.data_mut();
            let round = if returns { call.context.round + 1 } else { 0 };
            let records = match published(keys, values, round) {
                Ok(records) => records,
                Err(mistake) => return Ok((Err(mistake),)),
            };
            if records.keys.is_empty() {
                return Ok((Ok(()),));
            }
            call.budget.publish(records.keys.len(), records.keys.data().len() + records.values.data().len())?;
            call.budget.go_round(&topic, round)?;
            match call.effects.published.get_mut(&topic) {
                Some(sent) => sent.push(records),
                None => drop(call.effects.published.insert(topic.clone(), vec![records])),
            }
            Ok((Ok(()),))
        },
    )
}

fn published(keys: WirePacked, values: WirePacked, round: u32) -> Result<Published, WireError> {
    let (keys, values) = (keys.checked("keys")?, values.checked("values")?);
    match keys.len() == values.len() {
        true => Ok(Published { keys, values, round }),
        false => {
            Err(WireError::Invalid(format!("send got {} keys and {} values; give as many", keys.len(), values.len())))
        }
    }
}
