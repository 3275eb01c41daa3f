//! The readings of one station and day: per slot the one that wins, with where it came from. A set, not a sum: the
//! same readings give the same value and the same bytes in whatever order they came.

use crate::column::{CELLS, NONE};
use crate::{Column, Product, Source, Tenths};

/// Version of the encoding, its first byte.
const FORMAT: u8 = 1;
/// The source index of a slot that has no reading.
const EMPTY: u8 = u8::MAX;
/// The quality byte of a reading without one.
const NO_QUALITY: u8 = u8::MAX;
/// Bytes of an encoded source: product, quality, revision.
const SOURCE_BYTES: usize = 10;

/// What decides between two readings of one slot before their values do: product, revision, quality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provenance {
    /// The archive.
    pub source: Source,
    /// DWD's quality level of the row; none ranks below any.
    pub quality: Option<u8>,
}

/// What an offered reading changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing: it was there already, or a better one is.
    #[default]
    None,
    /// It came from a better archive and says the same.
    Provenance,
    /// A value, a quality or the presence of a reading, so that figures may change.
    Figures,
}

/// The winning readings of `N` quantities by slot.
#[derive(Clone, Debug)]
pub struct DayReadings<const N: usize> {
    columns: [Column; N],
    /// Per slot an index into `sources`, or [`EMPTY`].
    origins: [u8; CELLS],
    /// Each once; some may be referred to no more until the next encoding.
    sources: Vec<Provenance>,
}

impl<const N: usize> Default for DayReadings<N> {
    fn default() -> Self {
        DayReadings { columns: [const { Column::EMPTY }; N], origins: [EMPTY; CELLS], sources: Vec::new() }
    }
}

impl<const N: usize> DayReadings<N> {
    /// The quantities, in the order in which they were offered.
    #[must_use]
    pub fn columns(&self) -> &[Column; N] {
        &self.columns
    }

    /// Whether the day has a reading of its own, be its values valid or not.
    #[must_use]
    pub fn has_own(&self) -> bool {
        self.origins.iter().take(crate::SLOTS).any(|&origin| origin != EMPTY)
    }

    /// The lowest quality level among the slots that `counts` selects and that have one.
    #[must_use]
    pub fn lowest_quality(&self, counts: impl Fn(usize) -> bool) -> Option<u8> {
        let mut counted = [false; EMPTY as usize + 1];
        for (slot, &origin) in self.origins.iter().enumerate() {
            if let Some(counted) = counted.get_mut(usize::from(origin)).filter(|counted| !**counted) {
                *counted = counts(slot);
            }
        }
        let qualities = self.sources.iter().zip(counted).filter(|(_, counted)| *counted);
        qualities.filter_map(|(source, _)| source.quality).min()
    }

    /// Lets a reading contend for a slot (0..=143, or hour 0). The higher provenance wins; if equal, the higher
    /// values, a missing one being lowest.
    pub fn offer(&mut self, slot: usize, values: &[Option<Tenths>; N], provenance: Provenance) -> Change {
        let Some(&origin) = self.origins.get(slot) else {
            return Change::None;
        };
        let held = self.sources.get(usize::from(origin)).copied();
        let same_values = self.columns.iter().zip(values).all(|(column, value)| column.at(slot) == tenths(*value));
        if let Some(held) = held {
            let wins = match provenance.cmp(&held) {
                std::cmp::Ordering::Equal => !same_values && self.values_beat(slot, values),
                order => order.is_gt(),
            };
            if !wins {
                return Change::None;
            }
        }
        let origin = self.intern(provenance);
        if let Some(cell) = self.origins.get_mut(slot) {
            *cell = origin;
        }
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.set(slot, *value);
        }
        match held {
            Some(held) if same_values && held.quality == provenance.quality => Change::Provenance,
            _ => Change::Figures,
        }
    }

    fn values_beat(&self, slot: usize, values: &[Option<Tenths>; N]) -> bool {
        values.iter().map(|value| tenths(*value)).gt(self.columns.iter().map(|column| column.at(slot)))
    }

    fn intern(&mut self, provenance: Provenance) -> u8 {
        if let Some(at) = self.sources.iter().rposition(|&known| known == provenance) {
            return at as u8;
        }
        if self.sources.len() >= usize::from(EMPTY) {
            self.forget_unused();
        }
        self.sources.push(provenance);
        (self.sources.len() - 1) as u8
    }

    /// Keeps of the sources those in use, at most one per slot, in ascending order.
    fn forget_unused(&mut self) {
        let (sources, origins) = self.canonical();
        self.sources = sources;
        self.origins = origins;
    }

    fn canonical(&self) -> (Vec<Provenance>, [u8; CELLS]) {
        let mut used = [false; EMPTY as usize + 1];
        for &origin in &self.origins {
            if let Some(used) = used.get_mut(usize::from(origin)) {
                *used = true;
            }
        }
        let mut kept: Vec<(Provenance, usize)> =
            self.sources.iter().copied().zip(0..).filter(|&(_, at)| used.get(at) == Some(&true)).collect();
        kept.sort_unstable();
        let mut renamed = [EMPTY; EMPTY as usize + 1];
        for (new, &(_, old)) in kept.iter().enumerate() {
            if let Some(name) = renamed.get_mut(old) {
                *name = new as u8;
            }
        }
        let origins = self.origins.map(|origin| renamed.get(usize::from(origin)).copied().unwrap_or(EMPTY));
        (kept.into_iter().map(|(source, _)| source).collect(), origins)
    }

    /// Appends the encoding: format, number of sources, the sources in ascending order, per slot its source, then per
    /// quantity the slots' values. About 740 bytes for two quantities.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (sources, origins) = self.canonical();
        out.extend_from_slice(&[FORMAT, sources.len() as u8]);
        for source in &sources {
            out.extend_from_slice(&[source.source.product.rank(), source.quality.unwrap_or(NO_QUALITY)]);
            out.extend_from_slice(&source.source.revision.to_le_bytes());
        }
        out.extend_from_slice(&origins);
        for column in &self.columns {
            out.extend(column.0.iter().flat_map(|value| value.to_le_bytes()));
        }
    }

    /// Reads an encoding; `None` when it is of another format or damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let [FORMAT, count, rest @ ..] = bytes else {
            return None;
        };
        let (sources, rest) = rest.split_at_checked(usize::from(*count) * SOURCE_BYTES)?;
        let (origins, mut rest) = rest.split_first_chunk::<CELLS>()?;
        if origins.iter().any(|&origin| origin >= *count && origin != EMPTY) {
            return None;
        }
        let mut day = DayReadings { origins: *origins, ..DayReadings::default() };
        day.sources = sources.chunks_exact(SOURCE_BYTES).map(decode_source).collect::<Option<_>>()?;
        for column in &mut day.columns {
            let (bytes, after) = rest.split_at_checked(CELLS * 2)?;
            for (cell, bytes) in column.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *cell = i16::from_le_bytes(*bytes);
            }
            rest = after;
        }
        rest.is_empty().then_some(day)
    }
}

