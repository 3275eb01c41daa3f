//! The port to a function's keyed state, and an implementation in memory for tests and measurements. What the keys and
//! values mean is said where they are written.

use std::fmt;

use isobar_guest::types::Packed;
use isobar_guest::{Items, PackedBuilder};
use rustc_hash::FxHashMap;

/// Keyed bytes, read and written many at a time.
pub trait State {
    /// One value per key, null where there is none.
    fn get_many(&mut self, keys: &Packed) -> Packed;
    /// Replaces the value of each key; a null deletes.
    fn put_many(&mut self, keys: &Packed, values: &Packed);
}

/// State in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    values: FxHashMap<Vec<u8>, Vec<u8>>,
    /// How many values were written since it began.
    pub puts: usize,
}

impl State for MemoryState {
    fn get_many(&mut self, keys: &Packed) -> Packed {
        let mut values = PackedBuilder::default();
        for key in Items::of(keys) {
            match self.values.get(key.unwrap_or_default()) {
                Some(value) => values.push(value),
                None => values.push_null(),
            }
        }
        values.build()
    }

    fn put_many(&mut self, keys: &Packed, values: &Packed) {
        for (key, value) in Items::of(keys).zip(Items::of(values)) {
            let key = key.unwrap_or_default();
            self.puts += 1;
            match (value, self.values.get_mut(key)) {
                (None, _) => drop(self.values.remove(key)),
                (Some(value), Some(held)) => {
                    held.clear();
                    held.extend_from_slice(value);
                }
                (Some(value), None) => drop(self.values.insert(key.to_vec(), value.to_vec())),
            }
        }
    }
}

impl MemoryState {
    /// The values held, for comparisons.
    #[must_use]
    pub fn values(&self) -> &FxHashMap<Vec<u8>, Vec<u8>> {
        &self.values
    }
}

/// The state that the host keeps for this function and partition.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
pub struct HostState;

#[cfg(target_arch = "wasm32")]
impl State for HostState {
    fn get_many(&mut self, keys: &Packed) -> Packed {
        isobar_guest::state::get_many(keys)
    }

    fn put_many(&mut self, keys: &Packed, values: &Packed) {
        isobar_guest::state::put_many(keys, values);
    }
}

/// A value in the state that cannot be read: damaged, or written by another version of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    key: String,
    format: Option<u8>,
}

impl Unreadable {
    /// The value `value` of `key`.
    #[must_use]
    pub fn new(key: &[u8], value: &[u8]) -> Self {
        Unreadable { key: String::from_utf8_lossy(key).into_owned(), format: value.first().copied() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Some(format) => {
                write!(f, "state `{}` is damaged or of a format that this version cannot read: `{format}`", self.key)?
            }
            None => write!(f, "state `{}` is empty", self.key)?,
        }
        f.write_str("; run the version that wrote it, or delete the state and read the topic again")
    }
}

impl std::error::Error for Unreadable {}
