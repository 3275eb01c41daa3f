//! Who is signed in with a web browser: links that are good for one sign-in, and the sessions that come of them. Kept in memory:
//! a session ends with the host, at the latest.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::guard::Came;
use super::scopes::{Caller, Need, Scope};
use super::token::random_token;

/// For how long a link is good.
const LINK_GOOD: Duration = Duration::from_secs(60 * 60);
/// Links that are good at one time; another one takes the place of the oldest.
const MOST_LINKS: usize = 16;
/// For how long a session lasts after the last request in it.
const SESSION_IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at one time; another one takes the place of the one that was quiet for longest.
const MOST_SESSIONS: usize = 256;
/// The name of the cookie begins so; the port follows, as a browser does not tell hosts by ports.
pub(super) const COOKIE: &str = "isobar_session_";

/// SHA-256 of a secret: what is looked up tells nothing of it.
type Key = [u8; 32];

/// A session as it is at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Who signed in.
    pub(super) user: Caller,
    /// Whether it sees what who may only read sees.
    pub(super) as_viewer: bool,
    /// The port of the listener where it was begun: it is known there only.
    port: u16,
}

impl Session {
    /// Who asks in it.
    pub(super) fn caller(&self) -> Caller {
        match self.as_viewer {
            true => {
                let scopes = self.user.may(&Need::Read).then(|| Scope::Read.to_string());
                Caller::of(&format!("{} as viewer", self.user.name), scopes.as_slice())
            }
            false => self.user.clone(),
        }
    }
}

/// The links and sessions of a host.
#[derive(Default)]
pub(super) struct Sessions {
    links: Mutex<BTreeMap<Key, (Caller, Instant)>>,
    sessions: Mutex<BTreeMap<Key, (Session, Instant)>>,
}

impl Sessions {
    /// The secret of a new link, with which `caller` signs in.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn link(&self, caller: Caller, now: Instant) -> anyhow::Result<String> {
        let secret = random_token()?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, (_, made)| now.duration_since(*made) < LINK_GOOD);
        put(&mut links, key(&secret), (caller, now), MOST_LINKS);
        Ok(secret)
    }

    /// Signs in with the secret of a link, which is good for nothing then; gives the session, and its secret for the cookie.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn begin(&self, link: &str, port: u16, now: Instant) -> anyhow::Result<Option<(Session, String)>> {
        let taken = self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(link));
        let Some((user, _)) = taken.filter(|(_, made)| now.duration_since(*made) < LINK_GOOD) else {
            return Ok(None);
        };
        self.begin_as(user, port, now).map(Some)
    }

    /// Signs in who is known by a password, at the listener on `port`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn begin_as(&self, user: Caller, port: u16, now: Instant) -> anyhow::Result<(Session, String)> {
        let secret = random_token()?;
        let session = Session { user, as_viewer: false, port };
        put(&mut self.held(), key(&secret), (session.clone(), now), MOST_SESSIONS);
        Ok((session, secret))
    }

    /// The session of a cookie header that came to the listener on `port`, and the secret in it.
    pub(super) fn of<'h>(&self, cookies: &'h str, port: u16, now: Instant) -> Option<(Session, &'h str)> {
        let secret = secret(cookies, port)?;
        let mut sessions = self.held();
        let (session, seen) = sessions.get_mut(&key(secret))?;
        if now.duration_since(*seen) >= SESSION_IDLE {
            sessions.remove(&key(secret));
            return None;
        }
        if session.port != port {
            return None;
        }
        *seen = now;
        Some((session.clone(), secret))
    }

    /// Lets a session see what a viewer sees, or all again.
    pub(super) fn view_as(&self, secret: &str, as_viewer: bool) -> Option<Session> {
        let mut sessions = self.held();
        let (session, _) = sessions.get_mut(&key(secret))?;
        session.as_viewer = as_viewer;
        Some(session.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, secret: &str) {
        self.held().remove(&key(secret));
    }

    /// Ends all sessions of a user.
    pub(super) fn end_of(&self, name: &str) {
        self.held().retain(|_, (session, _)| &*session.user.name != name);
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, (Session, Instant)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What makes a browser keep a session's secret, or forget it where there is none. One that came to it unread is sent unread only.
pub(super) fn set_cookie(secret: Option<&str>, came: &Came) -> String {
    let (value, age) = secret.map_or(("", 0), |secret| (secret, SESSION_IDLE.as_secs()));
    let secure = if came.is_secure { "; Secure" } else { "" };
    format!("{COOKIE}{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}", came.port)
}

fn secret(cookies: &str, port: u16) -> Option<&str> {
    let name = format!("{COOKIE}{port}");
    let mut cookies = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(other, _)| *other == name).map(|(_, secret)| secret)
}

/// Puts one more where there may be so many.
fn put<T>(all: &mut BTreeMap<Key, (T, Instant)>, key: Key, new: (T, Instant), most: usize) {
    if all.len() >= most
        && let Some(oldest) = all.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key)
    {
        all.remove(&oldest);
    }
    all.insert(key, new);
}

