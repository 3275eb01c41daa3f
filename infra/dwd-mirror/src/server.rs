//! The routes: DWD's paths, and the three by which a test asks for misbehaviour, reads what was asked for, and moves
//! the clock. How a path is answered stands in `answer`.

use crate::clock::Clock;
use crate::misbehave::{Rule, Rules};
use crate::requests::{Report, Requests};
use crate::shelf::Shelf;
use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::header::{ETAG, USER_AGENT};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) shelf: Shelf,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) requests: Requests,
}

pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/_misbehave", post(misbehave).delete(behave))
        .route("/_requests", get(requests).delete(forget))
        .route("/_clock", get(clock).post(advance))
        .fallback(serve_path)
        .with_state(server)
}

async fn misbehave(State(server): State<Arc<Server>>, Query(rule): Query<Rule>) -> Result<StatusCode, Refusal> {
    server.rules.add(rule).map_err(Refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn behave(State(server): State<Arc<Server>>) -> StatusCode {
    server.rules.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(server): State<Arc<Server>>) -> Json<Report> {
    Json(server.requests.report())
}

async fn forget(State(server): State<Arc<Server>>) -> StatusCode {
    server.requests.clear();
    StatusCode::NO_CONTENT
}

/// What the clock shows, and the newest stamp on the server.
#[derive(Serialize)]
struct Shown {
    clock: String,
    published: String,
}

async fn clock(State(server): State<Arc<Server>>) -> Json<Shown> {
    let published = crate::calendar::instant(server.clock.published().seconds);
    Json(Shown { clock: server.clock.shows().to_string(), published: published.to_string() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(default)]
    advance_days: u32,
    #[serde(default)]
    advance_minutes: u32,
}

async fn advance(state: State<Arc<Server>>, Query(by): Query<Advance>) -> Result<Json<Shown>, Refusal> {
    let seconds = i64::from(by.advance_days) * 86_400 + i64::from(by.advance_minutes) * 60;
    state.clock.advance(seconds).map_err(Refusal)?;
    Ok(clock(state).await)
}

/// A control request that cannot be done: 400, with the remedy.
struct Refusal(anyhow::Error);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, format!("{:#}\n", self.0)).into_response()
    }
}

async fn serve_path(State(server): State<Arc<Server>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = uri.path();
    let answer = server.answer(path, &headers).await.unwrap_or_else(|error| {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("the mirror cannot answer: {error:#}\n")).into_response()
    });
    let header = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let etag = header(answer.headers(), ETAG).unwrap_or_default();
    server.requests.count(path, answer.status().as_u16(), &etag, header(&headers, USER_AGENT).as_deref());
    answer
}
