//! What functions write, as users of Spin ask for it: shown or not, all or some, and into files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::dispatch::VOICES;

/// Who is heard.
#[derive(Default)]
pub(crate) struct Output {
    quiet: bool,
    followed: BTreeSet<String>,
    folder: Option<PathBuf>,
    files: Mutex<BTreeMap<String, Option<File>>>,
}

impl Output {
    /// Shows what `followed` functions write, all where none is named, nothing where it is `quiet`; in any case it goes into files of
    /// `folder`, one for each function.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn new(quiet: bool, followed: &[String], folder: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        let (followed, folder) = (followed.iter().cloned().collect(), folder.map(Path::to_owned));
        Ok(Output { quiet, followed, folder, files: Mutex::default() })
    }

    /// A file that cannot be written costs the line: there is nobody left to tell.
    fn keep(&self, line: &Line) {
        let Some(folder) = &self.folder else { return };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.entry(line.function.clone()).or_insert_with(|| {
            let path = folder.join(format!("{}.txt", line.function));
            File::options().create(true).append(true).open(path).ok()
        });
        if let Some(file) = file {
            let _ = writeln!(file, "{}", line.text);
        }
    }
}

impl<S: Subscriber> Layer<S> for Output {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if event.metadata().target() != VOICES {
            return true;
        }
        let mut line = Line::default();
        event.record(&mut line);
        self.keep(&line);
        !self.quiet && (self.followed.is_empty() || self.followed.contains(&line.function))
    }
}

#[derive(Default)]
struct Line {
    function: String,
    text: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let to = match field.name() {
            "function" => &mut self.function,
            "message" => &mut self.text,
            _ => return,
        };
        // Writing into a string does not fail.
        let _ = write!(to, "{value:?}");
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn seen(output: Output) -> String {
        let shown = tempfile::NamedTempFile::new().unwrap();
        let to = std::sync::Arc::new(shown.reopen().unwrap());
        let log = tracing_subscriber::fmt::layer().with_writer(to).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(log).with(output);
        tracing::subscriber::with_default(subscriber, || {
            for function in ["count", "sum"] {
                tracing::info!(target: VOICES, %function, "{function} says it");
            }
            tracing::info!("the host says it");
        });
        std::fs::read_to_string(shown.path()).unwrap()
    }

    #[test]
    fn functions_are_heard_as_asked_and_the_host_always() {
        let dir = tempfile::tempdir().unwrap();
        let follow = ["sum".to_owned()];
        let output = |quiet, followed: &[String]| Output::new(quiet, followed, Some(dir.path())).unwrap();
        for (output, count, sum) in [
            (output(false, &[]), true, true),
            (output(false, &follow), false, true),
            (output(true, &follow), false, false),
        ] {
            let seen = seen(output);
            assert_eq!((seen.contains("count says it"), seen.contains("sum says it")), (count, sum), "{seen}");
            assert!(seen.contains("the host says it"), "{seen}");
        }
        let kept = std::fs::read_to_string(dir.path().join("count.txt")).unwrap();
        assert_eq!(kept, "count says it\n".repeat(3));
    }
}
