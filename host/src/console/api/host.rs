//! Routes of the host itself: what runs in it, where everything stands, what happens, what was done.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures::StreamExt as _;

use super::admission::Asked;
use super::{Answer, Api, Greeting};
use crate::console::answers::{AuditAsk, Fault, LogsAsk, LogsPage, ManifestView, Refusal, Status};
use crate::console::application::ApplicationView;
use crate::console::dashboard::{self, Dashboard};
use crate::console::problem::Problem;
use crate::embedded::LedgerReport;
use crate::embedded::versions::Entry;

/// Says which application runs here.
#[utoipa::path(get, path = "/", tag = "host", operation_id = "greet",
    responses((status = 200, description = "The application.", body = Greeting)))]
pub(super) async fn greet(State(api): State<Api>) -> Json<Greeting> {
    Json(Greeting { application: api.view.application().name.clone() })
}

/// Says where every function and topic stands.
#[utoipa::path(get, path = "/status", tag = "host",
    responses((status = 200, description = "Where everything stands.", body = Status)))]
pub(super) async fn status(State(api): State<Api>) -> Answer<Status> {
    api.view.status().await.map(Json)
}

/// Says what the application consists of.
///
/// Its functions with what they may touch, its topics, its tables.
#[utoipa::path(get, path = "/application", tag = "host",
    responses((status = 200, description = "The application.", body = ApplicationView)))]
pub(super) async fn application(State(api): State<Api>) -> Json<ApplicationView> {
    Json(api.view.consists_of())
}

/// Says what the first page shows.
#[utoipa::path(get, path = "/dashboard", tag = "host",
    responses(
        (status = 200, description = "As the application declares it.", body = Dashboard),
        (status = 400, response = Problem),
        (status = 404, response = Problem),
    ))]
pub(super) async fn dashboard(State(api): State<Api>) -> Answer<Dashboard> {
    let found = api.view.dashboard().map_err(|error| {
        let unfit = Refusal::new(Fault::Invalid, format!("the dashboard does not fit what runs now: {error:#}"));
        unfit.hint(format!("correct `{}`, and start the host anew", dashboard::FILE))
    })?;
    let none = || Refusal::new(Fault::Unknown, "the application has no dashboard");
    let hint = format!("`{}` beside spin.toml says what is shown here", dashboard::FILE);
    found.cloned().map(Json).ok_or_else(|| none().hint(hint))
}

/// Tells what happens, as it happens.
///
/// Events are `pulse`, once a second, with a `Pulse` as its data; `change`, where rows of tables were written, with a `Change`; and
/// `gap`, with `null`, where something could not be told. A stream ends after a quarter of an hour.
#[utoipa::path(get, path = "/events", tag = "host",
    responses(
        (status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"),
        (status = 503, response = Problem),
    ))]
pub(super) async fn events(State(api): State<Api>) -> Result<impl IntoResponse, Refusal> {
    let told = api.events.listen()?;
    Ok(Sse::new(told.map(|told| Ok::<_, Infallible>(Event::default().event(told.event).data(&*told.data)))))
}

/// Walks the ledger: whether every record was handled once.
#[utoipa::path(get, path = "/verify", tag = "host",
    responses(
        (status = 200, description = "What was found.", body = LedgerReport),
        (status = 503, response = Problem),
    ))]
pub(super) async fn verify(State(api): State<Api>) -> Answer<LedgerReport> {
    api.view.verify().await.map(Json)
}

/// Gives the manifest that runs.
#[utoipa::path(get, path = "/manifest", tag = "host",
    responses(
        (status = 200, description = "The manifest.", body = ManifestView),
        (status = 404, response = Problem),
    ))]
pub(super) async fn manifest(State(api): State<Api>) -> Answer<ManifestView> {
    api.view.manifest().await.map(Json)
}

/// Gives the newest entries of the audit log.
#[utoipa::path(get, path = "/audit", tag = "host", params(AuditAsk),
    responses((status = 200, description = "The newest first.", body = Vec<Entry>)))]
pub(super) async fn audit(State(api): State<Api>, Asked(ask): Asked<AuditAsk>) -> Answer<Vec<Entry>> {
    api.view.audit(&ask).await.map(Json)
}

/// Gives the last lines that functions wrote since the host was started.
///
/// Those of functions that read what is sensitive are kept nowhere.
#[utoipa::path(get, path = "/logs", tag = "host", params(LogsAsk),
    responses((status = 200, description = "The oldest first.", body = LogsPage)))]
pub(super) async fn logs(State(api): State<Api>, Asked(ask): Asked<LogsAsk>) -> Answer<LogsPage> {
    api.view.logs(&ask).await.map(Json)
}