fn decode_source(bytes: &[u8]) -> Option<Provenance> {
    let [product, quality, revision @ ..] = bytes else {
        return None;
    };
    let revision = u64::from_le_bytes(revision.try_into().ok()?);
    let quality = Some(*quality).filter(|&quality| quality != NO_QUALITY);
    Some(Provenance { source: Source { product: Product::from_rank(*product)?, revision }, quality })
}

fn tenths(value: Option<Tenths>) -> Option<i32> {
    value.map(|value| i32::from(value.get())).filter(|&value| value != i32::from(NONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HOUR_ZERO;
    use proptest::prelude::*;

    type Offer = (usize, [Option<Tenths>; 2], Provenance);

    fn offer() -> impl Strategy<Value = Offer> {
        let value = || prop::option::of((-3i32..3).prop_map(|tenths| Tenths::new(tenths).unwrap()));
        let provenance = (0u8..4, 0u64..400, prop::option::of(1u8..4)).prop_map(|(rank, revision, quality)| {
            Provenance { source: Source { product: Product::from_rank(rank).unwrap(), revision }, quality }
        });
        (prop_oneof![0usize..4, Just(HOUR_ZERO)], [value(), value()], provenance)
    }

    fn held(offers: &[Offer]) -> Vec<u8> {
        let mut day = DayReadings::<2>::default();
        let mut bytes = Vec::new();
        for (slot, values, provenance) in offers {
            day.offer(*slot, values, *provenance);
        }
        day.encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn the_order_and_number_of_offers_leave_no_trace(
            (offers, shuffled) in prop::collection::vec(offer(), 0..600).prop_flat_map(|offers| {
                let twice = [offers.clone(), offers.iter().step_by(3).copied().collect()].concat();
                (Just(offers), Just(twice).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(held(&offers), held(&shuffled));
        }

        #[test]
        fn what_is_encoded_contends_as_before(
            before in prop::collection::vec(offer(), 0..300), after in prop::collection::vec(offer(), 0..300),
        ) {
            let mut day = DayReadings::<2>::decode(&held(&before)).unwrap();
            let mut bytes = Vec::new();
            for (slot, values, provenance) in &after {
                day.offer(*slot, values, *provenance);
            }
            day.encode(&mut bytes);
            prop_assert_eq!(bytes, held(&[before, after].concat()));
        }
    }

    #[test]
    fn the_order_is_product_then_revision_then_quality_then_values() {
        let of = |product, revision, quality| Provenance { source: Source { product, revision }, quality };
        let value = |tenths| [Tenths::new(tenths), None];
        let rising = [
            (value(500), of(Product::Unnamed, 0, Some(3))),
            (value(400), of(Product::Now, 9, Some(1))),
            (value(300), of(Product::Recent, 7, Some(3))),
            (value(200), of(Product::Recent, 8, None)),
            ([None, None], of(Product::Recent, 8, Some(2))),
            (value(-100), of(Product::Recent, 8, Some(2))),
            (value(100), of(Product::Recent, 8, Some(2))),
            ([None, None], of(Product::Historical, 1, None)),
        ];
        let mut day = DayReadings::<2>::default();
        for (values, provenance) in rising {
            assert_eq!(day.offer(7, &values, provenance), Change::Figures, "{provenance:?}");
            assert_eq!(day.offer(7, &values, provenance), Change::None, "{provenance:?}");
        }
        for (values, provenance) in rising {
            assert_eq!(day.offer(7, &values, provenance), Change::None, "{provenance:?}");
        }
        assert_eq!(day.columns()[0].at(7), None);
        assert_eq!(day.offer(7, &[None, None], of(Product::Historical, 2, None)), Change::Provenance);
    }

    #[test]
    fn damaged_state_is_noticed() {
        let good = held(&[(3, [None, None], Provenance::default())]);
        assert!(DayReadings::<2>::decode(&good).is_some());
        assert!(DayReadings::<3>::decode(&good).is_none());
        for bytes in [&[][..], &[2, 0], &good[..good.len() - 1]] {
            assert!(DayReadings::<2>::decode(bytes).is_none());
        }
    }
}
