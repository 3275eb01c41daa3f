//! State that gets another form when a version takes over that knows how: all of it by calls of that version, while nothing of the
//! function is under way. Where that fails, nothing has changed.

use std::time::Duration;

use super::decide::Decided;
use super::{DeployError, Deploys};
use crate::bindings::MOST_KEY_BYTES;
use crate::delivery::Packed;
use crate::delivery::failure::hidden;
use crate::dispatch::Held;
use crate::embedded::migration::{Finished, Page, entry_bytes};
use crate::manifest::Limits;
use crate::registry::Version;

/// Bytes of state that are put in the place of others in one transaction, which all functions wait for.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// How long the function may stand still for it.
const LONGEST: Duration = Duration::from_secs(60);

/// State that is ready to take over.
pub(super) struct Migrated {
    pub(super) function: String,
    pub(super) state: Finished,
    /// The function stands still until this is dropped, if it runs.
    pub(super) _held: Option<Held>,
}

impl Deploys {
    /// The state of the function that takes it for another from now on, if there is one, in its new form. Where its version does not
    /// know how, the transaction refuses it.
    pub(super) async fn migrated(&self, decided: &Decided) -> Result<Option<Migrated>, DeployError> {
        let mut chosen = None;
        for name in decided.arrivals.iter().map(|arrival| &arrival.function) {
            let Some(version) = decided.versions.get(name).filter(|version| version.migrates()) else { continue };
            let grants = &version.function.grants;
            let stored = self.store.state_version(name).await?.filter(|stored| *stored < grants.state_version);
            let Some(stored) = stored.filter(|_| grants.state) else { continue };
            if chosen.replace((name.clone(), version, stored)).is_some() {
                return Err(DeployError::refused(
                    "the state of two functions would get another form at one time",
                    "deploy one after the other",
                ));
            }
        }
        let Some((function, version, stored)) = chosen else { return Ok(None) };
        // It may have been removed, and its state be there.
        let held = match self.registered(&function) {
            Some(_) => Some(self.stand_still(&function).await?),
            None => None,
        };
        let state = tokio::time::timeout(LONGEST, self.migrate(&function, version, stored)).await.map_err(|_| {
            DeployError::refused(
                format!(
                    "to give the state of `{function}` another form takes longer than {} s, in which it stands still",
                    LONGEST.as_secs()
                ),
                format!("`isobar deploy {function} --rebuild` computes it anew while the version in charge goes on"),
            )
        })??;
        Ok(Some(Migrated { function, state, _held: held }))
    }

    async fn migrate(&self, function: &str, version: &Version, stored: u32) -> Result<Finished, DeployError> {
        let refused = |why: String| {
            DeployError::refused(
                format!("version {} of `{function}` cannot take over the state that there is: {why}", version.short()),
                format!(
                    "the version in charge goes on with its state; `isobar deploy {function} --rebuild` computes it anew"
                ),
            )
        };
        let limits = &version.function.limits;
        let mut staging = self.store.stage_state(function).await.map_err(DeployError::failed)?;
        let (mut after, mut most) = (None::<(u32, String)>, 0);
        loop {
            let from = after.as_ref().map(|(partition, key)| (*partition, key.as_str()));
            let Some(Page { partition, keys, values, last }) = self.store.state_page(function, from).await? else {
                break;
            };
            let context = version.context(&self.store, partition);
            let made = version.migrate(context, stored, (&keys, &values)).await;
            let (keys, values) = made.map_err(|failure| match version.reads_sensitive() {
                true => refused(hidden(failure.cause.code())),
                false => refused(failure.to_string()),
            })?;
            let entries = checked(&keys, &values, limits).map_err(refused)?;
            staging.put(partition, &entries).await?;
            most += entries.iter().map(|(key, value)| entry_bytes(key, value)).sum::<u64>();
            // A key that came twice counts once.
            if most > limits.state_bytes.min(MOST_BYTES) {
                let bytes = staging.bytes().await?;
                if bytes > limits.state_bytes {
                    return Err(refused(format!(
                        "it would be larger than its `state_bytes` of {}",
                        limits.state_bytes
                    )));
                }
                if bytes > MOST_BYTES {
                    return Err(refused(format!(
                        "it would be larger than the {} MiB that can be put in place",
                        MOST_BYTES >> 20
                    )));
                }
            }
            after = Some((partition, last));
        }
        Ok(staging.finish().await?)
    }
}

/// Entries that a version made, if they may be state.
fn checked<'p>(keys: &'p Packed, values: &'p Packed, limits: &Limits) -> Result<Vec<(&'p str, &'p [u8])>, String> {
    if keys.len() != values.len() {
        return Err(format!("it made {} keys and {} values", keys.len(), values.len()));
    }
    let most = limits.state_value_bytes as usize;
    let entry = |(key, value): (Option<&'p [u8]>, Option<&'p [u8]>)| {
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).ok_or("it made a key that is null or not UTF-8")?;
        if key.len() > MOST_KEY_BYTES {
            return Err(format!("it made a key of {} bytes; the longest has {MOST_KEY_BYTES}", key.len()));
        }
        let value = value.ok_or_else(|| "it made a value that is null; leave the entry out".to_owned())?;
        if value.len() > most {
            return Err(format!(
                "it made a value of {} bytes, more than its `state_value_bytes` of {most}",
                value.len()
            ));
        }
        Ok((key, value))
    };
    keys.iter().zip(values.iter()).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_state_is_refused_with_why() {
        let packed = |items: &[Option<&[u8]>]| -> Packed { items.iter().copied().collect() };
        let limits = Limits { state_value_bytes: 4, ..Limits::default() };
        let long = "k".repeat(MOST_KEY_BYTES + 1);
        for (keys, values, why) in [
            (packed(&[Some(b"a"), Some(b"b")]), packed(&[Some(b"1")]), "2 keys and 1 values"),
            (packed(&[None]), packed(&[Some(b"1")]), "null or not UTF-8"),
            (packed(&[Some(b"\xff")]), packed(&[Some(b"1")]), "null or not UTF-8"),
            (packed(&[Some(b"a")]), packed(&[None]), "a value that is null"),
            (packed(&[Some(b"a")]), packed(&[Some(b"12345")]), "more than its `state_value_bytes` of 4"),
            (packed(&[Some(long.as_bytes())]), packed(&[Some(b"1")]), "the longest has 1024"),
        ] {
            let told = checked(&keys, &values, &limits).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        let (keys, values) = (packed(&[Some(b"a"), Some(b"")]), packed(&[Some(b"1"), Some(b"")]));
        assert_eq!(checked(&keys, &values, &limits).unwrap(), [("a", b"1".as_slice()), ("", b"")]);
    }
}
