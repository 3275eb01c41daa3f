//! `--where 'column op literal and …'`: parsed, checked against the columns that may be seen, and turned into SQL whose
//! values are parameters. A column that may not be seen is given to nothing here, so that no answer, no error and no
//! time taken tells it from one that does not exist. Pure; running it is `query`'s.

mod lexer;

use std::fmt::{Display, Formatter};

use self::lexer::{Kind, Token};
use super::schema::quoted;
use super::text::{cell, form, parse_cell, shortened};
use crate::delivery::Value;
use crate::manifest::{Column, ColumnKind, nearest};

/// Longest filter, in bytes: a person writes a line; more is a program's, which can ask twice.
pub const MOST_BYTES: usize = 4096;
/// Most conditions of a filter; each is a comparison for every row read.
pub const MOST_TERMS: usize = 32;
/// Most literals between the brackets of one `in`.
pub const MOST_LITERALS: usize = 256;

/// Conditions that must all hold. As in SQL, a null meets no condition but `is null`.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    column: String,
    kind: ColumnKind,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Compare(Operator, Value),
    Among(Vec<Value>),
    Null,
    NotNull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    const ALL: [Operator; 6] = [
        Operator::Equal,
        Operator::Different,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ];

    fn sign(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::Different => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        }
    }
}

impl Filter {
    /// What `column` has to equal, where a condition says so.
    #[must_use]
    pub fn equals(&self, column: &str) -> Option<Value> {
        self.terms.iter().find_map(|term| match &term.test {
            Test::Compare(Operator::Equal, value) if term.column == column => Some(value.clone()),
            _ => None,
        })
    }
}

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {at} of the filter: {message}")]
pub struct FilterError {
    /// The character at which it goes wrong, from 1.
    pub at: usize,
    /// What is wrong, and the remedy.
    pub message: String,
}

impl FilterError {
    fn new(at: usize, message: impl Into<String>) -> Self {
        FilterError { at, message: message.into() }
    }
}

/// Reads a filter over `columns`, those that the asker may see.
///
/// # Errors
/// [`FilterError`] with the place and the remedy, for the first thing that is wrong.
pub fn parse(text: &str, columns: &[&Column]) -> Result<Filter, FilterError> {
    if text.len() > MOST_BYTES {
        return Err(FilterError::new(1, format!("it is longer than {MOST_BYTES} bytes: ask in several queries")));
    }
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), columns, end: text.chars().count() + 1 };
    let mut terms = vec![parser.term()?];
    while let Some(token) = parser.tokens.next() {
        match &token.kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("and") => {}
            Kind::Word(word) if word.eq_ignore_ascii_case("or") => {
                return Err(FilterError::new(token.at, "conditions are joined by `and` only: ask in two queries"));
            }
            _ => return Err(FilterError::new(token.at, format!("expected `and`, found {}", token.kind))),
        }
        if terms.len() == MOST_TERMS {
            return Err(FilterError::new(
                token.at,
                format!("more than {MOST_TERMS} conditions: ask in several queries"),
            ));
        }
        terms.push(parser.term()?);
    }
    Ok(Filter { terms })
}

impl Filter {
    /// As SQL for the embedded store, to stand behind `WHERE`, with its parameters in order.
    #[must_use]
    pub fn sql(&self) -> (String, Vec<Value>) {
        let mut values = Vec::new();
        let terms = self.terms.iter().map(|term| {
            let column = quoted(&term.column);
            match &term.test {
                Test::Null => format!("{column} IS NULL"),
                Test::NotNull => format!("{column} IS NOT NULL"),
                Test::Compare(operator, value) => {
                    values.push(value.clone());
                    format!("{column} {} ?", operator.sign())
                }
                Test::Among(among) => {
                    values.extend(among.iter().cloned());
                    format!("{column} IN ({})", vec!["?"; among.len()].join(","))
                }
            }
        });
        let sql = terms.collect::<Vec<_>>().join(" AND ");
        (sql, values)
    }
}

/// As it would be written.
impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let literal = |value| literal(term.kind, value);
            write!(f, "{}{} ", if i == 0 { "" } else { " and " }, term.column)?;
            match &term.test {
                Test::Null => f.write_str("is null")?,
                Test::NotNull => f.write_str("is not null")?,
                Test::Compare(operator, value) => write!(f, "{} {}", operator.sign(), literal(value))?,
                Test::Among(among) => {
                    write!(f, "in ({})", among.iter().map(literal).collect::<Vec<_>>().join(", "))?;
                }
            }
        }
        Ok(())
    }
}

fn literal(kind: ColumnKind, value: &Value) -> String {
    let text = cell(kind, value);
    if is_quoted(kind) { format!("'{}'", text.replace('\'', "''")) } else { text }
}

/// Whether literals of that kind stand in quotes.
fn is_quoted(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::Text | ColumnKind::Date | ColumnKind::Timestamp)
}

struct Parser<'c> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    columns: &'c [&'c Column],
    /// Where the text ends, for what is missing there.
    end: usize,
}

