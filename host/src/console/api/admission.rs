//! Who is let in, and to what: the owner of the data folder to everything, who has another token to what its scopes say, whose browser
//! is signed in to what the session allows.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::header::AsHeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::{ROOT, failure};
use crate::console::answers::{
    AuditAsk, BackupAsk, DiffAsk, LettersAsk, LogsAsk, RecordsAsk, RowsAsk, ShadowAsk, StateAsk,
};
use crate::console::guard::{Denied, Guard};
use crate::console::scopes::{Caller, Need};
use crate::console::sessions::{Session, Sessions};
use crate::console::view::View;
use crate::deploys::OWNER;

/// Where a browser signs in, below [`ROOT`]: nobody is known there yet.
const SIGN_IN: &str = "/session";
/// What the page sends with all that changes something.
const PAGE_HEADER: &str = "x-isobar-page";
/// Where browsers say whose page asks.
const FETCH_SITE: &str = "sec-fetch-site";

/// What decides on requests.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) guard: Guard,
    pub(super) sessions: Arc<Sessions>,
    pub(super) view: Arc<View>,
}

/// Lets a request pass with who asks, or turns it away.
pub(super) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    if let Err(denied) = to_us(&gate, request.headers()) {
        return denied;
    }
    let Some(path) = request.uri().path().strip_prefix(ROOT) else {
        // The page itself holds nothing that anybody may not see.
        return next.run(request).await;
    };
    if request.method() == Method::POST && path == SIGN_IN {
        return next.run(request).await;
    }
    let path = path.to_owned();
    let (caller, session) = match known(&gate, request.method(), request.headers()).await {
        Ok(known) => known,
        Err(denied) => return denied,
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

/// Turns away a request that is not to this listener, or comes from another site's page.
#[expect(clippy::result_large_err, reason = "it is an answer")]
fn to_us(gate: &Gate, headers: &HeaderMap) -> Result<(), Response> {
    gate.guard.check(text(headers, header::HOST), text(headers, header::ORIGIN)).map_err(deny)
}

/// A header. One that comes twice says nothing: who passes it on may have believed the other.
fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap_or_default());
    if values.next().is_some() { Some("") } else { value }
}

/// Who asks: who shows a token, or whose browser is signed in; then by which session.
async fn known(gate: &Gate, method: &Method, headers: &HeaderMap) -> Result<(Caller, SignedIn), Response> {
    if let Some(given) = text(headers, header::AUTHORIZATION) {
        let token = given.strip_prefix("Bearer ").ok_or_else(|| deny(Denied::Token))?;
        return Ok((caller(gate, token).await?, SignedIn(None)));
    }
    // Another program's page at another port of this machine is sent the cookie, too.
    if text(headers, FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(deny(Denied::Origin));
    }
    let cookies = text(headers, header::COOKIE).unwrap_or_default();
    let (session, secret) = gate.sessions.of(cookies, Instant::now()).ok_or_else(|| deny(Denied::Session))?;
    // A form of another site can be sent here with the cookie, but not with this.
    if *method != Method::GET && text(headers, PAGE_HEADER).is_none() {
        return Err(deny(Denied::Page));
    }
    Ok((session.caller(), SignedIn(Some((session, secret.to_owned())))))
}

/// The session of a request, if its browser is signed in, and the session's secret.
#[derive(Clone)]
pub(super) struct SignedIn(pub(super) Option<(Session, String)>);

async fn caller(gate: &Gate, token: &str) -> Result<Caller, Response> {
    if gate.guard.is_owner(token) {
        return Ok(Caller::owner(OWNER));
    }
    match gate.view.caller(token).await {
        Ok(caller) => caller.ok_or_else(|| deny(Denied::Token)),
        Err(refusal) => Err(refusal.into_response()),
    }
}

fn deny(denied: Denied) -> Response {
    let (status, error, hint) = match denied {
        Denied::Host => (
            StatusCode::FORBIDDEN,
            "the `Host` of the request is not this listener",
            "ask `127.0.0.1` or `localhost` with the port that `isobar up` prints",
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
    };
    failure(status, error.to_owned(), Some(hint.to_owned()))
}

impl Caller {
    /// Turns it away where it may not do what is needed, which the answer tells to [`admit`].
    #[expect(clippy::result_large_err, reason = "it is an answer")]
    pub(super) fn needs(&self, need: &Need) -> Result<(), Response> {
        if self.may(need) {
            return Ok(());
        }
        let error = format!("`{}` may not {}", self.name, need.words());
        let hint = "who has the data folder makes a token that may: `isobar token create`; who views as a viewer switches back";
        let mut denied = failure(StatusCode::FORBIDDEN, error, Some(hint.to_owned()));
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
