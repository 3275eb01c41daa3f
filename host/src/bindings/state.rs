//! `isobar:platform/state`: keyed bytes of this function and partition, the call's own writes first.

use std::collections::HashMap;

use wasmtime::component::Linker;
use wasmtime::{AsContextMut as _, StoreContextMut};

use super::CallState;
use super::wire::WirePacked;
use crate::delivery::Packed;
use crate::embedded::WriteError;

const INTERFACE: &str = "isobar:platform/state@0.1.1";

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut state = linker.instance(INTERFACE)?;
    state.func_wrap_async("get", |store, (key,): (String,)| {
        Box::new(async move {
            let mut store = store;
            let value = read(store.as_context_mut(), &[&key]).await?.remove(&key);
            store.data_mut().budget.read(value.as_ref().map_or(0, Vec::len) as u64)?;
            Ok((value,))
        })
    })?;
    state.func_wrap("put", |mut store: StoreContextMut<'_, CallState>, (key, value): (String, Vec<u8>)| {
        store.data_mut().put(key, Some(value))
    })?;
    state.func_wrap("delete", |mut store: StoreContextMut<'_, CallState>, (key,): (String,)| {
        store.data_mut().put(key, None)
    })?;
    state.func_wrap_async("get-many", |store, (keys,): (WirePacked,)| {
        Box::new(async move {
            let keys = packed(keys, "keys")?;
            let keys = texts(&keys)?;
            let mut store = store;
            let found = read(store.as_context_mut(), &keys).await?;
            // A key may be asked for many times, and each answer takes its place.
            let bytes = keys.iter().filter_map(|k| found.get(*k)).map(|value| value.len() as u64).sum();
            store.data_mut().budget.read(bytes)?;
            let values: Packed = keys.iter().map(|k| found.get(*k).map(Vec::as_slice)).collect();
            Ok((WirePacked {
                data: values.data().to_vec(),
                ends: values.ends().to_vec(),
                nulls: values.nulls().to_vec(),
            },))
        })
    })?;
    state.func_wrap(
        "put-many",
        |mut store: StoreContextMut<'_, CallState>, (keys, values): (WirePacked, WirePacked)| {
            let (keys, values) = (packed(keys, "keys")?, packed(values, "values")?);
            if keys.len() != values.len() {
                wasmtime::bail!("state.put-many got {} keys and {} values", keys.len(), values.len());
            }
            let call = store.data_mut();
            let mut writes = texts(&keys)?.into_iter().zip(values.iter());
            writes.try_for_each(|(key, value)| call.put(key.to_owned(), value.map(<[u8]>::to_vec)))
        },
    )
}

impl CallState {
    /// Holds a write; a null value deletes.
    fn put(&mut self, key: String, value: Option<Vec<u8>>) -> wasmtime::Result<()> {
        let before = self.effects.state.get(&key).map(|held| held.as_ref().map_or(0, Vec::len));
        self.budget.put(&key, value.as_ref().map(Vec::len), before)?;
        self.effects.state.insert(key, value);
        Ok(())
    }
}

/// Values of `keys`: the call's own writes, else those of the calls before, else what is committed.
async fn read(mut store: StoreContextMut<'_, CallState>, keys: &[&str]) -> wasmtime::Result<HashMap<String, Vec<u8>>> {
    let call = store.data_mut();
    let mut allowance = call.budget.ask(keys.len())?;
    let mut found = HashMap::with_capacity(keys.len());
    let mut missing = Vec::with_capacity(keys.len());
    let before = &call.context.before;
    for key in keys {
        let held_before = || before.iter().rev().find_map(|effects| effects.state.get(*key));
        let held = call.effects.state.get(*key).or_else(held_before);
        match held {
            Some(Some(value)) => drop(found.insert((*key).to_owned(), value.clone())),
            Some(None) => {}
            None => missing.push(*key),
        }
    }
    if !missing.is_empty() {
        let context = &call.context;
        let waiting = call.waits.begin();
        let read = context.state_store().state(&context.function, context.partition, &missing, &mut allowance).await;
        drop(waiting);
        if allowance.is_passed() {
            call.budget.read(allowance.used().1)?;
        }
        match read {
            Ok(committed) => found.extend(committed),
            Err(error) => return Err(unavailable(call, &error)),
        }
    }
    Ok(found)
}

/// State has no error of its own in the contract: the call ends, and the host knows that it was not the function.
fn unavailable(call: &mut CallState, error: &WriteError) -> wasmtime::Error {
    call.store_failed(error);
    wasmtime::format_err!("the state could not be read")
}

fn packed(wire: WirePacked, what: &str) -> wasmtime::Result<Packed> {
    wire.checked(what).map_err(|error| wasmtime::format_err!("a call of `state` was refused: {error:?}"))
}

fn texts(keys: &Packed) -> wasmtime::Result<Vec<&str>> {
    keys.iter()
        .map(|key| key.and_then(|k| std::str::from_utf8(k).ok()))
        .map(|key| key.ok_or_else(|| wasmtime::format_err!("a key of `state` is null or not UTF-8")))
        .collect()
}
