//! Routes of versions: what there is of them, deploys, shadows and replays, the way back.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::admission::Asked;
use super::{Answer, Api, asked};
use crate::console::answers::{DeployAsk, DiffAsk, Fault, PromoteAsk, Refusal, ReplayAsk, RollbackAsk, ShadowAsk};
use crate::console::scopes::{Caller, Need};

pub(super) async fn versions(State(api): State<Api>, Path(function): Path<String>) -> Answer<impl Serialize> {
    api.view.versions(&function).await.map(Json)
}

pub(super) async fn diff(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<DiffAsk>,
) -> Answer<impl Serialize> {
    api.view.diff(&function, &ask).await.map(Json)
}

pub(super) async fn deploy(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Response> {
    let permit = deploying(&api)?;
    let ask: DeployAsk = asked(&api, request, "deploy").await?;
    for function in ask.components.keys() {
        caller.needs(&Need::Deploy(function.clone()))?;
    }
    done(permit, async move { api.view.deploy(ask, &caller.name).await }).await
}

pub(super) async fn roll_back(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let ask: RollbackAsk = asked(&api, request, "question").await?;
    done(deploying(&api)?, async move { api.view.roll_back(&function, &ask, &caller.name).await }).await
}

pub(super) async fn remove(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Result<Response, Response> {
    done(deploying(&api)?, async move { api.view.remove(&function, &caller.name).await }).await
}

pub(super) async fn shadow(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<ShadowAsk>,
) -> Answer<impl Serialize> {
    api.view.shadow(&function, &ask).await.map(Json)
}

pub(super) async fn promote(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let ask: PromoteAsk = asked(&api, request, "question").await?;
    done(deploying(&api)?, async move { api.view.promote(&function, &ask, &caller.name).await }).await
}

pub(super) async fn replay(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let ask: ReplayAsk = asked(&api, request, "question").await?;
    done(deploying(&api)?, async move { api.view.replay(&function, &ask, &caller.name).await }).await
}

pub(super) async fn drop_shadow(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Result<Response, Response> {
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
async fn done<T: Serialize + Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<Response, Response> {
    let done = tokio::spawn(async move {
        let _permit = permit;
        work.await
    });
    match done.await.unwrap_or_else(|error| Err(Refusal::new(Fault::Store, error.to_string()))) {
        Ok(answer) => Ok(Json(answer).into_response()),
        Err(refusal) => Err(refusal.into_response()),
    }
}
