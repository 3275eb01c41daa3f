//! Which names an application may give to things, so that WIT, every store and Kafka can spell them.

use super::document::{Located, Report};

/// Longest name of a table or column: Cassandra allows 48 characters, Postgres 63.
const MAX_STORED_NAME: usize = 48;
/// Longest name of an application, function, topic or trigger, so that `<application>.<function>.dead-letters` and
/// `<application>.<function>.tables` stay within Kafka's 249 characters.
const MAX_LOGGED_NAME: usize = 100;

/// How a kind of name is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `lower_snake_case`, of tables and columns.
    Snake,
    /// `lower_snake_case` whose words all begin with a letter, of variables: so Spin has it.
    Variable,
    /// `kebab-case` whose words all begin with a letter, of the application and components: so Spin has it.
    Kebab,
    /// Words joined by `-`, `_` or `.`, of topics and triggers.
    Dotted,
}

impl Spelling {
    fn joints(self) -> &'static [char] {
        match self {
            Spelling::Snake | Spelling::Variable => &['_'],
            Spelling::Kebab => &['-'],
            Spelling::Dotted => &['-', '_', '.'],
        }
    }

    fn max_length(self) -> usize {
        match self {
            Spelling::Snake => MAX_STORED_NAME,
            Spelling::Variable | Spelling::Kebab | Spelling::Dotted => MAX_LOGGED_NAME,
        }
    }

    /// Whether `name` is spelled so.
    pub(super) fn accepts(self, name: &str) -> bool {
        let every_word_begins_with_a_letter = matches!(self, Spelling::Variable | Spelling::Kebab);
        name.len() <= self.max_length()
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.split(self.joints()).all(|word| {
                word.starts_with(|c: char| {
                    c.is_ascii_lowercase() || (!every_word_begins_with_a_letter && c.is_ascii_digit())
                }) && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
    }

    fn rule(self) -> String {
        let joints = match self {
            Spelling::Snake | Spelling::Variable => "`_`",
            Spelling::Kebab => "`-`",
            Spelling::Dotted => "`-`, `_` or `.`",
        };
        let first = match self {
            Spelling::Snake | Spelling::Dotted => "the first",
            Spelling::Variable | Spelling::Kebab => "each",
        };
        let most = self.max_length();
        format!(
            "use words of lower-case letters and digits joined by {joints}, {first} beginning with a letter, at most {most} characters"
        )
    }
}

/// Reports a `name` that is not spelled as it must be; `noun` says what it names.
pub(super) fn check(report: &Report, noun: &str, name: Located<'_>, spelling: Spelling) {
    if spelling.accepts(name.text) {
        return;
    }
    let example = likeness(name.text, spelling).map(|s| format!(", such as `{s}`")).unwrap_or_default();
    let message = format!("{noun} `{}` has a name that cannot be spelled everywhere", name.text);
    report.add(name.at, message, format!("{}{example}", spelling.rule()));
}

/// The accepted name that looks most like `name`.
fn likeness(name: &str, spelling: Spelling) -> Option<String> {
    let joint = if spelling == Spelling::Kebab { "-" } else { "_" };
    let mut spaced = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && after_lower {
            spaced.push(' ');
        }
        after_lower = c.is_ascii_lowercase();
        let kept = c.is_ascii_alphanumeric() || spelling.joints().contains(&c);
        spaced.push(if kept { c.to_ascii_lowercase() } else { ' ' });
    }
    let words: Vec<&str> = spaced.split(|c: char| c == ' ' || (c != '.' && spelling.joints().contains(&c))).collect();
    let likeness = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(joint);
    spelling.accepts(&likeness).then_some(likeness)
}
