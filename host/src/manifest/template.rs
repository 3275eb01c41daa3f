//! Spin's templates: text with `{{ name }}` for the application's variables. What the names stand for is not known here.

use std::borrow::Cow;

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Literal(&'t str),
    /// The name of a variable.
    Variable(&'t str),
}

/// The parts of `template` in order, or `None` where a `{{` is never closed.
pub(super) fn parts(template: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((literal, opened)) = rest.split_once("{{") {
        let (name, after) = opened.split_once("}}")?;
        parts.extend((!literal.is_empty()).then_some(Part::Literal(literal)));
        parts.push(Part::Variable(name.trim()));
        rest = after;
    }
    parts.extend((!rest.is_empty()).then_some(Part::Literal(rest)));
    Some(parts)
}

/// The template with every variable's value in place, or the name of the first variable that has none. An unclosed
/// `{{` stands for itself.
pub(super) fn fill<'t>(template: &'t str, value: impl Fn(&str) -> Option<&'t str>) -> Result<Cow<'t, str>, &'t str> {
    let Some(parts) = parts(template) else { return Ok(Cow::Borrowed(template)) };
    let mut filled = String::new();
    for part in parts {
        filled.push_str(match part {
            Part::Literal(text) => text,
            Part::Variable(name) => value(name).ok_or(name)?,
        });
    }
    Ok(Cow::Owned(filled))
}
