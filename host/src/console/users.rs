//! People who sign in with a password: those that `isobar.toml` names, and those that were added to the data folder.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Semaphore;

use super::answers::{Fault, Refusal, UserAsk};
use super::passwords::{self, Tries};
use super::scopes::Caller;
use super::view::View;
use crate::clock::now_ms;
use crate::config::console::{HashSource, Role, UserConfig, hash_fits, name_fits};
use crate::deploys::OWNER;
use crate::embedded::Store;
use crate::embedded::users::User;
use crate::embedded::versions::Entry;

/// Passwords that are held against hashes at one time: each takes a core and some memory for a moment.
const MOST_HASHING: usize = 2;
/// How long one more waits for that.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Somebody whose password was right.
pub(super) struct Known {
    name: String,
    roles: BTreeSet<Role>,
    hash: String,
}

impl Known {
    pub(super) fn caller(&self) -> Caller {
        Caller::of_roles(&self.name, &self.roles)
    }
}

/// Those that `isobar.toml` names, and how often passwords were tried.
pub(super) struct Users {
    declared: BTreeMap<String, (BTreeSet<Role>, String)>,
    tries: Tries,
    hashing: Arc<Semaphore>,
}

impl Users {
    /// Those that the operator named, with what was kept elsewhere of them.
    ///
    /// # Errors
    /// When a hash cannot be read, or is none.
    pub(super) fn new(declared: &BTreeMap<String, UserConfig>) -> anyhow::Result<Self> {
        let read = |(name, user): (&String, &UserConfig)| {
            let hash = match &user.hash {
                HashSource::Text(hash) => Ok(hash.clone()),
                HashSource::Kept(secret) => secret.read().map(|text| text.trim().to_owned()),
            };
            let hash = hash.with_context(|| format!("[console.users.{name}]"))?;
            hash_fits(&hash).map_err(|why| {
                anyhow::anyhow!("what is kept as the password's hash of [console.users.{name}] {why}")
            })?;
            Ok((name.clone(), (user.roles.clone(), hash)))
        };
        let declared = declared.iter().map(read).collect::<anyhow::Result<_>>()?;
        Ok(Users { declared, tries: Tries::default(), hashing: Arc::new(Semaphore::new(MOST_HASHING)) })
    }

    /// Whether anybody can sign in with a password.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub(super) async fn are_there(&self, store: &Store) -> Result<bool, Refusal> {
        Ok(!self.declared.is_empty() || store.has_users().await?)
    }

    /// Whether `isobar.toml` names such a user.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.declared.contains_key(name)
    }

    /// Who has this name and password.
    ///
    /// # Errors
    /// That nobody has, that it was tried too often, or that the data cannot be read.
    pub(super) async fn sign_in(
        &self,
        view: &Arc<View>,
        (name, password): (String, String),
        from: IpAddr,
    ) -> Result<Known, Refusal> {
        if !self.tries.one_more(from, &name) {
            let often = Refusal::new(Fault::Often, "a password was tried too often");
            return Err(often.hint("try again in a minute; who forgot it gets another from who runs the host"));
        }
        let found = self.find(view, &name).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let busy = |_| Refusal::new(Fault::Busy, "too many sign in at one time").hint("try again");
        let permit = Arc::clone(&self.hashing).acquire_owned();
        let permit = tokio::time::timeout(LONGEST_WAIT, permit).await.map_err(busy)?;
        // It goes on when whoever asked has gone, and holds its place until it is done.
        let held = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            passwords::verify(&password, hash.as_deref())
        });
        let fits = held.await.unwrap_or(false);
        let known = found.map(|(roles, hash)| Known { name, roles, hash });
        match known {
            Some(known) if fits => {
                view.noted(Entry::done(&known.name, "sign in", "")).await;
                Ok(known)
            }
            known => {
                // Beside the answer, which would come later for who is known.
                if let Some(Known { name, .. }) = known {
                    let view = Arc::clone(view);
                    tokio::spawn(async move { view.wrong_password(&name).await });
                }
                Err(wrong())
            }
        }
    }

    /// Whether somebody who signed in is still known so.
    ///
    /// # Errors
    /// That there is no such user, or one with other roles or another password; or that the data cannot be read.
    pub(super) async fn is_still(&self, view: &View, known: &Known) -> Result<(), Refusal> {
        let found = self.find(view, &known.name).await?;
        let same = found.is_some_and(|(roles, hash)| roles == known.roles && hash == known.hash);
        same.then_some(()).ok_or_else(wrong)
    }

    async fn find(&self, view: &View, name: &str) -> Result<Option<(BTreeSet<Role>, String)>, Refusal> {
        if let Some(declared) = self.declared.get(name) {
            return Ok(Some(declared.clone()));
        }
        let found = view.store.user(name).await?;
        // A role of another isobar gives nothing here.
        Ok(found.map(|(user, hash)| (user.roles.iter().filter_map(|role| Role::parse(role).ok()).collect(), hash)))
    }
}

fn wrong() -> Refusal {
    let wrong = Refusal::new(Fault::SignedOut, "the name or the password is wrong");
    wrong.hint("who runs the host gives another password: `isobar user remove`, then `isobar user add`")
}

impl View {
    /// All users of the data folder, by name.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, Refusal> {
        Ok(self.store.users().await?)
    }

    /// Adds a user to the data folder.
    ///
    /// # Errors
    /// What is wrong with what is asked, or that there is one of that name.
    pub async fn add_user(&self, ask: &UserAsk) -> Result<User, Refusal> {
        let invalid = |words: String| Refusal::new(Fault::Invalid, words);
        name_fits(&ask.name).map_err(|why| invalid("a user cannot have that name".to_owned()).hint(why))?;
        let roles = ask.roles.iter().map(|role| Role::parse(role)).collect::<Result<BTreeSet<_>, _>>();
        let roles = roles.map_err(invalid)?;
        if roles.is_empty() {
            return Err(invalid("the user could do nothing".to_owned()).hint("name a role, such as `viewer`"));
        }
        hash_fits(&ask.hash).map_err(|why| invalid(format!("what is to be the password's hash {why}")))?;
        let roles = roles.iter().map(Role::to_string).collect();
        let user = User { name: ask.name.clone(), roles, created_ms: now_ms() };
        let entry = Entry::done(OWNER, &format!("user add {}", ask.name), "");
        self.store.add_user(user.clone(), ask.hash.clone(), entry).await?;
        Ok(user)
    }

    /// Takes a user away from the data folder; sessions are the caller's to end.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn remove_user(&self, name: &str) -> Result<(), Refusal> {
        Ok(self.store.remove_user(name, Entry::done(OWNER, &format!("user remove {name}"), "")).await?)
    }
}
