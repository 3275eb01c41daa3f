//! The HTTP API below `/api/v1`: JSON in and out, exports as streams. What it tells is `view`'s and `tables`'.

mod admission;
mod data;
mod document;
mod functions;
mod health;
mod host;
mod people;
pub(super) mod sessions;
mod versions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequest as _, Request};
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::answers::{Fault, Refusal};
use super::events::Events;
use super::guard::Guard;
use super::page;
use super::problem::{Problem, uniform};
use super::sessions::Sessions;
use super::shared::Shared;
use super::users::Users;
use super::view::View;
use crate::engine::inspect::MAX_COMPONENT_BYTES;
use admission::{Gate, admit};
pub use document::document;

/// Loads at one time: each holds a body, which may be large, and the rows that it says.
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
    users: Arc<Users>,
    events: Events,
    shared: Arc<Shared>,
    /// Rows that are read at one time.
    answering: Arc<Semaphore>,
    address: SocketAddr,
}

/// Who comes in, and what they are told.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) view: Arc<View>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) users: Arc<Users>,
    pub(super) events: Events,
    /// Where the host listens for this machine.
    pub(super) address: SocketAddr,
    /// How long the body of a request may take.
    pub(super) body: Duration,
}

/// Who answers, so that a client knows that it found a host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Greeting {
    /// The application's name.
    pub(super) application: String,
}

type Answer<T> = Result<Json<T>, Refusal>;

/// Below which all routes are.
const ROOT: &str = "/api/v1";

/// The routes of the API, each with its description: [`document`] is made of them, too.
fn routes() -> OpenApiRouter<Api> {
    let routes = OpenApiRouter::new()
        .routes(routes!(document::openapi))
        .merge(of_the_host())
        .merge(of_data())
        .merge(of_functions())
        .fallback(nothing)
        .layer(map_response(uniform));
    OpenApiRouter::with_openapi(document::Common::openapi()).nest(ROOT, routes)
}

fn of_the_host() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(host::greet))
        .routes(routes!(host::status))
        .routes(routes!(host::application))
        .routes(routes!(host::dashboard))
        .routes(routes!(host::events))
        .routes(routes!(host::verify))
        .routes(routes!(host::manifest))
        .routes(routes!(host::audit))
        .routes(routes!(host::logs))
        .routes(routes!(sessions::look, sessions::begin).layer(DefaultBodyLimit::max(sessions::MOST_BYTES)))
        .routes(routes!(sessions::view_as))
        .routes(routes!(sessions::end))
        .routes(routes!(sessions::make_link))
        .routes(routes!(people::tokens, people::create_token))
        .routes(routes!(people::revoke_token))
        .routes(routes!(people::users, people::add_user))
        .routes(routes!(people::remove_user))
}

fn of_data() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(data::topics))
        .routes(routes!(data::records))
        .routes(routes!(data::tables))
        .routes(routes!(data::rows))
        .routes(routes!(data::export))
        .routes(routes!(data::load))
        .routes(routes!(data::backup))
}

fn of_functions() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(versions::deploy).layer(DefaultBodyLimit::max(MOST_DEPLOY_BYTES)))
        .routes(routes!(versions::versions))
        .routes(routes!(versions::diff))
        .routes(routes!(versions::roll_back))
        .routes(routes!(versions::remove))
        .routes(routes!(versions::shadow))
        .routes(routes!(versions::promote))
        .routes(routes!(versions::drop_shadow))
        .routes(routes!(versions::replay))
        .routes(routes!(functions::state))
        .routes(routes!(functions::forget))
        .routes(routes!(functions::run))
        .routes(routes!(functions::pause))
        .routes(routes!(functions::resume))
        .routes(routes!(functions::letters))
        .routes(routes!(functions::redrive))
        .routes(routes!(functions::drop_letters))
}

/// All routes, by what answers them; each door has its guard: [`behind`].
pub(super) fn router(doors: &Doors) -> Router {
    let Doors { view, sessions, users, events, address, body } = doors.clone();
    let (routes, _) = routes().split_for_parts();
    routes
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
            users,
            events,
            shared: Arc::default(),
            answering: Arc::new(Semaphore::new(MOST_ANSWERING)),
            address,
        })
}

/// The routes as who comes through a door with this guard reaches them.
pub(super) fn behind(guard: Guard, routes: Router, doors: &Doors) -> Router {
    let Doors { view, sessions, users, .. } = doors.clone();
    let gate = Gate { guard, view, sessions, users };
    routes.layer(from_fn_with_state(gate, admit)).layer(map_response(async |response| page::secured(response)))
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
    Problem { hint, ..Problem::new(status, error) }.into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.fault {
            Fault::Unknown => StatusCode::NOT_FOUND,
            Fault::Invalid => StatusCode::BAD_REQUEST,
            Fault::Sensitive => StatusCode::FORBIDDEN,
            Fault::SignedOut => StatusCode::UNAUTHORIZED,
            Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Often => StatusCode::TOO_MANY_REQUESTS,
            Fault::Store => StatusCode::INTERNAL_SERVER_ERROR,
        };
        failure(status, self.message, self.hint)
    }
}
