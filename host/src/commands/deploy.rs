//! `isobar deploy`, `versions`, `rollback`, `remove`, `diff`, `pull` and `audit`: functions as things with versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;

use anyhow::Context as _;

use super::reach::Reach;
use super::replay::{Wish, can_ask, see_through};
use super::{Outcome, build};
use crate::cli::{AuditArgs, DeployArgs, DiffArgs, FunctionArgs, PlaceArgs, PullArgs, RollbackArgs, VersionsArgs};
use crate::console::answers::{AuditAsk, DeployAsk, DeployWay, DiffAsk, RollbackAsk, ShadowAsk};
use crate::deploys::{Taken, VersionSummary};
use crate::embedded::versions::Entry;
use crate::registry::{self, short};
use crate::{manifest, ui};

/// Differences of each table that are shown of a version that computes the past anew.
const MOST_DIFFERENCES: u32 = 10;

/// Sends functions to the running host.
///
/// # Errors
/// Why they cannot be sent, or what the host says against them; nothing has changed then.
pub async fn deploy(args: &DeployArgs) -> anyhow::Result<Outcome> {
    let functions: BTreeSet<String> = match args.all {
        true => super::manifest(&args.place.manifest.manifest)?.0.functions.into_keys().collect(),
        false => args.functions.iter().cloned().collect(),
    };
    can_ask(args.rebuild, args.yes)?;
    let way = match (args.shadow, args.rebuild) {
        (true, _) => DeployWay::Shadow,
        (_, true) => DeployWay::Replay,
        _ => DeployWay::TakeOver,
    };
    let taken = send(&args.place, &functions, args.build, way).await?;
    if let (true, [taken]) = (args.rebuild, taken.as_slice()) {
        let shown = ShadowAsk { differences: Some(MOST_DIFFERENCES), ..ShadowAsk::default() };
        let wish = Wish { applies: true, is_sure: args.yes, shown, json: args.json };
        let reach = Reach::open(&args.place).await?;
        let done = see_through(&reach, taken, &wish).await;
        reach.close().await;
        return done;
    }
    if args.json {
        ui::line(serde_json::to_string_pretty(&taken)?)?;
    } else if args.shadow {
        taken.iter().for_each(|taken| ui::say(followed(taken)));
    } else {
        taken.iter().for_each(|taken| ui::say(told(taken)));
    }
    Ok(Outcome::Done)
}

/// Sends functions, as the manifest has them now, to the running host; they are built first where that is said.
///
/// # Errors
/// As [`deploy`].
pub(super) async fn send(
    place: &PlaceArgs,
    functions: &BTreeSet<String>,
    builds: bool,
    way: DeployWay,
) -> anyhow::Result<Vec<Taken>> {
    let path = &place.manifest.manifest;
    let (application, root) = super::manifest(path)?;
    let part = manifest::part(&super::manifest_text(path)?, functions)
        .map_err(|problems| anyhow::anyhow!(super::rendered(&problems, path).join("\n")))?;
    if builds {
        let mut chosen = application.clone();
        chosen.functions.retain(|name, _| functions.contains(name));
        build::build(&chosen, &root)?;
    }
    let mut components = BTreeMap::new();
    for function in application.functions.values().filter(|f| functions.contains(&f.name)) {
        components.insert(function.name.clone(), registry::read(function, &root)?);
    }
    let reach = Reach::open(place).await?;
    let taken = reach.deploy(DeployAsk { way, ..DeployAsk::new(part, &components) }).await;
    reach.close().await;
    taken
}

fn followed(taken: &Taken) -> String {
    let (function, version) = (&taken.function, short(&taken.version));
    let charge = taken.before.as_deref().map(short).unwrap_or_default();
    format!(
        "`{function}`: version {version} follows {charge} in its shadow; `isobar shadow show {function}` compares them, \
         `isobar promote {function}` puts it in charge"
    )
}

pub(super) fn told(taken: &Taken) -> String {
    let (function, version) = (&taken.function, short(&taken.version));
    match &taken.before {
        Some(before) if *before == taken.version => format!("`{function}`: version {version} runs already"),
        Some(before) => format!("`{function}`: version {version} has taken over from {}", short(before)),
        None => format!("`{function}`: version {version} runs; it is new"),
    }
}

