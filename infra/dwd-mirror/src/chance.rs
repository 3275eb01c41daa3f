//! Reproducible chance: numbers that depend on a seed and on what they are for, never on the order of asking, so
//! that any row can be made without those before it. Not for secrets.

/// A source of chance for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mixed(seed ^ 0x6a09_e667_f3bc_c908))
    }

    /// The chance of a part: a station, a kind of event.
    pub(crate) fn of(self, part: u64) -> Self {
        Self(self.bits(part as i64 ^ i64::MIN))
    }

    /// 64 random bits for a place in time.
    #[inline]
    pub(crate) fn bits(self, at: i64) -> u64 {
        mixed(self.0.wrapping_add((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// From -1 to 1, for a place in time.
    #[inline]
    pub(crate) fn signed(self, at: i64) -> f64 {
        unit(self.bits(at)) * 2.0 - 1.0
    }

    /// From -1 to 1, drifting from knot to knot: a knot every `period` places, straight lines between.
    pub(crate) fn drift(self, at: i64, period: i64) -> f64 {
        let (knot, past) = (at.div_euclid(period), at.rem_euclid(period));
        let (from, to) = (self.signed(knot), self.signed(knot + 1));
        from + (to - from) * past as f64 / period as f64
    }

    /// Numbers one after the other, for things made once.
    pub(crate) fn draws(self) -> Draws {
        Draws { chance: self, next: 0 }
    }
}

/// A sequence of numbers.
#[derive(Debug)]
pub(crate) struct Draws {
    chance: Chance,
    next: i64,
}

impl Draws {
    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.next += 1;
        unit(self.chance.bits(self.next))
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number from `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + (self.unit() * (to - from + 1) as f64) as i64
    }

    pub(crate) fn pick<'a, T, const N: usize>(&mut self, from: &'a [T; N]) -> &'a T {
        const { assert!(N > 0) };
        let [first, ..] = from.as_slice() else { unreachable!("checked above when compiling") };
        from.get((self.unit() * N as f64) as usize).unwrap_or(first)
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The last step of SplitMix64 (Steele, Lea, Flood 2014).
#[inline]
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
