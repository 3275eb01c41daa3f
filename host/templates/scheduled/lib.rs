//! `{{name}}`: counts its runs and says so.

#[cfg(target_arch = "wasm32")]
mod component;

/// Which run this is, after what state has kept of the runs before.
pub fn run_after(kept: Option<&[u8]>) -> u64 {
    let before = kept.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    before + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_from_one() {
        assert_eq!(run_after(None), 1);
        assert_eq!(run_after(Some(&run_after(None).to_le_bytes())), 2);
    }
}
