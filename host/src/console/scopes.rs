//! What who speaks to the API may do. Pure.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::sync::Arc;

use http::Method;

use crate::config::console::Role;

/// What a token may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See everything that is not sensitive.
    Read,
    /// See what is sensitive, too.
    ReadSensitive,
    /// Pause, resume, load tables, decide on dead letters.
    Operate,
    /// Deploy, roll back, try and replay one function, or all of them.
    Deploy(Option<String>),
}

impl Scope {
    /// Reads `read`, `read-sensitive`, `operate`, `deploy` or `deploy:FUNCTION`.
    ///
    /// # Errors
    /// What is known instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("deploy:")) {
            ("read", _) => Ok(Scope::Read),
            ("read-sensitive", _) => Ok(Scope::ReadSensitive),
            ("operate", _) => Ok(Scope::Operate),
            ("deploy", _) => Ok(Scope::Deploy(None)),
            (_, Some(function)) if !function.is_empty() && !function.contains(char::is_whitespace) => {
                Ok(Scope::Deploy(Some(function.to_owned())))
            }
            _ => Err(format!(
                "there is no scope `{text}`; known: `read`, `read-sensitive`, `operate`, `deploy`, `deploy:FUNCTION`"
            )),
        }
    }
}

impl Display for Scope {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Scope::Read => f.write_str("read"),
            Scope::ReadSensitive => f.write_str("read-sensitive"),
            Scope::Operate => f.write_str("operate"),
            Scope::Deploy(None) => f.write_str("deploy"),
            Scope::Deploy(Some(function)) => write!(f, "deploy:{function}"),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, for the audit log.
    pub name: Arc<str>,
    /// `None`: everything.
    scopes: Option<BTreeSet<Scope>>,
}

impl Caller {
    /// Who may do everything.
    #[must_use]
    pub fn owner(name: &str) -> Self {
        Caller { name: name.into(), scopes: None }
    }

    /// Whose browser is signed in: to everything but what outlives the session, and gives others a right.
    #[must_use]
    pub fn user(name: &str) -> Self {
        let scopes = [Scope::Read, Scope::ReadSensitive, Scope::Operate, Scope::Deploy(None)];
        Caller { name: name.into(), scopes: Some(scopes.into()) }
    }

    /// Who has a token with these scopes; of one that this isobar does not know, nothing follows.
    #[must_use]
    pub fn of(name: &str, scopes: &[String]) -> Self {
        let scopes = scopes.iter().filter_map(|scope| Scope::parse(scope).ok()).collect();
        Caller { name: name.into(), scopes: Some(scopes) }
    }

    /// Who signed in with a password, and has these roles.
    #[must_use]
    pub fn of_roles(name: &str, roles: &BTreeSet<Role>) -> Self {
        let scopes = roles.iter().flat_map(|role| match role {
            Role::Viewer => vec![Scope::Read],
            Role::Operator => vec![Scope::Read, Scope::Operate, Scope::Deploy(None)],
            Role::Sensitive => vec![Scope::ReadSensitive],
        });
        Caller { name: name.into(), scopes: Some(scopes.collect()) }
    }

    /// Whether it may.
    #[must_use]
    pub fn may(&self, need: &Need) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        match need {
            Need::Any => true,
            Need::Read => scopes.contains(&Scope::Read) || scopes.contains(&Scope::ReadSensitive),
            Need::ReadSensitive => scopes.contains(&Scope::ReadSensitive),
            Need::Operate => scopes.contains(&Scope::Operate),
            Need::DeploySome => scopes.iter().any(|scope| matches!(scope, Scope::Deploy(_))),
            Need::Deploy(function) => {
                scopes.contains(&Scope::Deploy(None)) || scopes.contains(&Scope::Deploy(Some(function.clone())))
            }
            Need::Owner => false,
        }
    }
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A token, whatever it may: to learn which application runs here, and what can be asked of any host, which is no secret.
    Any,
    /// To see what is not sensitive.
    Read,
    /// To see what is.
    ReadSensitive,
    /// To operate.
    Operate,
    /// To deploy something; what, the request's body says.
    DeploySome,
    /// To deploy this function.
    Deploy(String),
    /// To be the owner of the data folder.
    Owner,
}

