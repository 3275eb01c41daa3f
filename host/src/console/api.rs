//! The HTTP API below `/api/v1`: JSON in and out, exports as streams. What it tells is `view`'s and `tables`'.

mod admission;
mod health;
pub(super) mod sessions;
mod versions;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::answers::{AuditAsk, BackupAsk, Fault, LettersAsk, LogsAsk, RecordsAsk, Refusal};
use super::answers::{RowsAsk, SettleAsk, Settled, StateAsk, TokenAsk};
use super::application::ApplicationView;
use super::dashboard::{self, Dashboard};
use super::events::Events;
use super::guard::Guard;
use super::page;
use super::scopes::Caller;
use super::sessions::Sessions;
use super::shared::Shared;
use super::view::View;
use crate::bindings::tables::load::MOST_BYTES;
use crate::embedded::Fate;
use crate::engine::inspect::MAX_COMPONENT_BYTES;
use admission::{Asked, Gate, admit};

/// Loads at one time: each holds a body of up to [`MOST_BYTES`] and the rows that it says.
const MOST_LOADS: usize = 2;
/// Answers with rows that are made at one time, the others wait: each has one of the store's readers, which functions need, too.
const MOST_ANSWERING: usize = 3;
/// Bytes of a deploy: two components of the largest size that there may be, in base64.
const MOST_DEPLOY_BYTES: usize = 2 * MAX_COMPONENT_BYTES / 3 * 4 + 1024 * 1024;

/// What every handler has.
#[derive(Clone)]
struct Api {
    view: Arc<View>,
    /// Bodies that are held in memory at one time.
    loads: Arc<Semaphore>,
    /// Deploys at one time.
    deploys: Arc<Semaphore>,
    /// How long a body may take.
    body: Duration,
    sessions: Arc<Sessions>,
    events: Events,
    shared: Arc<Shared>,
    /// Rows that are read at one time.
    answering: Arc<Semaphore>,
    address: SocketAddr,
}

/// Who comes in, and what they are told.
pub(super) struct Doors {
    pub(super) guard: Guard,
    pub(super) sessions: Arc<Sessions>,
    pub(super) events: Events,
    /// Where the host listens.
    pub(super) address: SocketAddr,
}

/// Why a request failed, as the body of its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    /// What is wrong.
    pub(super) error: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

/// Who answers, so that a client knows that it found a host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// The application's name.
    pub(super) application: String,
}

type Answer<T> = Result<Json<T>, Refusal>;

/// Below which all routes are.
const ROOT: &str = "/api/v1";

/// All routes, behind the guard; the body of a request may take `body`.
pub(super) fn router(view: Arc<View>, doors: Doors, body: Duration) -> Router {
    let routes = Router::new()
        .route("/", get(greet))
        .route("/status", get(status))
        .route("/application", get(application))
        .route("/dashboard", get(dashboard))
        .route("/events", get(events))
        .route("/session", get(sessions::look).post(sessions::begin).layer(DefaultBodyLimit::max(sessions::MOST_BYTES)))
        .route("/session/view", post(sessions::view_as))
        .route("/session/end", post(sessions::end))
        .route("/session/links", post(sessions::make_link))
        .route("/verify", get(verify))
        .route("/backup", get(backup))
        .route("/topics", get(topics))
        .route("/topics/{topic}/records", get(records))
        .route("/tables", get(tables))
        .route("/tables/{table}/rows", get(rows))
        .route("/tables/{table}/export", get(export))
        .route("/tables/{table}/load", post(load))
        .route("/manifest", get(manifest))
        .route("/audit", get(audit))
        .route("/logs", get(logs))
        .route("/deploys", post(versions::deploy).layer(DefaultBodyLimit::max(MOST_DEPLOY_BYTES)))
        .route("/tokens", get(tokens).post(create_token))
        .route("/tokens/{token}/revoke", post(revoke_token))
        .route("/functions/{function}/versions", get(versions::versions))
        .route("/functions/{function}/diff", get(versions::diff))
        .route("/functions/{function}/rollback", post(versions::roll_back))
        .route("/functions/{function}/remove", post(versions::remove))
        .route("/functions/{function}/shadow", get(versions::shadow))
        .route("/functions/{function}/shadow/promote", post(versions::promote))
        .route("/functions/{function}/shadow/drop", post(versions::drop_shadow))
        .route("/functions/{function}/replay", post(versions::replay))
        .route("/functions/{function}/state", get(state))
        .route("/functions/{function}/state/delete", post(forget))
        .route("/functions/{function}/run", post(run))
        .route("/functions/{function}/pause", post(pause))
        .route("/functions/{function}/resume", post(resume))
        .route("/functions/{function}/dead-letters", get(letters))
        .route("/functions/{function}/dead-letters/redrive", post(redrive))
        .route("/functions/{function}/dead-letters/drop", post(drop_letters));
    let Doors { guard, sessions, events, address } = doors;
    let gate = Gate { guard, view: Arc::clone(&view), sessions: Arc::clone(&sessions) };
    Router::new()
        .nest(ROOT, routes.fallback(nothing))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::numbers))
        .route("/api", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .fallback(page::serve)
        .with_state(Api {
            view,
            loads: Arc::new(Semaphore::new(MOST_LOADS)),
            deploys: Arc::new(Semaphore::new(1)),
            body,
            sessions,
            events,
            shared: Arc::default(),
            answering: Arc::new(Semaphore::new(MOST_ANSWERING)),
            address,
        })
        .layer(from_fn_with_state(gate, admit))
        .layer(map_response(async |response| page::secured(response)))
}

