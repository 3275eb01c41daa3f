//! Who is let in, and to what: the owner of the data folder to everything, who has another token to what its scopes say, whose browser
//! is signed in to what the session allows.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::header::AsHeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::ROOT;
use crate::console::answers::{
    AuditAsk, BackupAsk, DiffAsk, LettersAsk, LogsAsk, RecordsAsk, RowsAsk, ShadowAsk, StateAsk,
};
use crate::console::connections::Peer;
use crate::console::guard::{Came, Denied, Guard, Said};
use crate::console::problem::Problem;
use crate::console::scopes::{Caller, Need};
use crate::console::sessions::{Session, Sessions};
use crate::console::token::is_token;
use crate::console::users::Users;
use crate::console::view::View;
use crate::deploys::OWNER;

/// Where a browser signs in, below [`ROOT`]: nobody is known there yet.
const SIGN_IN: &str = "/session";
/// What the page sends with all that changes something.
pub(super) const PAGE_HEADER: &str = "x-isobar-page";
/// Where browsers say whose page asks.
const FETCH_SITE: &str = "sec-fetch-site";

/// Where numbers are told, which are this machine's own affair.
const NUMBERS: &str = "/metrics";

/// What decides on requests.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) guard: Guard,
    pub(super) sessions: Arc<Sessions>,
    pub(super) users: Arc<Users>,
    pub(super) view: Arc<View>,
}

/// Lets a request pass with who asks, or turns it away.
pub(super) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let came = match to_us(&gate, &request) {
        Ok(came) => came,
        Err(denied) => return denied,
    };
    request.extensions_mut().insert(came);
    let path = request.uri().path();
    let path = match path.strip_prefix(ROOT) {
        Some(path) => path.to_owned(),
        None if path == NUMBERS && !came.is_local => path.to_owned(),
        // The page itself holds nothing that anybody may not see.
        None => return next.run(request).await,
    };
    if request.method() == Method::POST && path == SIGN_IN {
        return next.run(request).await;
    }
    let (caller, session) = match known(&gate, request.method(), request.headers(), &came).await {
        Ok(known) => known,
        Err(Denied::Session) if path == SIGN_IN => return ways(&gate, &came).await,
        Err(denied) => return deny(denied).into_response(),
    };
    request.extensions_mut().insert(session);
    let answer = match caller.needs(&Need::of(request.method(), &path)) {
        Err(denied) => denied,
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
    };
    if let Some(need) = answer.extensions().get::<Need>() {
        gate.view.turned_away(&caller, need).await;
    }
    answer
}

/// How a request came; turns away one that is not to this listener, or comes from another site's page.
#[expect(clippy::result_large_err, reason = "it is an answer")]
fn to_us(gate: &Gate, request: &Request) -> Result<Came, Response> {
    let headers = request.headers();
    // Who passes it on may append a header of its own to those that there are.
    let forwarded: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or_default()).collect();
    let forwarded = forwarded.join(",");
    let said = Said {
        host: text(headers, header::HOST),
        origin: text(headers, header::ORIGIN),
        forwarded_host: text(headers, "x-forwarded-host"),
        forwarded_proto: text(headers, "x-forwarded-proto"),
        forwarded_for: Some(&forwarded),
    };
    let peer = request.extensions().get::<Peer>().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0);
    gate.guard.check(peer, &said).map_err(|denied| deny(denied).into_response())
}

/// That nobody is signed in, and how one does.
async fn ways(gate: &Gate, came: &Came) -> Response {
    let with_password = match gate.users.are_there(&gate.view.store).await {
        Ok(there) => there,
        Err(refusal) => return refusal.into_response(),
    };
    let ways = came.is_local.then_some("link").into_iter().chain(with_password.then_some("password"));
    let mut denied = Problem { sign_in: ways.map(str::to_owned).collect(), ..deny(Denied::Session) };
    if !came.is_local {
        denied = denied.hint("sign in with a name and a password; programs send `Authorization: Bearer …`");
    }
    denied.into_response()
}

/// A header. One that comes twice says nothing: who passes it on may have believed the other.
fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap_or_default());
    if values.next().is_some() { Some("") } else { value }
}

