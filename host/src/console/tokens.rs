//! Tokens of programs: made, listed, taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answers::{Fault, NewToken, Refusal, TokenAsk};
use super::scopes::{Caller, Need, Scope};
use super::token::random_token;
use super::view::View;
use crate::bindings::tables::text::cut;
use crate::clock::now_ms;
use crate::config::console::name_fits;
use crate::deploys::OWNER;
use crate::embedded::tokens::Token;
use crate::embedded::versions::Entry;

/// Days that a token may be taken at the most.
const MOST_DAYS: u32 = 3650;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// For how long the audit log has one entry of all times that a token was turned away from the same thing, and of how many things: more
/// are counted only. Who has one cannot push everything else out of the log.
const AUDIT_EVERY: Duration = Duration::from_secs(600);
const MOST_THINGS: usize = 5;
/// Characters of a function's name there, as it stands in what was asked.
const MOST_FUNCTION: usize = 200;

/// Requests of tokens that were turned away, by token.
#[derive(Default)]
pub(super) struct TurnedAway(Mutex<BTreeMap<Arc<str>, Turns>>);

/// What a token was turned away from since a time, and how often more than the audit log has it.
struct Turns {
    since: Instant,
    things: BTreeSet<(&'static str, String)>,
    more: u64,
}

impl TurnedAway {
    /// Counts one of `token` at `now`; gives how many came that were not noted, if this one is to be.
    fn count(&self, token: &Arc<str>, thing: (&'static str, &str), now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = |more| Turns { since: now, things: BTreeSet::new(), more };
        let turns = all.entry(Arc::clone(token)).or_insert_with(|| anew(0));
        if now.duration_since(turns.since) >= AUDIT_EVERY {
            *turns = anew(turns.more);
        }
        if turns.things.len() >= MOST_THINGS || !turns.things.insert((thing.0, thing.1.to_owned())) {
            turns.more += 1;
            return None;
        }
        Some(std::mem::take(&mut turns.more))
    }
}

impl View {
    /// Notes in the audit log that a token may not do what was asked with it.
    pub(super) async fn turned_away(&self, caller: &Caller, need: &Need) {
        let (action, function) = match need {
            Need::Deploy(function) => ("deploy", function.as_str()),
            Need::DeploySome => ("deploy", ""),
            Need::Operate => ("operate", ""),
            Need::Any | Need::Read => ("read", ""),
            Need::ReadSensitive => ("read-sensitive", ""),
            Need::Owner => ("own", ""),
        };
        let words = format!("it may not {}", cut(&need.words(), MOST_FUNCTION));
        self.note(&caller.name, (action, &cut(function, MOST_FUNCTION)), words).await;
    }

    async fn note(&self, token: &Arc<str>, thing: (&'static str, &str), words: String) {
        let Some(more) = self.turned_away.count(token, thing, Instant::now()) else { return };
        let before = match more {
            0 => String::new(),
            more => format!("; {more} other requests of it were turned away before"),
        };
        self.noted(Entry { refused: Some(format!("{words}{before}")), ..Entry::done(token, thing.0, thing.1) }).await;
    }

    /// Notes in the audit log that somebody tried to be this user.
    pub(super) async fn wrong_password(&self, name: &str) {
        self.note(&name.into(), ("sign in", ""), "the password was wrong".to_owned()).await;
    }

    /// Notes something in the audit log; where that fails, it is said, and what was asked goes on.
    pub(super) async fn noted(&self, entry: Entry) {
        let who = entry.who.clone();
        if let Err(error) = self.store.audit(entry).await {
            tracing::warn!(%who, %error, "the audit log could not be written");
        }
    }

    /// Who shows a token, where it is one and has not expired.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub(super) async fn caller(&self, secret: &str) -> Result<Option<Caller>, Refusal> {
        let Some(token) = self.store.token(secret).await? else { return Ok(None) };
        if now_ms() >= token.expires_ms {
            self.note(&token.name.as_str().into(), ("ask", ""), "the token has expired".to_owned()).await;
            return Ok(None);
        }
        Ok(Some(Caller::of(&token.name, &token.scopes)))
    }

    /// All tokens, by name.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub async fn tokens(&self) -> Result<Vec<Token>, Refusal> {
        Ok(self.store.tokens().await?)
    }

    /// Makes a token; it is told once.
    ///
    /// # Errors
    /// What is wrong with what is asked, or that there is one of that name.
    pub async fn create_token(&self, ask: &TokenAsk) -> Result<NewToken, Refusal> {
        let name = ask.name.as_str();
        name_fits(name).map_err(|why| Refusal::new(Fault::Invalid, "a token cannot have that name").hint(why))?;
        if !(1..=MOST_DAYS).contains(&ask.days) {
            let message = format!("a token is good for 1 to {MOST_DAYS} days, not {}", ask.days);
            return Err(Refusal::new(Fault::Invalid, message));
        }
        if ask.scopes.is_empty() {
            return Err(Refusal::new(Fault::Invalid, "the token could do nothing").hint("name a scope, such as `read`"));
        }
        let mut scopes = Vec::new();
        for scope in &ask.scopes {
            let scope = Scope::parse(scope).map_err(|message| Refusal::new(Fault::Invalid, message))?;
            let functions = &self.application().functions;
            if let Scope::Deploy(Some(function)) = &scope
                && !functions.contains_key(function)
            {
                return Err(Refusal::new(Fault::Invalid, format!("there is no function `{function}` to deploy"))
                    .hint("`deploy` is for all functions, new ones too"));
            }
            scopes.push(scope.to_string());
        }
        let secret = random_token().map_err(|error| Refusal::new(Fault::Store, format!("{error:#}")))?;
        let created_ms = now_ms();
        let expires_ms = created_ms + i64::from(ask.days) * DAY_MS;
        let token = Token { name: name.to_owned(), scopes, created_ms, expires_ms };
        self.store.create_token(token.clone(), &secret, entry("token create", name)).await?;
        Ok(NewToken { token, secret })
    }

    /// Takes a token away; who has it is turned away from then on.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn revoke_token(&self, name: &str) -> Result<(), Refusal> {
        Ok(self.store.revoke_token(name, entry("token revoke", name)).await?)
    }
}

fn entry(action: &str, name: &str) -> Entry {
    Entry::done(OWNER, &format!("{action} {name}"), "")
}