fn key(secret: &str) -> Key {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> (Sessions, Instant) {
        (Sessions::default(), Instant::now())
    }

    fn signed_in(sessions: &Sessions, now: Instant) -> String {
        let link = sessions.link(Caller::user("operator"), now).unwrap();
        let (_, secret) = sessions.begin(&link, 3000, now).unwrap().unwrap();
        format!("theme=dark; isobar_session_3000={secret}")
    }

    #[test]
    fn a_link_is_good_for_one_sign_in_and_for_an_hour() {
        let (sessions, now) = sessions();
        let link = sessions.link(Caller::user("operator"), now).unwrap();
        assert!(
            sessions.begin("", 3000, now).unwrap().is_none()
                && sessions.begin(&link[1..], 3000, now).unwrap().is_none()
        );
        assert!(sessions.begin(&link, 3000, now).unwrap().is_some());
        assert!(sessions.begin(&link, 3000, now).unwrap().is_none(), "used");
        let late = sessions.link(Caller::user("operator"), now).unwrap();
        assert!(sessions.begin(&late, 3000, now + LINK_GOOD).unwrap().is_none(), "too old");
    }

    #[test]
    fn a_session_is_known_by_its_cookie_until_it_ends_or_is_quiet_for_long() {
        let (sessions, now) = sessions();
        let cookies = signed_in(&sessions, now);
        let later = now + SESSION_IDLE / 2;
        let (session, secret) = sessions.of(&cookies, 3000, later).unwrap();
        assert!(session.caller().may(&Need::ReadSensitive) && session.caller().may(&Need::Deploy("pay".into())));
        assert!(!session.caller().may(&Need::Owner), "it makes no tokens, which would outlive it");
        assert!(sessions.of(&cookies, 3001, later).is_none(), "another host's");
        let renamed = cookies.replace("session_3000", "session_3001");
        assert!(sessions.of(&renamed, 3001, later).is_none(), "another listener's, whatever its cookie is called");
        assert!(sessions.of(&cookies, 3000, later + SESSION_IDLE / 2).is_some(), "each request keeps it");
        sessions.end(secret);
        assert!(sessions.of(&cookies, 3000, later).is_none());
        let cookies = signed_in(&sessions, now);
        assert!(sessions.of(&cookies, 3000, now + SESSION_IDLE).is_none(), "quiet");
    }

    #[test]
    fn who_is_a_user_no_more_is_signed_out_everywhere() {
        let (sessions, now) = sessions();
        let begin = |name: &str| sessions.begin_as(Caller::user(name), 3000, now).unwrap().1;
        let (here, there, other) = (begin("anna"), begin("anna"), begin("ben"));
        sessions.end_of("anna");
        let is_known = |secret: &str| sessions.of(&format!("isobar_session_3000={secret}"), 3000, now).is_some();
        assert!(!is_known(&here) && !is_known(&there) && is_known(&other));
    }

    #[test]
    fn who_views_as_a_viewer_may_read_only_and_comes_back() {
        let (sessions, now) = sessions();
        let cookies = signed_in(&sessions, now);
        let (_, secret) = sessions.of(&cookies, 3000, now).unwrap();
        let viewer = sessions.view_as(secret, true).unwrap().caller();
        assert!(viewer.may(&Need::Read) && !viewer.may(&Need::ReadSensitive) && !viewer.may(&Need::Operate));
        assert!(sessions.view_as(secret, false).unwrap().caller().may(&Need::ReadSensitive));
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let (sessions, now) = sessions();
        let first = signed_in(&sessions, now);
        for at in 1..=MOST_SESSIONS as u64 {
            signed_in(&sessions, now + Duration::from_millis(at));
        }
        assert!(sessions.of(&first, 3000, now).is_none(), "the quietest goes");
        assert_eq!(sessions.held().len(), MOST_SESSIONS);
        let links: Vec<String> = (0..=MOST_LINKS as u64)
            .map(|at| sessions.link(Caller::user("operator"), now + Duration::from_millis(at)).unwrap())
            .collect();
        assert!(sessions.begin(&links[0], 3000, now).unwrap().is_none());
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let local = Came { is_local: true, is_secure: false, port: 3000, from: [127, 0, 0, 1].into() };
        let kept = "isobar_session_3000=ab; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict";
        assert_eq!(set_cookie(Some("ab"), &local), kept);
        assert_eq!(set_cookie(Some("ab"), &Came { is_secure: true, ..local }), format!("{kept}; Secure"));
        assert!(set_cookie(None, &local).contains("Max-Age=0"));
    }
}