/// Who asks: who shows a token, or whose browser is signed in; then by which session.
async fn known(gate: &Gate, method: &Method, headers: &HeaderMap, came: &Came) -> Result<(Caller, SignedIn), Denied> {
    if let Some(given) = text(headers, header::AUTHORIZATION) {
        let token = given.strip_prefix("Bearer ").ok_or(Denied::Token)?;
        return Ok((caller(gate, token).await?, SignedIn(None)));
    }
    // Another program's page at another port of this machine is sent the cookie, too.
    if text(headers, FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(Denied::Origin);
    }
    let cookies = text(headers, header::COOKIE).unwrap_or_default();
    let (session, secret) = gate.sessions.of(cookies, came.port, Instant::now()).ok_or(Denied::Session)?;
    // A form of another site can be sent here with the cookie, but not with this.
    if *method != Method::GET && text(headers, PAGE_HEADER).is_none() {
        return Err(Denied::Page);
    }
    Ok((session.caller(), SignedIn(Some((session, secret.to_owned())))))
}

/// The session of a request, if its browser is signed in, and the session's secret.
#[derive(Clone)]
pub(super) struct SignedIn(pub(super) Option<(Session, String)>);

async fn caller(gate: &Gate, token: &str) -> Result<Caller, Denied> {
    // What cannot be one costs no look into the data.
    if !is_token(token) {
        return Err(Denied::Token);
    }
    if gate.guard.is_owner(token) {
        return Ok(Caller::owner(OWNER));
    }
    match gate.view.caller(token).await {
        Ok(caller) => caller.ok_or(Denied::Token),
        Err(error) => {
            tracing::warn!(%error, "who asks could not be looked up");
            Err(Denied::Unread)
        }
    }
}

fn deny(denied: Denied) -> Problem {
    let (status, error, hint) = match denied {
        Denied::Host => (
            StatusCode::FORBIDDEN,
            "the `Host` of the request is not this listener",
            "ask `127.0.0.1` or `localhost` with the port that `isobar up` prints, or one of the `names` of [console] in isobar.toml",
        ),
        Denied::Origin => (
            StatusCode::FORBIDDEN,
            "the `Origin` of the request is another site",
            "pages of other sites may not speak to isobar",
        ),
        Denied::Session => (
            StatusCode::UNAUTHORIZED,
            "nobody is signed in here",
            "`isobar open` prints a link that signs a browser in; programs send `Authorization: Bearer …`",
        ),
        Denied::Page => (
            StatusCode::FORBIDDEN,
            "the request does not come from the page",
            "send the header `X-Isobar-Page: 1` with what changes something",
        ),
        Denied::Token => (
            StatusCode::UNAUTHORIZED,
            "the token is missing, wrong, expired or revoked",
            "send `Authorization: Bearer …` with the token in `api.json` of the data folder, or one of `isobar token create`",
        ),
        Denied::Unread => {
            (StatusCode::INTERNAL_SERVER_ERROR, "who asks could not be looked up", "the host's log says why; try again")
        }
    };
    Problem::new(status, error).hint(hint)
}

impl Caller {
    /// Turns it away where it may not do what is needed, which the answer tells to [`admit`].
    #[expect(clippy::result_large_err, reason = "it is an answer")]
    pub(super) fn needs(&self, need: &Need) -> Result<(), Response> {
        if self.may(need) {
            return Ok(());
        }
        let error = format!("`{}` may not {}", self.name, need.words());
        let hint = "who has the data folder makes a token or a user that may: `isobar token create`, `isobar user add`; who views as a viewer switches back";
        let mut denied = Problem::new(StatusCode::FORBIDDEN, error).hint(hint).into_response();
        denied.extensions_mut().insert(need.clone());
        Err(denied)
    }
}

/// A question that may ask for what is sensitive.
pub(super) trait Question: DeserializeOwned {
    /// Whether it does.
    fn is_sensitive(&self) -> bool {
        false
    }
}

impl Question for AuditAsk {}

impl Question for DiffAsk {}

impl Question for LogsAsk {}

impl Question for RecordsAsk {
    fn is_sensitive(&self) -> bool {
        self.sensitive
    }
}

impl Question for RowsAsk {
    fn is_sensitive(&self) -> bool {
        self.sensitive
    }
}

impl Question for LettersAsk {
    fn is_sensitive(&self) -> bool {
        self.sensitive
    }
}

impl Question for ShadowAsk {
    fn is_sensitive(&self) -> bool {
        self.sensitive
    }
}

impl Question for StateAsk {
    fn is_sensitive(&self) -> bool {
        self.sensitive
    }
}

impl Question for BackupAsk {
    fn is_sensitive(&self) -> bool {
        // It holds everything.
        true
    }
}

/// A question of one who may ask it.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: Question> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Query(ask) = Query::<T>::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let caller = parts.extensions.get::<Caller>();
        if ask.is_sensitive() {
            let nobody = Caller::of("", &[]);
            caller.unwrap_or(&nobody).needs(&Need::ReadSensitive)?;
        }
        Ok(Asked(ask))
    }
}
