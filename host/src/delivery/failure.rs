//! Why a call failed: the words and frames that a dead letter keeps, cut to a length.

/// Characters of a reason or frame that are kept; a guest can make either as long as it likes.
pub const MAX_REASON_CHARS: usize = 2000;

/// Why a call failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// In the function's words, or the line of its panic, or the trap.
    pub reason: String,
    /// The function's own frames, the innermost first.
    pub frames: Vec<String>,
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Failure { reason: cut(reason), frames: Vec::new() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)?;
        self.frames.iter().try_for_each(|frame| write!(f, "\n  in {frame}"))
    }
}

/// Cuts a text of a guest to [`MAX_REASON_CHARS`].
#[must_use]
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "ü".repeat(MAX_REASON_CHARS + 5);
        assert_eq!(cut(&long).chars().count(), MAX_REASON_CHARS + 1);
        assert_eq!(cut("short"), "short");
    }
}