async fn greet(State(api): State<Api>) -> Json<Greeting> {
    Json(Greeting { application: api.view.application().name.clone() })
}

async fn status(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.status().await.map(Json)
}

async fn application(State(api): State<Api>) -> Json<ApplicationView> {
    Json(api.view.consists_of())
}

async fn dashboard(State(api): State<Api>) -> Answer<Dashboard> {
    let found = api.view.dashboard().map_err(|error| {
        let unfit = Refusal::new(Fault::Invalid, format!("the dashboard does not fit what runs now: {error:#}"));
        unfit.hint(format!("correct `{}`, and start the host anew", dashboard::FILE))
    })?;
    let none = || Refusal::new(Fault::Unknown, "the application has no dashboard");
    let hint = format!("`{}` beside spin.toml says what is shown here", dashboard::FILE);
    found.cloned().map(Json).ok_or_else(|| none().hint(hint))
}

async fn events(State(api): State<Api>) -> Result<impl IntoResponse, Refusal> {
    let told = api.events.listen()?;
    Ok(Sse::new(told.map(|told| Ok::<_, Infallible>(Event::default().event(told.event).data(&*told.data)))))
}

async fn verify(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.verify().await.map(Json)
}

async fn topics(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.topics().await.map(Json)
}

async fn records(
    State(api): State<Api>,
    Path(topic): Path<String>,
    Asked(ask): Asked<RecordsAsk>,
) -> Answer<impl Serialize> {
    api.view.records(&topic, &ask).await.map(Json)
}

async fn tables(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.tables().await.map(Json)
}

async fn rows(
    State(api): State<Api>,
    Path(table): Path<String>,
    Asked(ask): Asked<RowsAsk>,
) -> Result<Response, Refusal> {
    let make = async |ask: &RowsAsk| {
        // It is never closed.
        let _permit = api.answering.acquire().await;
        let rows = api.view.rows(&table, ask).await?;
        let told = serde_json::to_vec(&rows);
        told.map(Bytes::from).map_err(|error| Refusal::new(Fault::Store, format!("rows cannot be told: {error}")))
    };
    let told = match ask.shared {
        false => make(&ask).await?,
        true => api.shared.answer(format!("{table} {ask:?}"), api.events.number(), make(&ask)).await?,
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], told).into_response())
}

async fn export(
    State(api): State<Api>,
    Path(table): Path<String>,
    Asked(ask): Asked<RowsAsk>,
) -> Result<Response, Refusal> {
    let (format, pieces) = api.view.export(&table, &ask).await?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], Body::from_stream(pieces)).into_response())
}

async fn backup(State(api): State<Api>, Asked(ask): Asked<BackupAsk>) -> Result<Response, Refusal> {
    let (bytes, pieces) = api.view.backup(&ask).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(bytes)),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

