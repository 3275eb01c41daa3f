//! Routes of versions: what there is of them, deploys, shadows and replays, the way back.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use tokio::sync::OwnedSemaphorePermit;

use super::admission::Asked;
use super::document::Done;
use super::{Answer, Api, asked};
use crate::console::answers::{DeployAsk, DiffAsk, Fault, PromoteAsk, Refusal, ReplayAsk, RollbackAsk, ShadowAsk};
use crate::console::problem::Problem;
use crate::console::scopes::{Caller, Need};
use crate::deploys::{Taken, VersionSummary};
use crate::shadows::Comparison;

/// Lists the versions of a function.
#[utoipa::path(get, path = "/functions/{function}/versions", tag = "versions",
    responses((status = 200, description = "The newest first.", body = Vec<VersionSummary>)))]
pub(super) async fn versions(State(api): State<Api>, Path(function): Path<String>) -> Answer<Vec<VersionSummary>> {
    api.view.versions(&function).await.map(Json)
}

/// Says in what two versions of a function differ.
#[utoipa::path(get, path = "/functions/{function}/diff", tag = "versions", params(DiffAsk),
    responses((status = 200, description = "In plain words.", body = Vec<String>)))]
pub(super) async fn diff(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<DiffAsk>,
) -> Answer<Vec<String>> {
    api.view.diff(&function, &ask).await.map(Json)
}

/// Lets versions take over, or one follow in the shadow of another.
///
/// All take over between two batches, or none does.
#[utoipa::path(post, path = "/deploys", tag = "versions", request_body = DeployAsk,
    responses(
        (status = 200, description = "What became of each function.", body = Vec<Taken>),
        (status = 503, response = Problem),
    ))]
pub(super) async fn deploy(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Vec<Taken>>, Response> {
    let permit = deploying(&api)?;
    let ask: DeployAsk = asked(&api, request, "deploy").await?;
    for function in ask.components.keys() {
        caller.needs(&Need::Deploy(function.clone()))?;
    }
    done(permit, async move { api.view.deploy(ask, &caller.name).await }).await
}

/// Puts a version in charge again that was so before.
#[utoipa::path(post, path = "/functions/{function}/rollback", tag = "versions", request_body = RollbackAsk,
    responses(
        (status = 200, description = "What is in charge now.", body = Taken),
        (status = 503, response = Problem),
    ))]
pub(super) async fn roll_back(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Json<Taken>, Response> {
    let ask: RollbackAsk = asked(&api, request, "question").await?;
    done(deploying(&api)?, async move { api.view.roll_back(&function, &ask, &caller.name).await }).await
}

/// Lets a function not run any more; what it remembers and wrote stays.
#[utoipa::path(post, path = "/functions/{function}/remove", tag = "versions", operation_id = "remove_function",
    responses(
        (status = 200, description = "The version that was in charge.", body = String, content_type = "application/json"),
        (status = 503, response = Problem),
    ))]
pub(super) async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Result<Json<String>, Response> {
    done(deploying(&api)?, async move { api.view.remove(&function, &caller.name).await }).await
}

/// Compares the shadow of a function with the version in charge.
#[utoipa::path(get, path = "/functions/{function}/shadow", tag = "shadows", params(ShadowAsk),
    responses(
        (status = 200, description = "In what they differ so far.", body = Option<Comparison>),
        (status = 503, response = Problem),
    ))]
pub(super) async fn shadow(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<ShadowAsk>,
) -> Answer<Option<Comparison>> {
    api.view.shadow(&function, &ask).await.map(Json)
}

/// Puts the shadow of a function in charge.
#[utoipa::path(post, path = "/functions/{function}/shadow/promote", tag = "shadows", operation_id = "promote_shadow", request_body = PromoteAsk,
    responses(
        (status = 200, description = "What is in charge now.", body = Taken),
        (status = 503, response = Problem),
    ))]
pub(super) async fn promote(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Json<Taken>, Response> {
    let ask: PromoteAsk = asked(&api, request, "question").await?;
    done(deploying(&api)?, async move { api.view.promote(&function, &ask, &caller.name).await }).await
}

/// Runs a version over the past again, to be compared with what is there or to take over.
#[utoipa::path(post, path = "/functions/{function}/replay", tag = "shadows", request_body = ReplayAsk,
    responses(
        (status = 200, description = "What follows now.", body = Taken),
        (status = 503, response = Problem),
    ))]
pub(super) async fn replay(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Json<Taken>, Response> {
    let ask: ReplayAsk = asked(&api, request, "question").await?;
    done(deploying(&api)?, async move { api.view.replay(&function, &ask, &caller.name).await }).await
}

/// Ends the shadow of a function.
#[utoipa::path(post, path = "/functions/{function}/shadow/drop", tag = "shadows",
    responses(
        (status = 200, description = "It has none any more.", body = Done),
        (status = 503, response = Problem),
    ))]
pub(super) async fn drop_shadow(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Result<Json<()>, Response> {
    done(deploying(&api)?, async move { api.view.drop_shadow(&function, &caller.name).await }).await
}

/// Leave to deploy: components are held in memory.
#[expect(clippy::result_large_err, reason = "it is an answer")]
fn deploying(api: &Api) -> Result<OwnedSemaphorePermit, Response> {
    Arc::clone(&api.deploys).try_acquire_owned().map_err(|_| {
        let refusal = Refusal::new(Fault::Busy, "another deploy is going on");
        refusal.hint("try again when it is done").into_response()
    })
}

/// What comes of `work`. Who asked may go away; what was begun is done.
async fn done<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<Json<T>, Response> {
    let done = tokio::spawn(async move {
        let _permit = permit;
        work.await
    });
    let answer = done.await.unwrap_or_else(|error| Err(Refusal::new(Fault::Store, error.to_string())));
    answer.map(Json).map_err(IntoResponse::into_response)
}
