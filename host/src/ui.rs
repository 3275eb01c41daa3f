//! The only printing: data on stdout, talk on stderr. Colours and progress on terminals only.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const VERB: Style = AnsiColor::Green.on_default().bold();
/// Blanks between two columns.
const GAP: u16 = 2;
/// How often a spinner turns.
const SPIN: Duration = Duration::from_millis(100);

/// Writes data to stdout.
///
/// # Errors
/// When stdout is closed or full.
pub fn data(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a line of data to stdout.
///
/// # Errors
/// When stdout is closed or full.
pub fn line(text: impl Display) -> io::Result<()> {
    data(format!("{text}\n").as_bytes())
}

/// Says something on stderr.
pub fn say(text: impl Display) {
    talk(format_args!("{text}"));
}

/// Says on stderr what is being done, the verb first.
pub fn doing(verb: &str, what: impl Display) {
    talk(format_args!("{VERB}{verb:>12}{VERB:#} {what}"));
}

/// Says on stderr what could be done.
pub fn hint(text: impl Display) {
    talk(format_args!("  {HINT}hint:{HINT:#} {text}"));
}

/// Says on stderr what may be unexpected.
pub fn warn(text: impl Display) {
    talk(format_args!("{WARNING}warning:{WARNING:#} {text}"));
}

/// Says on stderr why something failed; lines that begin with `hint:` are set apart.
pub fn error(error: &anyhow::Error) {
    problem(&format!("{error:#}"));
}

/// Says on stderr what is wrong; lines that begin with `hint:` are set apart.
pub fn problem(text: &str) {
    for (at, part) in text.lines().enumerate() {
        match part.trim_start().strip_prefix("hint: ") {
            Some(text) => hint(visible(text)),
            None if at == 0 => talk(format_args!("{ERROR}error:{ERROR:#} {}", visible(part))),
            None => talk(format_args!("{}", visible(part))),
        }
    }
}

/// Whether there is a person to ask.
#[must_use]
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && is_talking_to_a_person()
}

/// Asks a person a question that only `y` or `yes` answers with yes.
///
/// # Errors
/// When there is nobody to ask.
pub fn confirm(question: &str) -> anyhow::Result<bool> {
    anyhow::ensure!(can_ask(), "{question}\n  hint: there is nobody to ask; say `--yes` if that is meant");
    let mut out = anstream::stderr().lock();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// A turning mark with a message, on a terminal; nothing elsewhere.
#[must_use]
pub fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    bar.set_message(message);
    bar.enable_steady_tick(SPIN);
    bar
}

/// Bytes that go by, on a terminal; nothing elsewhere. Where it is not known how many there will be, it counts.
#[must_use]
pub fn counter(message: String, all: Option<u64>) -> ProgressBar {
    let bar = spinner(message);
    let template = match all {
        Some(_) => "{spinner} {msg} {bytes} of {total_bytes} {bytes_per_sec}",
        None => "{spinner} {msg} {bytes} {bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    all.into_iter().for_each(|all| bar.set_length(all));
    bar
}

/// Records that go by, on a terminal; nothing elsewhere.
#[must_use]
pub fn records(message: String) -> ProgressBar {
    let bar = spinner(message);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {human_pos} of {human_len} records, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Rows under headings, as text.
#[must_use]
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    columns(&headings, rows.into_iter().map(Vec::from))
}

/// As [`table`], where the number of columns is known late.
#[must_use]
pub fn columns(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// `1 row`, `2 rows`.
#[must_use]
pub fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Bytes as people read them.
#[must_use]
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// An instant, in milliseconds since the Unix epoch, as UTC.
#[must_use]
pub fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "-".to_owned(), |t| t.to_string())
}

/// Text of unknown origin, safe for a terminal: control characters are written out.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

/// Whether stderr, where talk goes, is a terminal.
#[must_use]
pub fn is_talking_to_a_person() -> bool {
    io::stderr().is_terminal()
}

fn target() -> ProgressDrawTarget {
    if is_talking_to_a_person() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

/// Nobody can be told that stderr is closed.
fn talk(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(visible("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(visible("Zürich"), "Zürich");
    }

    #[test]
    fn a_table_has_no_blanks_at_the_ends_of_lines() {
        let text = table(["name", "size"], [["a".to_owned(), "1".to_owned()], ["long".to_owned(), "22".to_owned()]]);
        assert!(text.lines().all(|l| l == l.trim_end()), "{text:?}");
        assert_eq!(text.lines().count(), 3);
    }
}
