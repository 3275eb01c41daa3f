//! Values of secret variables in the words of functions: what they write, and why they fail, goes into logs, dead letters and answers.

use std::collections::BTreeSet;

/// What stands in the place of a value.
const HIDDEN: &str = "[secret]";
/// Bytes of the shortest value that is looked for: one that is shorter is found everywhere, and guessed without help.
const SHORTEST: usize = 4;

/// Values that are not to be told, the longest first, as one may be a part of another.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of `values` that can be hidden.
    pub(super) fn new(values: BTreeSet<String>) -> Self {
        let mut values: Vec<String> = values.into_iter().filter(|value| value.len() >= SHORTEST).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Secrets(values)
    }

    /// The text without them. One that a function has changed is not known again.
    pub(super) fn hidden_in(&self, mut text: String) -> String {
        for value in &self.0 {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), HIDDEN);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_wherever_they_stand_and_short_ones_are_not_looked_for() {
        let secrets = Secrets::new(["hunter2", "hunter22", "one\ntwo", "abc"].map(str::to_owned).into());
        for (text, hidden) in [
            ("", ""),
            ("abc and hunter", "abc and hunter"),
            ("token=hunter2;hunter2", "token=[secret];[secret]"),
            ("hunter22", "[secret]"),
            ("a one\ntwo b", "a [secret] b"),
        ] {
            assert_eq!(secrets.hidden_in(text.to_owned()), hidden);
        }
    }
}
