//! Reading and building `packed`: byte strings laid end to end.

use crate::types::Packed;

/// The items of a [`Packed`], in order; `None` for a null.
pub struct Items<'a> {
    packed: &'a Packed,
    at: usize,
    start: usize,
    nulls: usize,
}

impl<'a> Items<'a> {
    /// Iterates over `packed`. Ends that run backwards or beyond the data give empty items.
    #[must_use]
    pub fn of(packed: &'a Packed) -> Self {
        Items { packed, at: 0, start: 0, nulls: 0 }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = *self.packed.ends.get(self.at)? as usize;
        let item = self.packed.data.get(self.start..end).unwrap_or_default();
        let null = self.packed.nulls.get(self.nulls).is_some_and(|&n| n as usize == self.at);
        self.nulls += usize::from(null);
        self.start = end;
        self.at += 1;
        Some((!null).then_some(item))
    }
}

/// Builds a [`Packed`] item by item.
#[derive(Default)]
pub struct PackedBuilder {
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
}

impl PackedBuilder {
    /// Room for `items` items of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(items: usize, bytes: usize) -> Self {
        PackedBuilder { data: Vec::with_capacity(bytes), ends: Vec::with_capacity(items), nulls: Vec::new() }
    }

    /// Appends an item.
    pub fn push(&mut self, item: &[u8]) {
        self.data.extend_from_slice(item);
        self.end_item();
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        self.nulls.push(self.ends.len() as u32);
        self.end_item();
    }

    /// Appends an item written by `write` straight into the buffer.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.data);
        self.end_item();
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no item yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The finished value.
    #[must_use]
    pub fn build(self) -> Packed {
        Packed { data: self.data, ends: self.ends, nulls: self.nulls }
    }

    fn end_item(&mut self) {
        self.ends.push(self.data.len() as u32);
    }
}
