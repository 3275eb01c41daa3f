//! Who is let in, and to what: the owner of the data folder to everything, who has another token to what its scopes say.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::{ROOT, failure};
use crate::console::answers::{
    AuditAsk, BackupAsk, DiffAsk, LettersAsk, LogsAsk, RecordsAsk, RowsAsk, ShadowAsk, StateAsk,
};
use crate::console::guard::{Denied, Guard};
use crate::console::scopes::{Caller, Need};
use crate::console::view::View;
use crate::deploys::OWNER;

/// What decides on requests.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) guard: Guard,
    pub(super) view: Arc<View>,
}

/// Lets a request pass with who asks, or turns it away.
pub(super) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let known = match token(&gate, &request) {
        Ok(token) => caller(&gate, &token).await,
        Err(denied) => Err(denied),
    };
    let caller = match known {
        Ok(caller) => caller,
        Err(denied) => return denied,
    };
    let path = request.uri().path().strip_prefix(ROOT).unwrap_or_default();
    let answer = match caller.needs(&Need::of(request.method(), path)) {
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

/// The token of a request to this listener.
#[expect(clippy::result_large_err, reason = "it is an answer")]
fn token(gate: &Gate, request: &Request) -> Result<String, Response> {
    // One that comes twice says nothing: who passes it on may have believed the other.
    let text = |name: HeaderName| {
        let mut values = request.headers().get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap_or_default());
        if values.next().is_some() { Some("") } else { value }
    };
    gate.guard.check(text(header::HOST), text(header::ORIGIN)).map_err(deny)?;
    let token = text(header::AUTHORIZATION).and_then(|given| given.strip_prefix("Bearer "));
    token.map(str::to_owned).ok_or_else(|| deny(Denied::Token))
}

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
        let error = format!("the token `{}` may not {}", self.name, need.words());
        let hint = "who has the data folder makes one that may: `isobar token create`";
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
