//! How much a read may give, so that a store stops where its caller would not take more. Pure.

/// Rows and bytes that may still be read, and those that were.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    most_rows: u64,
    most_bytes: u64,
    rows: u64,
    bytes: u64,
}

impl Allowance {
    /// So many rows and bytes, and no more.
    #[must_use]
    pub fn new(most_rows: u64, most_bytes: u64) -> Self {
        Allowance { most_rows, most_bytes, rows: 0, bytes: 0 }
    }

    /// As much as there is.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u64::MAX, u64::MAX)
    }

    /// Counts a row that was read; `false` where that was one too many: then nothing more is to be read.
    pub fn take(&mut self, bytes: usize) -> bool {
        self.rows += 1;
        self.bytes += bytes as u64;
        !self.is_passed()
    }

    /// Whether more was read than may be.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.rows > self.most_rows || self.bytes > self.most_bytes
    }

    /// Rows and bytes that were read.
    #[must_use]
    pub fn used(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_with_the_row_that_is_too_much() {
        let mut allowance = Allowance::new(2, 10);
        assert!(allowance.take(4) && allowance.take(6));
        assert!(!allowance.take(0), "a third row");
        assert!(!Allowance::new(9, 10).take(11), "an eleventh byte");
        assert_eq!(allowance.used(), (3, 10));
    }
}
