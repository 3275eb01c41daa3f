//! `{{name}}`: of the numbers that come under each key how many there were, their sum, the least and the greatest.

#[cfg(target_arch = "wasm32")]
mod component;

/// What is known of a key. Whatever order numbers come in, it comes to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub count: i64,
    pub sum: i64,
    pub least: i64,
    pub greatest: i64,
}

impl Summary {
    /// With one number more; `None` where the sum is too large.
    pub fn with(before: Option<Summary>, number: i64) -> Option<Summary> {
        let Some(before) = before else { return Some(Summary { count: 1, sum: number, least: number, greatest: number }) };
        Some(Summary {
            count: before.count + 1,
            sum: before.sum.checked_add(number)?,
            least: before.least.min(number),
            greatest: before.greatest.max(number),
        })
    }

    /// As state keeps it.
    pub fn to_bytes(self) -> Vec<u8> {
        [self.count, self.sum, self.least, self.greatest].iter().flat_map(|part| part.to_le_bytes()).collect()
    }

    /// What state has kept.
    pub fn from_bytes(bytes: &[u8]) -> Option<Summary> {
        let mut parts = bytes.chunks_exact(8).map(|part| part.try_into().map(i64::from_le_bytes));
        let mut next = || parts.next()?.ok();
        Some(Summary { count: next()?, sum: next()?, least: next()?, greatest: next()? })
    }
}

/// The number that a record holds, or why it holds none.
pub fn number(value: &[u8]) -> Result<i64, String> {
    let text = std::str::from_utf8(value).map_err(|_| "the value is no text".to_owned())?;
    text.trim().parse().map_err(|_| format!("`{text}` is no whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(numbers: &[i64]) -> Option<Summary> {
        numbers.iter().try_fold(None, |before, number| Summary::with(before, *number).map(Some)).flatten()
    }

    #[test]
    fn the_order_of_numbers_does_not_matter() {
        let wanted = Summary { count: 3, sum: 6, least: -1, greatest: 4 };
        assert_eq!(summary(&[3, -1, 4]), Some(wanted));
        assert_eq!(summary(&[4, 3, -1]), Some(wanted));
        assert_eq!(summary(&[i64::MAX, 1]), None);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let summary = summary(&[7, -9]).unwrap();
        assert_eq!(Summary::from_bytes(&summary.to_bytes()), Some(summary));
        assert_eq!(Summary::from_bytes(b"short"), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(number(b" 12 "), Ok(12));
        assert!(number(b"many").unwrap_err().contains("many"));
    }
}
