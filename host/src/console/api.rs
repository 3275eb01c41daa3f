//! The HTTP API below `/api/v1`: JSON in and out, exports as streams. What it tells is `view`'s and `tables`'.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

use super::answers::{AuditAsk, BackupAsk, DeployAsk, DiffAsk, Fault, LettersAsk, RecordsAsk, Refusal, RollbackAsk};
use super::answers::{PromoteAsk, ReplayAsk, RowsAsk, SettleAsk, Settled, ShadowAsk};
use super::guard::{Denied, Guard};
use super::view::View;
use crate::bindings::tables::load::MOST_BYTES;
use crate::embedded::Fate;
use crate::engine::inspect::MAX_COMPONENT_BYTES;

/// Loads at one time: each holds a body of up to [`MOST_BYTES`] and the rows that it says.
const MOST_LOADS: usize = 2;
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

/// All routes, behind the guard; the body of a request may take `body`.
pub(super) fn router(view: Arc<View>, guard: Guard, body: Duration) -> Router {
    let routes = Router::new()
        .route("/", get(greet))
        .route("/status", get(status))
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
        .route("/deploys", post(deploy).layer(DefaultBodyLimit::max(MOST_DEPLOY_BYTES)))
        .route("/functions/{function}/versions", get(versions))
        .route("/functions/{function}/diff", get(diff))
        .route("/functions/{function}/rollback", post(roll_back))
        .route("/functions/{function}/shadow", get(shadow))
        .route("/functions/{function}/shadow/promote", post(promote))
        .route("/functions/{function}/shadow/drop", post(drop_shadow))
        .route("/functions/{function}/replay", post(replay))
        .route("/functions/{function}/pause", post(pause))
        .route("/functions/{function}/resume", post(resume))
        .route("/functions/{function}/dead-letters", get(letters))
        .route("/functions/{function}/dead-letters/redrive", post(redrive))
        .route("/functions/{function}/dead-letters/drop", post(drop_letters));
    Router::new()
        .nest("/api/v1", routes)
        .fallback(nothing)
        .with_state(Api {
            view,
            loads: Arc::new(Semaphore::new(MOST_LOADS)),
            deploys: Arc::new(Semaphore::new(1)),
            body,
        })
        .layer(from_fn_with_state(guard, admit))
}

async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match check(&guard, &request) {
        Ok(()) => next.run(request).await,
        Err(denied) => deny(denied),
    }
}

fn check(guard: &Guard, request: &Request) -> Result<(), Denied> {
    // One that comes twice says nothing: who passes it on may have believed the other.
    let text = |name: HeaderName| {
        let mut values = request.headers().get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap_or_default());
        if values.next().is_some() { Some("") } else { value }
    };
    guard.check(text(header::HOST), text(header::ORIGIN), text(header::AUTHORIZATION))
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
            "the token is missing or wrong",
            "send `Authorization: Bearer …` with the token in `api.json` of the data folder",
        ),
    };
    failure(status, error.to_owned(), Some(hint.to_owned()))
}

async fn greet(State(api): State<Api>) -> Json<Greeting> {
    Json(Greeting { application: api.view.application().name.clone() })
}

async fn status(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.status().await.map(Json)
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
    Query(ask): Query<RecordsAsk>,
) -> Answer<impl Serialize> {
    api.view.records(&topic, &ask).await.map(Json)
}

async fn tables(State(api): State<Api>) -> Answer<impl Serialize> {
    api.view.tables().await.map(Json)
}

async fn rows(State(api): State<Api>, Path(table): Path<String>, Query(ask): Query<RowsAsk>) -> Answer<impl Serialize> {
    api.view.rows(&table, &ask).await.map(Json)
}

async fn export(
    State(api): State<Api>,
    Path(table): Path<String>,
    Query(ask): Query<RowsAsk>,
) -> Result<Response, Refusal> {
    let (format, pieces) = api.view.export(&table, &ask).await?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], Body::from_stream(pieces)).into_response())
}

