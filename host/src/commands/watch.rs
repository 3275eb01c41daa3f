//! `isobar watch`: whenever a source is saved, its function is built and takes over in the running host. What does not build, or is
//! refused, is told, and the version in charge goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::deploy::{send, told};
use super::{Outcome, manifest};
use crate::cli::WatchArgs;
use crate::console::answers::DeployWay;
use crate::manifest::{Application, Function};
use crate::ui;

/// How often files are looked at; what is being written has as long to come to an end.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Files of one function that are looked at: more are surely not its sources.
const MOST_FILES: usize = 20_000;

/// The files of a function, with when they were changed and their sizes.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// What is looked at.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    manifest: Files,
    sources: BTreeMap<String, Files>,
}

/// Builds and deploys until it is interrupted.
///
/// # Errors
/// What is wrong with the manifest or its `watch` patterns when it begins.
pub async fn run(args: &WatchArgs) -> anyhow::Result<Outcome> {
    let path = &args.place.manifest.manifest;
    let (mut application, root) = manifest(path)?;
    for name in &args.functions {
        anyhow::ensure!(application.functions.contains_key(name), "there is no function `{name}`");
    }
    let mut seen = look(path, &application, &root, &args.functions)?;
    for (function, files) in &seen.sources {
        ui::doing("Watching", format_args!("{} of `{function}`", ui::count(files.len() as u64, "file")));
        if files.is_empty() {
            ui::hint(format_args!(
                "`watch` under [component.{function}.build] names the sources, as `spin watch` has it"
            ));
        }
    }
    let mut troubled = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(now) = told_look(path, &application, &root, &args.functions, &mut troubled) else { continue };
        if now == seen {
            continue;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let still = look(path, &application, &root, &args.functions).ok();
        let Some(still) = still.filter(|still| *still == now) else {
            // Something is still being written.
            continue;
        };
        let mut changed: BTreeSet<String> = still
            .sources
            .iter()
            .filter(|(name, files)| seen.sources.get(*name) != Some(files))
            .map(|(n, _)| n.clone())
            .collect();
        if still.manifest != seen.manifest {
            changed.extend(still.sources.keys().cloned());
        }
        seen = still;
        match take_over(args, &changed).await {
            Ok(latest) => application = latest,
            Err(error) => {
                ui::error(&error);
                ui::hint("what runs goes on");
            }
        }
    }
}

/// What is looked at; that it cannot be is told once.
fn told_look(
    path: &Path,
    application: &Application,
    root: &Path,
    wanted: &[String],
    troubled: &mut bool,
) -> Option<Seen> {
    match look(path, application, root, wanted) {
        Ok(seen) => {
            *troubled = false;
            Some(seen)
        }
        Err(error) => {
            if !std::mem::replace(troubled, true) {
                ui::error(&error);
            }
            None
        }
    }
}

/// Builds and deploys functions by the manifest as it is now, which is given back.
async fn take_over(args: &WatchArgs, functions: &BTreeSet<String>) -> anyhow::Result<Application> {
    let (application, _) = manifest(&args.place.manifest.manifest)?;
    let known = functions.iter().filter(|name| application.functions.contains_key(*name)).cloned().collect();
    for taken in send(&args.place, &known, true, DeployWay::TakeOver).await? {
        ui::say(told(&taken));
    }
    Ok(application)
}

fn look(path: &Path, application: &Application, root: &Path, wanted: &[String]) -> anyhow::Result<Seen> {
    let functions = application.functions.values().filter(|f| wanted.is_empty() || wanted.contains(&f.name));
    let sources = functions.map(|function| Ok((function.name.clone(), files(function, root)?)));
    Ok(Seen { manifest: Files::from([state(path.to_owned())]), sources: sources.collect::<anyhow::Result<_>>()? })
}

fn files(function: &Function, root: &Path) -> anyhow::Result<Files> {
    let mut found = Files::new();
    let Some(build) = &function.build else { return Ok(found) };
    let folder = build.workdir.as_ref().map_or_else(|| root.to_owned(), |workdir| root.join(workdir));
    for pattern in &build.watch {
        let whole = format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy()));
        let matching = glob::glob(&whole)
            .with_context(|| format!("`{pattern}` in `watch` of `{}` is no pattern of files", function.name))?;
        for path in matching.filter_map(Result::ok).filter(|path| path.is_file()) {
            anyhow::ensure!(
                found.len() < MOST_FILES,
                "`watch` of `{}` names more than {MOST_FILES} files; name its sources alone",
                function.name
            );
            found.extend([state(path)]);
        }
    }
    Ok(found)
}

fn state(path: PathBuf) -> (PathBuf, (Option<SystemTime>, u64)) {
    let found = path.metadata().ok();
    let changed = found.as_ref().and_then(|found| found.modified().ok());
    (path, (changed, found.map_or(0, |found| found.len())))
}
