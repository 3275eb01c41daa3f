//! The text of spin.toml as tables that know their lines: typed access that reports what is missing, misspelt or
//! of the wrong type, and goes on. What the keys mean is not known here.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::problem::{Problem, instead_of};

/// A byte offset in the text: where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct At(usize);

impl From<Range<usize>> for At {
    fn from(span: Range<usize>) -> Self {
        At(span.start)
    }
}

/// A string and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) at: At,
    pub(super) text: &'a str,
}

/// Collects problems while the whole file is read.
pub(super) struct Report {
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Report { line_starts: std::iter::once(0).chain(starts).collect(), problems: RefCell::default() }
    }

    /// The line, from 1, that holds `at`.
    pub(super) fn line(&self, at: At) -> usize {
        self.line_starts.partition_point(|start| *start <= at.0)
    }

    pub(super) fn add(&self, at: At, message: impl Into<String>, hint: impl Into<String>) {
        self.add_at_line(self.line(at), message, hint);
    }

    /// As [`Report::add`], where only the line is known.
    pub(super) fn add_at_line(&self, line: usize, message: impl Into<String>, hint: impl Into<String>) {
        let problem = Problem { line: Some(line), message: message.into(), hint: hint.into() };
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// All problems, by line.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| p.line);
        problems
    }
}

/// A value and where its key stands.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The key.
    pub(super) key: Located<'a>,
    pub(super) value: &'a DeValue<'a>,
    /// Where the value stands.
    at: At,
}

/// A table whose keys are asked for one by one; those never asked for are unknown.
pub(super) struct Fields<'a> {
    report: &'a Report,
    what: String,
    at: At,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The whole document.
    pub(super) fn root(report: &'a Report, table: &'a DeTable<'a>) -> Self {
        Fields { report, what: "spin.toml".to_owned(), at: At::default(), table, asked: Vec::new() }
    }

    /// `entry` as a table; reports a value of another type. `what` names it in messages.
    pub(super) fn of(report: &'a Report, what: impl Into<String>, entry: Entry<'a>) -> Option<Self> {
        Self::shaped(report, what.into(), entry, "a table")
    }

    /// As [`Self::of`]; `shape` tells the reader what to write instead of a value of another type.
    fn shaped(report: &'a Report, what: String, entry: Entry<'a>, shape: &str) -> Option<Self> {
        let table = entry.value.as_table();
        if table.is_none() {
            wrong_type(report, entry, &what, shape);
        }
        table.map(|table| Fields { report, what, at: entry.key.at, table, asked: Vec::new() })
    }

    /// Where the table is named.
    pub(super) fn at(&self) -> At {
        self.at
    }

    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    /// Gives the table a better name for messages.
    pub(super) fn call(&mut self, what: impl Into<String>) {
        self.what = what.into();
    }

    /// The value of `key`, which is thereby known.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Entry<'a>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get_key_value(key).map(entry)
    }

    /// Keys that are known and of no interest here.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.asked.extend(keys);
    }

    /// Everything in the table; for tables whose keys are names.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        self.table.iter().map(entry)
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<Located<'a>> {
        let entry = self.get(key)?;
        text(self.report, entry, &format!("`{key}` of {}", self.what))
    }

    /// As [`Self::string`]; a missing one is a problem with `hint` as its remedy.
    pub(super) fn required_string(&mut self, key: &'static str, hint: &str) -> Option<Located<'a>> {
        if !self.table.contains_key(key) {
            self.report.add(self.at, format!("{} has no `{key}`", self.what), hint);
        }
        self.string(key)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let Some(entry) = self.get(key) else { return false };
        let flag = entry.value.as_bool();
        if flag.is_none() {
            wrong_type(self.report, entry, &format!("`{key}` of {}", self.what), "true or false");
        }
        flag.unwrap_or_default()
    }

    /// A whole number within `bounds`.
    pub(super) fn number(&mut self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let entry = self.get(key)?;
        let name = format!("`{key}` of {}", self.what);
        let Some(integer) = entry.value.as_integer() else {
            wrong_type(self.report, entry, &name, "a whole number");
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| bounds.contains(n));
        if number.is_none() {
            let hint = format!("give a whole number from {} to {}", bounds.start(), bounds.end());
            self.report.add(entry.key.at, format!("{name} is {integer}, which is out of range"), hint);
        }
        number
    }

    /// As [`Self::number`], for bounds that fit 32 bits.
    pub(super) fn small(&mut self, key: &'static str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        self.number(key, bounds).and_then(|n| u32::try_from(n).ok())
    }

    /// A list of strings without repetition.
    pub(super) fn strings(&mut self, key: &'static str) -> Option<Vec<Located<'a>>> {
        let entry = self.get(key)?;
        strings(self.report, entry, &format!("`{key}` of {}", self.what))
    }

    /// Names with strings as values, such as variables.
    pub(super) fn string_map(&mut self, key: &'static str) -> Vec<(Located<'a>, Located<'a>)> {
        let what = format!("`{key}` of {}", self.what);
        let Some(inner) = self.get(key).and_then(|e| Fields::of(self.report, what.as_str(), e)) else {
            return Vec::new();
        };
        let pair = |e: Entry<'a>| Some((e.key, text(self.report, e, &format!("`{}` in {what}", e.key.text))?));
        inner.entries().filter_map(pair).collect()
    }

    /// The tables under `key`, by name; `noun` names each in messages, and `example` is one.
    pub(super) fn tables(&mut self, key: &'static str, noun: &str, example: &str) -> Vec<(Located<'a>, Fields<'a>)> {
        let shape = format!("a table, such as `{example}`");
        let what = format!("`{key}` of {}", self.what);
        let Some(inner) = self.get(key).and_then(|e| Fields::of(self.report, what, e)) else { return Vec::new() };
        let named =
            |e: Entry<'a>| Some((e.key, Fields::shaped(self.report, format!("{noun} `{}`", e.key.text), e, &shape)?));
        inner.entries().filter_map(named).collect()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for entry in self.entries().filter(|e| !self.asked.contains(&e.key.text)) {
            let message = format!("unknown key `{}` in {}", entry.key.text, self.what);
            self.report.add(entry.key.at, message, instead_of(entry.key.text, self.asked.iter().copied(), "remove it"));
        }
    }
}

/// The elements of `entry`, each standing where it is written; reports a value that is no list.
pub(super) fn elements<'a>(report: &Report, entry: Entry<'a>, what: &str) -> Vec<Entry<'a>> {
    let Some(array) = entry.value.as_array() else {
        wrong_type(report, entry, what, "a list");
        return Vec::new();
    };
    element_entries(array, entry.key.text).collect()
}

