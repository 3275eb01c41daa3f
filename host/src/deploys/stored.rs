//! Versions that were in charge once, and what of a deploy would have to change outside the data folder.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{DeployError, VersionSummary, short};
use crate::embedded::Store;
use crate::embedded::versions::{Deployed, Kept};
use crate::manifest::differences::differences;
use crate::manifest::{self, Application, Table};

/// Fewest digits by which a version is named.
const FEWEST_DIGITS: usize = 4;

/// The version whose digest begins with `wanted`.
pub(super) fn named<'k>(kept: &'k [Kept], function: &str, wanted: &str) -> Result<&'k Kept, DeployError> {
    let wanted = wanted.to_lowercase();
    let mut fitting = kept.iter().filter(|k| wanted.len() >= FEWEST_DIGITS && k.version.starts_with(&wanted));
    let found = fitting.next().ok_or_else(|| {
        DeployError::unknown(
            format!("`{function}` has no version `{wanted}`"),
            format!("`isobar versions {function}` shows those there are; name one by at least {FEWEST_DIGITS} digits"),
        )
    })?;
    match fitting.next() {
        Some(other) => Err(DeployError::unknown(
            format!(
                "`{wanted}` is the beginning of two versions of `{function}`, {} and {}",
                short(&found.version),
                short(&other.version)
            ),
            "give more of its digits",
        )),
        None => Ok(found),
    }
}

/// The versions of a function that are kept, the newest first.
///
/// # Errors
/// When the data cannot be read, or nothing is known of the function.
pub async fn versions(store: &Store, function: &str) -> Result<Vec<VersionSummary>, DeployError> {
    let Deployed { running, filed, .. } = store.deployed().await?.unwrap_or_default();
    let kept = kept(store, function).await?;
    let summary = |k: Kept| VersionSummary {
        running: running.get(function) == Some(&k.version),
        filed: filed.get(function) == Some(&k.version),
        version: k.version,
        component: k.component,
        at_ms: k.at_ms,
    };
    Ok(kept.into_iter().map(summary).collect())
}

async fn kept(store: &Store, function: &str) -> Result<Vec<Kept>, DeployError> {
    let kept = store.versions(function).await?;
    if kept.is_empty() {
        let known = store.application();
        if known.functions.contains_key(function) {
            let hint = "where the log is in Kafka and isobar.toml has no `control_key`, each host runs what its spin.toml says";
            return Err(DeployError::unknown(format!("no version of `{function}` is kept"), hint));
        }
        let near = manifest::nearest(function, known.functions.keys().map(String::as_str));
        let hint =
            near.map_or("`isobar status` shows the functions".to_owned(), |near| format!("did you mean `{near}`?"));
        return Err(DeployError::unknown(format!("no version of `{function}` is kept"), hint));
    }
    Ok(kept)
}

/// Whether a version of a function that is kept could read what is sensitive: it may be in its state.
///
/// # Errors
/// When the data cannot be read.
pub async fn has_read(store: &Store, function: &str) -> Result<bool, DeployError> {
    Ok(store.versions(function).await?.iter().any(|kept| reads_sensitive(&kept.part, function)))
}

/// Whether a function could read what is sensitive, by what was said of it; what cannot be read any more is taken to say so.
pub(super) fn reads_sensitive(part: &str, function: &str) -> bool {
    manifest::parse(part).map_or(true, |application| {
        application.functions.get(function).is_some_and(|f| f.reads_sensitive(&application))
    })
}

/// In what two versions of a function differ, in plain words; `to` is the running one where none is named.
///
/// # Errors
/// When the data cannot be read, or there is no such version.
pub async fn diff(store: &Store, function: &str, from: &str, to: Option<&str>) -> Result<Vec<String>, DeployError> {
    let kept = kept(store, function).await?;
    let running = store.deployed().await?.unwrap_or_default().running.remove(function);
    let to = to.map(str::to_owned).or(running).ok_or_else(|| {
        DeployError::unknown(format!("`{function}` does not run"), "name the version that the other is compared with")
    })?;
    let (from, to) = (named(&kept, function, from)?, named(&kept, function, &to)?);
    let mut found = Vec::new();
    if from.component != to.component {
        let (before, after) = (short(&from.component), short(&to.component));
        found.push(format!("the component is another one: {after} instead of {before}"));
    }
    found.extend(differences(&declaration(from, function)?, &declaration(to, function)?));
    Ok(found)
}

fn declaration(kept: &Kept, function: &str) -> Result<Value, DeployError> {
    let application = manifest::parse(&kept.part).map_err(|problems| DeployError::problems(&problems))?;
    let declared = application.functions.get(function).map(|f| application.declaration(f));
    declared.ok_or_else(|| DeployError::Failed(format!("what is kept of version {} is damaged", short(&kept.version))))
}

/// Refuses what would have to change in the operator's stores, whose tables are made when the host starts; and another writer of
/// a table, since what the one before has under way would come after it.
pub(super) fn check(running: &Application, application: &Application) -> Result<(), DeployError> {
    let tables = |a: &Application| -> BTreeMap<String, Table> {
        a.tables.values().filter(|t| t.connection.is_some()).map(|t| (t.name.clone(), t.clone())).collect()
    };
    let (before, after) = (tables(running), tables(application));
    let changed = after.iter().find(|(name, table)| before.get(*name) != Some(table));
    let told = changed.map(|(name, table)| {
        let connection = table.connection.as_deref().unwrap_or_default();
        format!("it would change table `{name}`, which is kept in `{connection}`")
    });
    let writers = |a: &Application| -> BTreeMap<String, Vec<String>> {
        let connections = |f: &String| a.connections_of(f).into_iter().map(str::to_owned).collect();
        a.functions.keys().map(|f| (f.clone(), connections(f))).filter(|(_, c): &(_, Vec<_>)| !c.is_empty()).collect()
    };
    let outboxes = |a: &Application| -> BTreeMap<String, u32> {
        a.outboxes().into_iter().map(|(topic, (_, partitions))| (topic, partitions)).collect()
    };
    let moved = (writers(running) != writers(application) || outboxes(running) != outboxes(application))
        .then(|| {
            "it would change which functions write to tables that are kept apart from the log: those in the operator's stores, and \
             all where the log is in Kafka"
                .to_owned()
        });
    let handed = running.tables.keys().find_map(|table| {
        let (before, after) = (running.writer_of(table)?, application.writer_of(table)?);
        let message = || format!("`{after}` would write to table `{table}` in the place of `{before}`");
        (before != after).then(message)
    });
    match told.or(moved).or(handed) {
        Some(message) => Err(DeployError::refused(message, "change spin.toml and start the host anew")),
        None => Ok(()),
    }
}
