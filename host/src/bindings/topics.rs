//! `<application>:topics/<topic>`: records held until the call commits.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::CallState;
use super::wire::{WireError, WirePacked};
use crate::delivery::Published;
use crate::manifest::schema::wit_name;

pub(super) fn link(linker: &mut Linker<CallState>, application: &str, topic: &str) -> wasmtime::Result<()> {
    let topic = topic.to_owned();
    let interface = format!("{application}:topics/{}", wit_name(&topic));
    linker.instance(&interface)?.func_wrap(
        "send",
        move |mut store: StoreContextMut<'_, CallState>, (keys, values): (WirePacked, WirePacked)| {
            let held = published(keys, values).map(|records| {
                let effects = &mut store.data_mut().effects;
                match effects.published.get_mut(&topic) {
                    Some(sent) => sent.push(records),
                    None => drop(effects.published.insert(topic.clone(), vec![records])),
                }
            });
            Ok((held,))
        },
    )
}

fn published(keys: WirePacked, values: WirePacked) -> Result<Published, WireError> {
    let (keys, values) = (keys.checked("keys")?, values.checked("values")?);
    match keys.len() == values.len() {
        true => Ok(Published { keys, values }),
        false => {
            Err(WireError::Invalid(format!("send got {} keys and {} values; give as many", keys.len(), values.len())))
        }
    }
}