async fn backup(State(api): State<Api>, Query(ask): Query<BackupAsk>) -> Result<Response, Refusal> {
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

async fn audit(State(api): State<Api>, Query(ask): Query<AuditAsk>) -> Answer<impl Serialize> {
    api.view.audit(&ask).await.map(Json)
}

async fn versions(State(api): State<Api>, Path(function): Path<String>) -> Answer<impl Serialize> {
    api.view.versions(&function).await.map(Json)
}

async fn diff(
    State(api): State<Api>,
    Path(function): Path<String>,
    Query(ask): Query<DiffAsk>,
) -> Answer<impl Serialize> {
    api.view.diff(&function, &ask).await.map(Json)
}

async fn deploy(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    let permit = deploying(&api)?;
    let ask: DeployAsk = asked(&api, request, "deploy").await?;
    // Who asked may go away; what was begun is done.
    let done = tokio::spawn(async move {
        let _permit = permit;
        api.view.deploy(ask).await
    });
    Ok(ended(done.await))
}

async fn roll_back(
    State(api): State<Api>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let ask: RollbackAsk = asked(&api, request, "question").await?;
    let permit = deploying(&api)?;
    let done = tokio::spawn(async move {
        let _permit = permit;
        api.view.roll_back(&function, &ask).await
    });
    Ok(ended(done.await))
}

async fn shadow(
    State(api): State<Api>,
    Path(function): Path<String>,
    Query(ask): Query<ShadowAsk>,
) -> Answer<impl Serialize> {
    api.view.shadow(&function, &ask).await.map(Json)
}

async fn promote(State(api): State<Api>, Path(function): Path<String>, request: Request) -> Result<Response, Response> {
    let ask: PromoteAsk = asked(&api, request, "question").await?;
    let permit = deploying(&api)?;
    let done = tokio::spawn(async move {
        let _permit = permit;
        api.view.promote(&function, &ask).await
    });
    Ok(ended(done.await))
}

async fn replay(State(api): State<Api>, Path(function): Path<String>, request: Request) -> Result<Response, Response> {
    let ask: ReplayAsk = asked(&api, request, "question").await?;
    let permit = deploying(&api)?;
    let done = tokio::spawn(async move {
        let _permit = permit;
        api.view.replay(&function, &ask).await
    });
    Ok(ended(done.await))
}

async fn drop_shadow(State(api): State<Api>, Path(function): Path<String>) -> Result<Response, Response> {
    let permit = deploying(&api)?;
    let done = tokio::spawn(async move {
        let _permit = permit;
        api.view.drop_shadow(&function).await
    });
    Ok(ended(done.await))
}

/// The body of a request, which has so long to come.
async fn asked<T: DeserializeOwned>(api: &Api, request: Request, what: &str) -> Result<T, Response> {
    let asked = tokio::time::timeout(api.body, Json::<T>::from_request(request, &())).await;
    let Json(ask) = asked.map_err(|_| late(what, api.body))?.map_err(IntoResponse::into_response)?;
    Ok(ask)
}

/// Leave to deploy: components are held in memory.
#[expect(clippy::result_large_err, reason = "it is an answer")]
fn deploying(api: &Api) -> Result<OwnedSemaphorePermit, Response> {
    Arc::clone(&api.deploys).try_acquire_owned().map_err(|_| {
        let refusal = Refusal::new(Fault::Busy, "another deploy is going on");
        refusal.hint("try again when it is done").into_response()
    })
}

/// The answer of a task of its own.
fn ended<T: Serialize>(ended: Result<Result<T, Refusal>, JoinError>) -> Response {
    match ended.unwrap_or_else(|error| Err(Refusal::new(Fault::Store, error.to_string()))) {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
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
    Query(ask): Query<LettersAsk>,
) -> Answer<impl Serialize> {
    api.view.letters(&function, &ask).await.map(Json)
}

async fn redrive(
    State(api): State<Api>,
    Path(function): Path<String>,
    request: Request,
) -> Result<impl IntoResponse, Response> {
    settle(&api, &function, request, Fate::Redriven).await
}

async fn drop_letters(
    State(api): State<Api>,
    Path(function): Path<String>,
    request: Request,
) -> Result<impl IntoResponse, Response> {
    settle(&api, &function, request, Fate::Dropped).await
}

async fn settle(api: &Api, function: &str, request: Request, fate: Fate) -> Result<Json<Settled>, Response> {
    let ask: SettleAsk = asked(api, request, "question").await?;
    api.view.settle(function, &ask, fate).await.map(Json).map_err(IntoResponse::into_response)
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
            Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Store => StatusCode::INTERNAL_SERVER_ERROR,
        };
        failure(status, self.message, self.hint)
    }
}
