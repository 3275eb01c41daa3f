//! Records of one partition of one topic, oldest first, as columns.

use super::Packed;

/// Records as columns; all columns have the same length, headers name their record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Keys, null where there is none.
    pub keys: Packed,
    /// Values, null for a tombstone.
    pub values: Packed,
    /// Ascending, not always contiguous.
    pub offsets: Vec<i64>,
    /// Milliseconds since the Unix epoch.
    pub timestamps: Vec<i64>,
    /// Headers, ordered by record.
    pub headers: Vec<Header>,
}

/// One header of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Index of the record.
    pub at: u32,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Vec<u8>,
}

impl Records {
    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keys.data().len() + self.values.data().len()
    }

    /// The headers of the record at index `at`.
    #[must_use]
    pub fn headers_of(&self, at: usize) -> &[Header] {
        let first = self.headers.partition_point(|h| (h.at as usize) < at);
        let rest = self.headers.get(first..).unwrap_or_default();
        let count = rest.partition_point(|h| h.at as usize <= at);
        rest.get(..count).unwrap_or_default()
    }

    /// The index of the first record at `offset` or later; the length where there is none.
    #[must_use]
    pub fn index_of(&self, offset: i64) -> usize {
        self.offsets.partition_point(|o| *o < offset)
    }

    /// A copy of the records `from..to`.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Records {
        let to = to.min(self.len());
        let from = from.min(to);
        let headers = self.headers.partition_point(|h| (h.at as usize) < from)
            ..self.headers.partition_point(|h| (h.at as usize) < to);
        let moved = |h: &Header| Header { at: h.at - from as u32, ..h.clone() };
        Records {
            keys: self.keys.slice(from, to),
            values: self.values.slice(from, to),
            offsets: self.offsets.get(from..to).unwrap_or_default().to_vec(),
            timestamps: self.timestamps.get(from..to).unwrap_or_default().to_vec(),
            headers: self.headers.get(headers).unwrap_or_default().iter().map(moved).collect(),
        }
    }

    /// How many of the records from `from` on fit into a batch: at most `max_records`, at most `max_bytes`, but at
    /// least one where there is one.
    #[must_use]
    pub fn fitting(&self, from: usize, max_records: usize, max_bytes: usize) -> usize {
        let end_of = |p: &Packed, i: usize| i.checked_sub(1).and_then(|i| p.ends().get(i)).map_or(0, |&e| e as usize);
        let bytes_to = |i: usize| end_of(&self.keys, i) + end_of(&self.values, i);
        let most = max_records.min(self.len().saturating_sub(from));
        let start = bytes_to(from);
        let (mut low, mut high) = (most.min(1), most);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if bytes_to(from + middle) - start <= max_bytes { low = middle } else { high = middle - 1 }
        }
        low
    }

    /// Appends another run of records that follow these.
    pub fn append(&mut self, other: &Records) {
        let before = self.len() as u32;
        self.keys.append(&other.keys);
        self.values.append(&other.values);
        self.offsets.extend_from_slice(&other.offsets);
        self.timestamps.extend_from_slice(&other.timestamps);
        self.headers.extend(other.headers.iter().map(|h| Header { at: h.at + before, ..h.clone() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(values: &[Vec<u8>]) -> Records {
        Records {
            keys: values.iter().map(|_| Some(&b"k"[..])).collect(),
            values: values.iter().map(|v| Some(v.as_slice())).collect(),
            offsets: (0..values.len() as i64).collect(),
            timestamps: vec![0; values.len()],
            headers: Vec::new(),
        }
    }

    #[test]
    fn headers_are_found_by_their_record() {
        let header = |at: u32, name: &str| Header { at, name: name.to_owned(), value: Vec::new() };
        let headers = vec![header(0, "a"), header(2, "b"), header(2, "c")];
        let records = Records { headers, ..records(&[vec![], vec![], vec![]]) };
        let names = |at| records.headers_of(at).iter().map(|h| h.name.as_str()).collect::<Vec<_>>();
        assert_eq!([names(0), names(1), names(2), names(3)], [vec!["a"], vec![], vec!["b", "c"], vec![]]);
        let sliced = records.slice(1, 3);
        assert_eq!(sliced.headers, [header(1, "b"), header(1, "c")]);
    }

    proptest! {
        #[test]
        fn batches_keep_to_both_bounds_and_always_advance(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..50),
            max_records in 1usize..20, max_bytes in 1usize..200,
        ) {
            let all = records(&values);
            let mut from = 0;
            let mut joined = Records::default();
            while from < all.len() {
                let n = all.fitting(from, max_records, max_bytes);
                prop_assert!(n >= 1 && n <= max_records);
                let batch = all.slice(from, from + n);
                prop_assert!(n == 1 || batch.bytes() <= max_bytes);
                let one_more = all.slice(from, from + n + 1);
                prop_assert!(from + n == all.len() || n == max_records || one_more.bytes() > max_bytes);
                joined.append(&batch);
                from += n;
            }
            prop_assert_eq!(joined, all);
        }
    }
}
