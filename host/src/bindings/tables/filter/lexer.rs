//! The words of a filter: names, signs, numbers, quoted text. What they mean together is the parser's.

use std::fmt::{Display, Formatter};

use super::FilterError;

/// A word and the character at which it begins, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A column or a keyword.
    Word(String),
    /// Something of `=`, `!`, `<`, `>`.
    Sign(String),
    /// A number as it is written, perhaps not a number at all.
    Number(String),
    /// Text between single quotes, the doubled ones undone.
    Quoted(String),
    Open,
    Close,
    Comma,
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Word(text) | Kind::Sign(text) | Kind::Number(text) => {
                write!(f, "`{}`", super::super::text::shortened(text))
            }
            Kind::Quoted(_) => f.write_str("text in quotes"),
            Kind::Open => f.write_str("`(`"),
            Kind::Close => f.write_str("`)`"),
            Kind::Comma => f.write_str("`,`"),
        }
    }
}

/// Takes `text` apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut rest = (1..).zip(text.chars()).peekable();
    let mut tokens = Vec::new();
    while let Some((at, first)) = rest.next() {
        let mut run = |begin: String, more: fn(char) -> bool| {
            let mut run = begin;
            while let Some((_, c)) = rest.next_if(|(_, c)| more(*c)) {
                run.push(c);
            }
            run
        };
        let kind = match first {
            c if c.is_whitespace() => continue,
            '(' => Kind::Open,
            ')' => Kind::Close,
            ',' => Kind::Comma,
            '\'' => Kind::Quoted(quoted(at, &mut rest)?),
            '"' | '`' => return Err(FilterError::new(at, "text stands in single quotes: write 'text'")),
            '=' | '!' | '<' | '>' => Kind::Sign(run(first.into(), |c| matches!(c, '=' | '!' | '<' | '>'))),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => {
                Kind::Number(run(first.into(), |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')))
            }
            c if c.is_alphabetic() || c == '_' => Kind::Word(run(first.into(), |c| c.is_alphanumeric() || c == '_')),
            c => {
                let shown = super::super::text::shortened(&c.to_string());
                return Err(FilterError::new(at, format!("`{shown}` has no meaning here: leave it out")));
            }
        };
        tokens.push(Token { at, kind });
    }
    Ok(tokens)
}

/// The text up to the closing quote; two quotes stand for one.
fn quoted(
    at: usize,
    rest: &mut std::iter::Peekable<impl Iterator<Item = (usize, char)>>,
) -> Result<String, FilterError> {
    let mut text = String::new();
    loop {
        match rest.next() {
            None => {
                return Err(FilterError::new(at, "the quote is not closed: add a `'`, doubled where text holds one"));
            }
            Some((_, '\'')) if rest.next_if(|(_, c)| *c == '\'').is_none() => return Ok(text),
            Some((_, c)) => text.push(c),
        }
    }
}
