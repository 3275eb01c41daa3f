//! Tokens of programs: made, listed, taken away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answers::{Fault, NewToken, Refusal, TokenAsk};
use super::scopes::{Caller, Need, Scope};
use super::token::random_token;
use super::view::View;
use crate::bindings::tables::text::cut;
use crate::clock::now_ms;
use crate::deploys::OWNER;
use crate::embedded::tokens::Token;
use crate::embedded::versions::Entry;

/// Most characters of a name.
const MOST_NAME: usize = 64;
/// Days that a token may be taken at the most.
const MOST_DAYS: u32 = 3650;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How often the audit log has it that a token was turned away: more are counted only, for so long. Who has one cannot push
/// everything else out of the log.
const AUDIT_EVERY: Duration = Duration::from_secs(60);
/// Characters of a function's name there, as it stands in what was asked.
const MOST_FUNCTION: usize = 200;
/// Names under which the host itself stands in the audit log.
const TAKEN: [&str; 3] = [OWNER, "operator", "isobar"];

/// Requests of tokens that were turned away: when the audit log had the last one of a token, and how many came since.
#[derive(Default)]
pub(super) struct TurnedAway(Mutex<BTreeMap<Arc<str>, (Instant, u64)>>);

impl TurnedAway {
    /// Counts one of `token` at `now`; gives how many came since the last that was noted, if this one is to be.
    fn count(&self, token: &Arc<str>, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(token) {
            Some((noted, more)) if now.duration_since(*noted) < AUDIT_EVERY => {
                *more += 1;
                None
            }
            known => {
                let more = known.map_or(0, |(_, more)| *more);
                all.insert(Arc::clone(token), (now, 0));
                Some(more)
            }
        }
    }
}

impl View {
    /// Notes in the audit log that a token may not do what was asked with it.
    pub(super) async fn turned_away(&self, caller: &Caller, need: &Need) {
        let Some(more) = self.turned_away.count(&caller.name, Instant::now()) else { return };
        let (action, function) = match need {
            Need::Deploy(function) => ("deploy", function.as_str()),
            Need::DeploySome => ("deploy", ""),
            Need::Operate => ("operate", ""),
            Need::Any | Need::Read => ("read", ""),
            Need::ReadSensitive => ("read-sensitive", ""),
            Need::Owner => ("own", ""),
        };
        let before = match more {
            0 => String::new(),
            more => format!("; {more} other requests of it were turned away before"),
        };
        let refused = Some(format!("the token may not {}{before}", cut(&need.words(), MOST_FUNCTION)));
        let entry = Entry { refused, ..Entry::done(&caller.name, action, &cut(function, MOST_FUNCTION)) };
        if let Err(error) = self.store.audit(entry).await {
            tracing::warn!(token = %caller.name, %error, "that a token was turned away could not be written");
        }
    }

    /// Who shows a token, where it is one and has not expired.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub(super) async fn caller(&self, secret: &str) -> Result<Option<Caller>, Refusal> {
        let token = self.store.token(secret).await?.filter(|token| now_ms() < token.expires_ms);
        Ok(token.map(|token| Caller::of(&token.name, &token.scopes)))
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
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(fits) || TAKEN.contains(&name) {
            return Err(Refusal::new(Fault::Invalid, "a token cannot have that name")
                .hint("take letters, digits, `-`, `_` and `.`; `operator` and `isobar` are taken"));
        }
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
    Entry {
        at_ms: now_ms(),
        who: OWNER.to_owned(),
        action: format!("{action} {name}"),
        function: String::new(),
        version: None,
        before: None,
        refused: None,
    }
}