impl Need {
    /// What a request to `path`, below the API's root, needs at least. What is not known needs everything.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (method, parts.as_slice()) {
            // A backup holds what passwords are held against.
            (_, ["tokens" | "users" | "backup", ..]) => Need::Owner,
            (&Method::GET, [] | ["session" | "openapi.json"]) | (&Method::POST, ["session", "view" | "end"]) => {
                Need::Any
            }
            (&Method::GET, _) => Need::Read,
            (&Method::POST, ["deploys"]) => Need::DeploySome,
            (&Method::POST, ["functions", function, "rollback" | "remove" | "replay" | "shadow", ..]) => {
                Need::Deploy((*function).to_owned())
            }
            (
                &Method::POST,
                ["functions", _, "pause" | "resume" | "run" | "dead-letters", ..] | ["tables", _, "load"],
            ) => Need::Operate,
            _ => Need::Owner,
        }
    }

    /// In words that follow "may not".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Need::Any => "ask".to_owned(),
            Need::Read => "read".to_owned(),
            Need::ReadSensitive => "read what is sensitive".to_owned(),
            Need::Operate => "operate".to_owned(),
            Need::DeploySome => "deploy".to_owned(),
            Need::Deploy(function) => format!("deploy `{function}`"),
            Need::Owner => "do what only the owner of the data folder does".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_needs_what_it_does_and_an_unknown_one_everything() {
        for (method, path, need) in [
            (Method::GET, "/", Need::Any),
            (Method::GET, "/session", Need::Any),
            (Method::GET, "/openapi.json", Need::Any),
            (Method::POST, "/session/view", Need::Any),
            (Method::POST, "/session/links", Need::Owner),
            (Method::GET, "/status", Need::Read),
            (Method::GET, "/functions/pay/shadow", Need::Read),
            (Method::HEAD, "/status", Need::Owner),
            (Method::GET, "/tokens", Need::Owner),
            (Method::POST, "/tokens/ci/revoke", Need::Owner),
            (Method::GET, "/users", Need::Owner),
            (Method::GET, "/backup", Need::Owner),
            (Method::POST, "/users/anna/remove", Need::Owner),
            (Method::POST, "/deploys", Need::DeploySome),
            (Method::POST, "//functions/pay/rollback", Need::Deploy("pay".to_owned())),
            (Method::POST, "/functions/pay/remove", Need::Deploy("pay".to_owned())),
            (Method::POST, "/functions/pay/replay", Need::Deploy("pay".to_owned())),
            (Method::POST, "/functions/pay/shadow/promote", Need::Deploy("pay".to_owned())),
            (Method::POST, "/functions/p%61y/rollback", Need::Deploy("p%61y".to_owned())),
            (Method::POST, "/functions/pay/pause", Need::Operate),
            (Method::POST, "/functions/pay/run", Need::Operate),
            (Method::POST, "/functions/pay/dead-letters/redrive", Need::Operate),
            (Method::POST, "/tables/people/load", Need::Operate),
            (Method::POST, "/tables/people/rows", Need::Owner),
            (Method::DELETE, "/functions/pay", Need::Owner),
        ] {
            assert_eq!(Need::of(&method, path), need, "{method} {path}");
        }
    }

    #[test]
    fn a_token_may_what_its_scopes_say() {
        let caller = |scopes: &[&str]| Caller::of("ci", &scopes.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let deploy = |function: &str| Need::Deploy(function.to_owned());
        let one = caller(&["deploy:pay"]);
        assert!(one.may(&deploy("pay")) && one.may(&Need::DeploySome));
        for need in [deploy("ship"), Need::Read, Need::ReadSensitive, Need::Operate, Need::Owner] {
            assert!(!one.may(&need), "{need:?}");
        }
        assert!(caller(&["deploy"]).may(&deploy("ship")) && !caller(&["read"]).may(&Need::ReadSensitive));
        assert!(caller(&["read-sensitive"]).may(&Need::Read) && !caller(&["of tomorrow"]).may(&Need::Read));
        assert!(Caller::owner("me").may(&Need::Owner));
    }

    #[test]
    fn a_user_may_what_the_roles_say() {
        let caller = |roles: &[Role]| Caller::of_roles("anna", &roles.iter().copied().collect());
        let deploy = Need::Deploy("pay".to_owned());
        for (roles, may) in [
            (&[Role::Viewer][..], [true, false, false, false]),
            (&[Role::Operator], [true, false, true, true]),
            (&[Role::Sensitive], [true, true, false, false]),
            (&[Role::Operator, Role::Sensitive], [true, true, true, true]),
            (&[], [false; 4]),
        ] {
            let of = caller(roles);
            let needs = [&Need::Read, &Need::ReadSensitive, &Need::Operate, &deploy];
            assert_eq!(needs.map(|need| of.may(need)), may, "{roles:?}");
            assert!(!of.may(&Need::Owner), "{roles:?}");
        }
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["read", "read-sensitive", "operate", "deploy", "deploy:pay"] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "write", "deploy:", "deploy:a b"] {
            assert!(Scope::parse(text).unwrap_err().contains("known: `read`"), "{text}");
        }
    }
}