/// `entry` as a list of strings without repetition; `what` names it in messages.
pub(super) fn strings<'a>(report: &Report, entry: Entry<'a>, what: &str) -> Option<Vec<Located<'a>>> {
    let mut strings: Vec<Located<'a>> = Vec::new();
    for element in elements(report, entry, what) {
        let Some(string) = text(report, element, &format!("an element of {what}")) else { continue };
        if strings.iter().any(|s| s.text == string.text) {
            report.add(string.at, format!("{what} names `{}` twice", string.text), "remove one of the two");
            continue;
        }
        strings.push(string);
    }
    entry.value.is_array().then_some(strings)
}

/// `entry` as a string; reports a value of another type.
pub(super) fn text<'a>(report: &Report, entry: Entry<'a>, what: &str) -> Option<Located<'a>> {
    let text = entry.value.as_str();
    if text.is_none() {
        wrong_type(report, entry, what, "a string in quotes");
    }
    text.map(|text| Located { at: entry.at, text })
}

fn wrong_type(report: &Report, entry: Entry<'_>, what: &str, wanted: &str) {
    let found = match entry.value.type_str() {
        kind @ ("integer" | "array") => format!("an {kind}"),
        kind => format!("a {kind}"),
    };
    report.add(entry.key.at, format!("{what} is {found}"), format!("give {wanted}"));
}

fn entry<'a>((key, value): (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)) -> Entry<'a> {
    let key = Located { at: key.span().into(), text: key.get_ref() };
    let at = if value.get_ref().is_table() { key.at } else { value.span().into() };
    Entry { key, value: value.get_ref(), at }
}

fn element_entries<'a>(array: &'a DeArray<'a>, name: &'a str) -> impl Iterator<Item = Entry<'a>> {
    array.iter().map(move |value| {
        let at = At::from(value.span());
        Entry { key: Located { at, text: name }, value: value.get_ref(), at }
    })
}