/// Lists the versions of a function.
///
/// # Errors
/// When there is none, or no data.
pub async fn versions(args: &VersionsArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let versions = reach.versions(&args.of.function).await;
    reach.close().await;
    let versions = versions?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&versions)?)?;
        return Ok(Outcome::Done);
    }
    ui::line(ui::table(["VERSION", "COMPONENT", "DEPLOYED", ""], versions.iter().map(row)))?;
    Ok(Outcome::Done)
}

fn row(version: &VersionSummary) -> [String; 4] {
    let marks = [(version.running, "in charge"), (version.filed, "of spin.toml")];
    let marks: Vec<&str> = marks.into_iter().filter_map(|(is_so, mark)| is_so.then_some(mark)).collect();
    let (digest, component) = (short(&version.version), short(&version.component));
    [digest.to_owned(), component.to_owned(), ui::time(version.at_ms), marks.join(", ")]
}

/// Lets a function not run any more.
///
/// # Errors
/// As [`deploy`].
pub async fn remove(args: &FunctionArgs) -> anyhow::Result<Outcome> {
    let (function, reach) = (&args.function, Reach::open(&args.place).await?);
    let removed = reach.remove(function).await;
    reach.close().await;
    let version = removed?;
    ui::say(format_args!(
        "`{function}` does not run any more; version {} was in charge. What it remembers, published and wrote stays: \
         `isobar rollback {function}` lets it run again, `isobar delete {function} --state` lets go of what it remembers",
        short(&version)
    ));
    Ok(Outcome::Done)
}

/// Puts a version in charge that was so before.
///
/// # Errors
/// As [`deploy`].
pub async fn rollback(args: &RollbackArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let taken = reach.roll_back(&args.of.function, RollbackAsk { version: args.version.clone() }).await;
    reach.close().await;
    let taken = taken?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&taken)?)?;
        return Ok(Outcome::Done);
    }
    match &taken.before {
        Some(_) => ui::say(told(&taken)),
        None => ui::say(format_args!("`{}`: version {} runs again", taken.function, short(&taken.version))),
    }
    if taken.before.as_ref().is_some_and(|before| *before != taken.version) {
        ui::hint(format_args!(
            "rows and records that the other version wrote stay as they are; `isobar replay {} --apply` computes them anew",
            taken.function
        ));
    }
    Ok(Outcome::Done)
}

/// Says in what two versions differ.
///
/// # Errors
/// When there is no such version, or no data.
pub async fn diff(args: &DiffArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.of.place).await?;
    let ask = DiffAsk { from: args.from.clone(), to: args.to.clone() };
    let differences = reach.diff(&args.of.function, &ask).await;
    reach.close().await;
    let differences = differences?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&differences)?)?;
    } else if differences.is_empty() {
        ui::say("they do not differ");
    } else {
        differences.iter().try_for_each(|difference| ui::line(ui::visible(difference)))?;
    }
    Ok(Outcome::Done)
}

/// Writes the manifest that runs.
///
/// # Errors
/// When nothing was deployed, or the file cannot be written.
pub async fn pull(args: &PullArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let pulled = reach.pull().await;
    reach.close().await;
    let text = pulled?.manifest;
    let Some(path) = &args.output else {
        ui::data(text.as_bytes())?;
        return Ok(Outcome::Done);
    };
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write `{}`", path.display()))?;
    ui::say(format_args!("`{}` is the manifest that runs", path.display()));
    Ok(Outcome::Done)
}

/// Shows who deployed what, and what was refused.
///
/// # Errors
/// When there are no data, or they cannot be read.
pub async fn audit(args: &AuditArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let entries = reach.audit(&AuditAsk { limit: Some(args.limit) }).await;
    reach.close().await;
    let entries = entries?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&entries)?)?;
        return Ok(Outcome::Done);
    }
    let headings = ["TIME", "WHO", "WHAT", "FUNCTION", "VERSION", "BEFORE", "REFUSED"];
    ui::line(ui::table(headings, entries.iter().map(entry)))?;
    Ok(Outcome::Done)
}

fn entry(entry: &Entry) -> [String; 7] {
    let version = |digest: &Option<String>| digest.as_deref().map(short).unwrap_or_default().to_owned();
    let refused = entry.refused.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default();
    [
        ui::time(entry.at_ms),
        entry.who.clone(),
        entry.action.clone(),
        ui::visible(&entry.function),
        version(&entry.version),
        version(&entry.before),
        ui::visible(refused),
    ]
}