impl<'c> Parser<'c> {
    fn term(&mut self) -> Result<Term, FilterError> {
        let column = self.column()?;
        let token = self.expect("a comparison such as `=`, `is null` or `in`")?;
        let test = match &token.kind {
            Kind::Sign(sign) => self.comparison(column, sign, token.at)?,
            Kind::Word(word) if word.eq_ignore_ascii_case("is") => self.null()?,
            Kind::Word(word) if word.eq_ignore_ascii_case("in") => self.among(column)?,
            other => {
                let message = format!("expected one of `=` `!=` `<` `<=` `>` `>=` `is` `in`, found {other}");
                return Err(FilterError::new(token.at, message));
            }
        };
        Ok(Term { column: column.name.clone(), kind: column.kind, test })
    }

    fn expect(&mut self, what: &str) -> Result<Token, FilterError> {
        self.tokens.next().ok_or_else(|| FilterError::new(self.end, format!("it ends where {what} is expected")))
    }

    fn column(&mut self) -> Result<&'c Column, FilterError> {
        let token = self.expect("a column")?;
        let Kind::Word(name) = &token.kind else {
            return Err(FilterError::new(token.at, format!("expected a column, found {}", token.kind)));
        };
        let found = self.columns.iter().find(|c| c.name == *name);
        found.copied().ok_or_else(|| FilterError::new(token.at, no_column(name, self.columns)))
    }

    fn comparison(&mut self, column: &Column, sign: &str, at: usize) -> Result<Test, FilterError> {
        let Some(operator) = Operator::ALL.into_iter().find(|o| o.sign() == sign) else {
            let remedy = match sign {
                "==" => "write `=`",
                "<>" => "write `!=`",
                _ => "the comparisons are `=` `!=` `<` `<=` `>` `>=`",
            };
            return Err(FilterError::new(at, format!("`{}` is no comparison: {remedy}", shortened(sign))));
        };
        let ordered = !matches!(operator, Operator::Equal | Operator::Different);
        if ordered && column.kind == ColumnKind::Boolean {
            let message = format!("column `{}` is true or false, which have no order: write `=` or `!=`", column.name);
            return Err(FilterError::new(at, message));
        }
        Ok(Test::Compare(operator, self.literal(column)?))
    }

    fn null(&mut self) -> Result<Test, FilterError> {
        let token = self.expect("`null` or `not null`")?;
        match &token.kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("null") => Ok(Test::Null),
            Kind::Word(word) if word.eq_ignore_ascii_case("not") => {
                let token = self.expect("`null`")?;
                match &token.kind {
                    Kind::Word(word) if word.eq_ignore_ascii_case("null") => Ok(Test::NotNull),
                    other => Err(FilterError::new(token.at, format!("expected `null`, found {other}"))),
                }
            }
            other => Err(FilterError::new(token.at, format!("expected `null` or `not null`, found {other}"))),
        }
    }

    fn among(&mut self, column: &Column) -> Result<Test, FilterError> {
        let open = self.expect("`(`")?;
        if open.kind != Kind::Open {
            return Err(FilterError::new(open.at, format!("expected `(`, found {}", open.kind)));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.literal(column)?);
            let token = self.expect("`,` or `)`")?;
            match token.kind {
                Kind::Close => return Ok(Test::Among(values)),
                Kind::Comma if values.len() < MOST_LITERALS => {}
                Kind::Comma => {
                    let message = format!("more than {MOST_LITERALS} values in one `in`: ask in several queries");
                    return Err(FilterError::new(token.at, message));
                }
                other => return Err(FilterError::new(token.at, format!("expected `,` or `)`, found {other}"))),
            }
        }
    }

    fn literal(&mut self, column: &Column) -> Result<Value, FilterError> {
        let wanted = wanted(column.kind);
        let token = self.expect(&wanted)?;
        let text = match &token.kind {
            Kind::Quoted(text) if is_quoted(column.kind) => text.clone(),
            Kind::Number(text) if !is_quoted(column.kind) => text.clone(),
            Kind::Word(word) if column.kind == ColumnKind::Boolean => word.to_ascii_lowercase(),
            // As cells show it; `-Infinity` and what is too large are numbers that mean the same.
            Kind::Word(word) if column.kind == ColumnKind::Double && word == "Infinity" => word.clone(),
            Kind::Word(word) if word.eq_ignore_ascii_case("null") => {
                let message = format!("null is compared with nothing: write `{} is null`", column.name);
                return Err(FilterError::new(token.at, message));
            }
            other => {
                let message = format!("column `{}` is compared with {wanted}, found {other}", column.name);
                return Err(FilterError::new(token.at, message));
            }
        };
        parse_cell(column.kind, &text).map_err(|fault| {
            FilterError::new(token.at, format!("{fault}, with which column `{}` is compared", column.name))
        })
    }
}

/// The literal that a column of that kind is compared with, in words.
fn wanted(kind: ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "text in quotes such as 'abc'".to_owned(),
        ColumnKind::Date => "a date in quotes such as '2019-04-24'".to_owned(),
        ColumnKind::Timestamp => "a timestamp in quotes such as '2019-04-24T10:00:00Z'".to_owned(),
        kind => form(kind).to_owned(),
    }
}

/// Says that there is no such column, and which there are: the nearest name, or all.
pub(super) fn no_column(name: &str, columns: &[&Column]) -> String {
    let name = shortened(name);
    let names = columns.iter().map(|c| c.name.as_str());
    match nearest(&name, names.clone()) {
        Some(near) => format!("there is no column `{name}`: did you mean `{near}`?"),
        None => {
            let names: Vec<String> = names.map(|n| format!("`{n}`")).collect();
            format!("there is no column `{name}`: there are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
