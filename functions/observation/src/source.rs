//! Where a reading comes from, and so which of two readings of one slot wins.

/// DWD's three overlapping products, in ascending order of precedence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// A producer that names no product: ranks lowest.
    #[default]
    Unnamed,
    /// `now/`: today.
    Now,
    /// `recent/`: the last 550 days.
    Recent,
    /// `historical/`: quality control complete.
    Historical,
}

impl Product {
    /// Every product that has a name.
    pub const NAMED: [Product; 3] = [Product::Now, Product::Recent, Product::Historical];

    /// The name in messages and of the server's folder; empty for [`Product::Unnamed`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Product::Unnamed => "",
            Product::Now => "now",
            Product::Recent => "recent",
            Product::Historical => "historical",
        }
    }

    /// The product of this name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::NAMED.into_iter().find(|product| product.name().as_bytes() == name)
    }

    /// The rank as one byte, for state.
    #[must_use]
    pub fn rank(self) -> u8 {
        self as u8
    }

    /// The product of this rank.
    #[must_use]
    pub fn from_rank(rank: u8) -> Option<Self> {
        [Product::Unnamed, Product::Now, Product::Recent, Product::Historical].get(usize::from(rank)).copied()
    }
}

/// A product and the revision of the archive that a reading was taken from. Ordered by precedence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The product.
    pub product: Product,
    /// Last-Modified of the archive, in seconds since the Unix epoch; 0 when it is not known.
    pub revision: u64,
}

/// The largest revision a message may carry: the end of the year 9999, beyond which no clock of an archive can be.
pub(crate) const MAX_REVISION: u64 = 253_402_300_799;
/// The highest quality level a message may carry. DWD's 10-minute data use 1 to 3, its other data go up to 10.
pub(crate) const MAX_QUALITY: u8 = 10;