async fn load(State(api): State<Api>, Path(table): Path<String>, body: Body) -> Response {
    let too_large = || {
        let error = format!("the file is larger than {} MiB", MOST_BYTES >> 20);
        failure(StatusCode::PAYLOAD_TOO_LARGE, error, Some("load it in parts".to_owned()))
    };
    if body.size_hint().lower() > MOST_BYTES as u64 {
        return too_large();
    }
    let Ok(_loading) = api.loads.try_acquire() else {
        let busy = Refusal::new(Fault::Busy, "too many loads are going on");
        return busy.hint("try again when one of them is done").into_response();
    };
    let file = match tokio::time::timeout(api.body, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(file)) => file,
        Ok(Err(_)) => return too_large(),
        Err(_) => return late("file", api.body),
    };
    match api.view.load(&table, file).await {
        Ok(loaded) => Json(loaded).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn manifest(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.manifest().await.map(Json)
}

async fn audit(State(api): State<Api>, Asked(ask): Asked<AuditAsk>) -> Answer<impl Serialize> {
    api.view.audit(&ask).await.map(Json)
}

/// The body of a request, which has as long to come as any.
async fn asked<T: DeserializeOwned>(api: &Api, request: Request, what: &str) -> Result<T, Response> {
    asked_within(api.body, request, what).await
}

/// The body of a request, which has so long to come.
async fn asked_within<T: DeserializeOwned>(within: Duration, request: Request, what: &str) -> Result<T, Response> {
    let asked = tokio::time::timeout(within, Json::<T>::from_request(request, &())).await;
    let Json(ask) = asked.map_err(|_| late(what, within))?.map_err(IntoResponse::into_response)?;
    Ok(ask)
}

async fn tokens(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.tokens().await.map(Json)
}

async fn create_token(State(api): State<Api>, request: Request) -> Result<impl IntoResponse, Response> {
    let ask: TokenAsk = asked(&api, request, "question").await?;
    api.view.create_token(&ask).await.map(Json).map_err(IntoResponse::into_response)
}

async fn revoke_token(State(api): State<Api>, Path(token): Path<String>) -> Answer<impl Serialize> {
    api.view.revoke_token(&token).await.map(Json)
}

async fn state(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<StateAsk>,
) -> Answer<impl Serialize> {
    api.view.state(&function, &ask).await.map(Json)
}

async fn forget(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Answer<impl Serialize> {
    api.view.forget(&function, &caller.name).await.map(Json)
}

async fn logs(State(api): State<Api>, Asked(ask): Asked<LogsAsk>) -> Answer<impl Serialize> {
    api.view.logs(&ask).await.map(Json)
}

async fn run(State(api): State<Api>, Path(function): Path<String>) -> Answer<impl Serialize> {
    api.view.run(&function).await.map(Json)
}

async fn pause(State(api): State<Api>, Path(function): Path<String>) -> Answer<impl Serialize> {
    api.view.pause(&function).await.map(Json)
}

async fn resume(State(api): State<Api>, Path(function): Path<String>) -> Answer<impl Serialize> {
    api.view.resume(&function).await.map(Json)
}

async fn letters(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<LettersAsk>,
) -> Answer<impl Serialize> {
    api.view.letters(&function, &ask).await.map(Json)
}

async fn redrive(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<impl IntoResponse, Response> {
    settle(&api, (&function, &caller), request, Fate::Redriven).await
}

async fn drop_letters(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<impl IntoResponse, Response> {
    settle(&api, (&function, &caller), request, Fate::Dropped).await
}

async fn settle(
    api: &Api,
    (function, caller): (&str, &Caller),
    request: Request,
    fate: Fate,
) -> Result<Json<Settled>, Response> {
    let ask: SettleAsk = asked(api, request, "question").await?;
    api.view.settle(function, &ask, fate, &caller.name).await.map(Json).map_err(IntoResponse::into_response)
}

async fn nothing() -> Response {
    let hint = "`isobar --help` lists what can be asked".to_owned();
    failure(StatusCode::NOT_FOUND, "there is nothing here".to_owned(), Some(hint))
}

/// The refusal of a body that does not come.
fn late(what: &str, within: Duration) -> Response {
    let error = format!("the {what} did not come within {} s", within.as_secs_f32());
    failure(StatusCode::REQUEST_TIMEOUT, error, Some("send it again, without pauses".to_owned()))
}

fn failure(status: StatusCode, error: String, hint: Option<String>) -> Response {
    (status, Json(ErrorBody { error, hint })).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.fault {
            Fault::Unknown => StatusCode::NOT_FOUND,
            Fault::Invalid => StatusCode::BAD_REQUEST,
            Fault::Sensitive => StatusCode::FORBIDDEN,
            Fault::SignedOut => StatusCode::UNAUTHORIZED,
            Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Store => StatusCode::INTERNAL_SERVER_ERROR,
        };
        failure(status, self.message, self.hint)
    }
}
