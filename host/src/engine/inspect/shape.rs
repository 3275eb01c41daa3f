//! Types of functions without the names that types have, so that those of a component and those of WIT text can be
//! compared.

use std::fmt;

/// Characters of a type that a message shows: a row of fifty columns, and not what a stranger could make of it.
const MOST_SHOWN: usize = 2_000;

/// A function's type, structurally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// Parameters in order.
    pub params: Vec<Shape>,
    /// The result, if there is one.
    pub result: Option<Shape>,
}

/// A type without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A scalar or string by its WIT name.
    Scalar(String),
    /// `list<…>`.
    List(Box<Shape>),
    /// `option<…>`.
    Option(Box<Shape>),
    /// `result<…, …>`.
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    /// Fields in order.
    Record(Vec<(String, Shape)>),
    /// Cases in order.
    Variant(Vec<(String, Option<Shape>)>),
    /// Anything else, by its kind. What isobar grants is made of the others alone.
    Other(&'static str),
}

impl Shape {
    /// The fields of a list of records.
    #[must_use]
    pub fn rows(&self) -> Option<&[(String, Shape)]> {
        match self {
            Shape::List(item) => match item.as_ref() {
                Shape::Record(fields) => Some(fields),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Signature {
    /// The fields of the records that a table function gives or, else, takes.
    #[must_use]
    pub fn record_fields(&self, of_result: bool) -> Option<Vec<&str>> {
        let list = match (of_result, &self.result) {
            (true, Some(Shape::Result(Some(ok), _))) => ok.as_ref(),
            (true, _) => return None,
            (false, _) => self.params.first()?,
        };
        Some(list.rows()?.iter().map(|(name, _)| name.as_str()).collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, shape: &Option<Box<Shape>>| match shape {
            Some(shape) => write!(f, "{shape}"),
            None => f.write_str("_"),
        };
        match self {
            Shape::Scalar(name) => f.write_str(name),
            Shape::Other(kind) => f.write_str(kind),
            Shape::List(item) => write!(f, "list<{item}>"),
            Shape::Option(item) => write!(f, "option<{item}>"),
            Shape::Result(ok, err) => {
                f.write_str("result<")?;
                part(f, ok)?;
                f.write_str(", ")?;
                part(f, err)?;
                f.write_str(">")
            }
            Shape::Record(fields) => {
                for (at, (name, shape)) in fields.iter().enumerate() {
                    write!(f, "{}{name}: {shape}", if at == 0 { "{" } else { ", " })?;
                }
                f.write_str("}")
            }
            Shape::Variant(cases) => {
                let case = |(name, ty): &(String, Option<Shape>)| match ty {
                    Some(ty) => format!("{name}({ty})"),
                    None => name.clone(),
                };
                write!(f, "variant {{{}}}", cases.iter().map(case).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self.params.iter().map(Shape::to_string).collect();
        let result = self.result.as_ref().map(|result| format!(" -> {result}")).unwrap_or_default();
        let text = format!("{}func({}){result}", if self.is_async { "async " } else { "" }, params.join(", "));
        match text.char_indices().nth(MOST_SHOWN) {
            Some((end, _)) => write!(f, "{}…", text.get(..end).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}
