//! Tokens of programs: made, listed, taken away.

use super::answers::{Fault, NewToken, Refusal, TokenAsk};
use super::scopes::{Caller, Scope};
use super::token::random_token;
use super::view::View;
use crate::clock::now_ms;
use crate::deploys::OWNER;
use crate::embedded::tokens::Token;
use crate::embedded::versions::Entry;

/// Most characters of a name.
const MOST_NAME: usize = 64;
/// Days that a token may be taken at the most.
const MOST_DAYS: u32 = 3650;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Names under which the host itself stands in the audit log.
const TAKEN: [&str; 3] = [OWNER, "operator", "isobar"];

impl View {
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
