//! Byte strings laid end to end: how keys and values travel through log, host and guest without one allocation each.

/// Item `i` is `data[ends[i-1]..ends[i]]`, `ends[-1]` being 0; `nulls` holds, ascending, the indexes of null items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    data: Vec<u8>,
    ends: Vec<u32>,
    nulls: Vec<u32>,
}

/// What is wrong with parts that came from outside.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PackedError {
    /// `ends` runs backwards or beyond the data, or leaves data over.
    #[error("item {0} ends outside of the data")]
    End(usize),
    /// `nulls` is not ascending or names no item.
    #[error("null index {0} names no item or is out of order")]
    Null(u32),
}

impl Packed {
    /// Checks parts that came from a guest or a file.
    ///
    /// # Errors
    /// [`PackedError`] when the parts contradict each other.
    pub fn from_parts(data: Vec<u8>, ends: Vec<u32>, nulls: Vec<u32>) -> Result<Self, PackedError> {
        let mut start = 0;
        for (i, &end) in ends.iter().enumerate() {
            if end < start || end as usize > data.len() {
                return Err(PackedError::End(i));
            }
            start = end;
        }
        if start as usize != data.len() {
            return Err(PackedError::End(ends.len()));
        }
        let ascending = nulls.windows(2).all(|w| matches!(w, [a, b] if a < b));
        match nulls.last() {
            Some(&last) if !ascending || last as usize >= ends.len() => Err(PackedError::Null(last)),
            _ => Ok(Packed { data, ends, nulls }),
        }
    }

    /// Room for `items` items of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(items: usize, bytes: usize) -> Self {
        Packed { data: Vec::with_capacity(bytes), ends: Vec::with_capacity(items), nulls: Vec::new() }
    }

    /// Appends an item, `None` for null.
    pub fn push(&mut self, item: Option<&[u8]>) {
        match item {
            Some(bytes) => self.data.extend_from_slice(bytes),
            None => self.nulls.push(self.ends.len() as u32),
        }
        self.ends.push(self.data.len() as u32);
    }

    /// Appends all items of another.
    pub fn append(&mut self, other: &Packed) {
        let (items, bytes) = (self.ends.len() as u32, self.data.len() as u32);
        self.data.extend_from_slice(&other.data);
        self.ends.extend(other.ends.iter().map(|end| end + bytes));
        self.nulls.extend(other.nulls.iter().map(|null| null + items));
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All bytes of all items.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Where each item ends.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The indexes of null items.
    #[must_use]
    pub fn nulls(&self) -> &[u32] {
        &self.nulls
    }

    /// The item at `index`; `None` for a null and beyond the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = self.start_of(index);
        if self.nulls.binary_search(&(index as u32)).is_ok() {
            return None;
        }
        self.data.get(start..end)
    }

    /// The items in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        let mut start = 0;
        let mut nulls = self.nulls.iter().peekable();
        self.ends.iter().enumerate().map(move |(i, &end)| {
            let item = self.data.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            match nulls.next_if(|&&n| n as usize == i) {
                Some(_) => None,
                None => Some(item),
            }
        })
    }

    /// A copy of the items `from..to`; both are cut to the length.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Packed {
        let to = to.min(self.len());
        let from = from.min(to);
        let start = self.start_of(from) as u32;
        let end = self.start_of(to);
        Packed {
            data: self.data.get(start as usize..end).unwrap_or_default().to_vec(),
            ends: self.ends.iter().skip(from).take(to - from).map(|e| e - start).collect(),
            nulls: self
                .nulls
                .iter()
                .filter(|&&n| (from..to).contains(&(n as usize)))
                .map(|n| n - from as u32)
                .collect(),
        }
    }

    /// Where item `index` starts; for `index == len` where the data ends.
    fn start_of(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|i| self.ends.get(i)).map_or(0, |&e| e as usize)
    }
}

impl<'a> FromIterator<Option<&'a [u8]>> for Packed {
    fn from_iter<I: IntoIterator<Item = Option<&'a [u8]>>>(items: I) -> Self {
        let mut packed = Packed::default();
        items.into_iter().for_each(|item| packed.push(item));
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
        proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5)), 0..20)
    }

    proptest! {
        #[test]
        fn slices_hold_the_items_between_the_borders(items in items(), a in 0usize..25, b in 0usize..25) {
            let packed: Packed = items.iter().map(|i| i.as_deref()).collect();
            let slice = packed.slice(a, b);
            let expected: Vec<_> = items.iter().take(b).skip(a).map(|i| i.as_deref()).collect();
            prop_assert_eq!(slice.iter().collect::<Vec<_>>(), expected.clone());
            let by_index: Vec<_> = (0..slice.len()).map(|i| slice.get(i)).collect();
            prop_assert_eq!(by_index, expected);
        }

        #[test]
        fn parts_from_outside_never_panic(data in proptest::collection::vec(any::<u8>(), 0..9),
                                          ends in proptest::collection::vec(0u32..12, 0..6),
                                          nulls in proptest::collection::vec(0u32..8, 0..4)) {
            if let Ok(packed) = Packed::from_parts(data, ends, nulls) {
                prop_assert_eq!(packed.iter().count(), packed.len());
                let bytes: usize = packed.iter().flatten().map(<[u8]>::len).sum();
                prop_assert!(bytes <= packed.data().len());
            }
        }
    }
}
