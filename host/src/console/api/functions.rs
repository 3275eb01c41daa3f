//! Routes of functions: paused, resumed, run, what they remember, and the records that they could not handle.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};

use super::admission::Asked;
use super::document::Done;
use super::{Answer, Api, asked};
use crate::console::answers::{LettersAsk, LettersPage, SettleAsk, Settled, StateAsk, StatePage};
use crate::console::problem::Problem;
use crate::console::scopes::Caller;
use crate::embedded::Fate;
use crate::embedded::versions::Entry;

/// Lets a scheduled function run now.
#[utoipa::path(post, path = "/functions/{function}/run", tag = "functions",
    responses((status = 200, description = "It will run.", body = Done)))]
pub(super) async fn run(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Answer<()> {
    api.view.run(&function).await?;
    api.view.noted(Entry::done(&caller.name, "run", &function)).await;
    Ok(Json(()))
}

/// Lets a function stand still.
#[utoipa::path(post, path = "/functions/{function}/pause", tag = "functions",
    responses((status = 200, description = "It stands still after the call that runs.", body = Done)))]
pub(super) async fn pause(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Answer<()> {
    api.view.pause(&function).await?;
    api.view.noted(Entry::done(&caller.name, "pause", &function)).await;
    Ok(Json(()))
}

/// Lets a function that stands still go on.
#[utoipa::path(post, path = "/functions/{function}/resume", tag = "functions",
    responses((status = 200, description = "It goes on.", body = Done)))]
pub(super) async fn resume(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Answer<()> {
    api.view.resume(&function).await?;
    api.view.noted(Entry::done(&caller.name, "resume", &function)).await;
    Ok(Json(()))
}

/// Gives what a function keeps in its state.
#[utoipa::path(get, path = "/functions/{function}/state", tag = "functions", params(StateAsk),
    responses(
        (status = 200, description = "By partition and key.", body = StatePage),
        (status = 503, response = Problem),
    ))]
pub(super) async fn state(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<StateAsk>,
) -> Answer<StatePage> {
    api.view.state(&function, &ask).await.map(Json)
}

/// Lets go of what a function that does not run any more remembers.
#[utoipa::path(post, path = "/functions/{function}/state/delete", tag = "functions", operation_id = "delete_state",
    responses((status = 200, description = "How many keys that were.", body = u64, content_type = "application/json")))]
pub(super) async fn forget(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Answer<u64> {
    api.view.forget(&function, &caller.name).await.map(Json)
}

/// Lists records that a function could not handle.
#[utoipa::path(get, path = "/functions/{function}/dead-letters", tag = "dead letters", operation_id = "dead_letters",
    params(LettersAsk),
    responses(
        (status = 200, description = "The oldest first.", body = LettersPage),
        (status = 503, response = Problem),
    ))]
pub(super) async fn letters(
    State(api): State<Api>,
    Path(function): Path<String>,
    Asked(ask): Asked<LettersAsk>,
) -> Answer<LettersPage> {
    api.view.letters(&function, &ask).await.map(Json)
}

/// Sends dead letters back to the function.
#[utoipa::path(post, path = "/functions/{function}/dead-letters/redrive", tag = "dead letters",
    operation_id = "redrive_dead_letters", request_body = SettleAsk,
    responses(
        (status = 200, description = "How many it reads again.", body = Settled),
        (status = 503, response = Problem),
    ))]
pub(super) async fn redrive(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Json<Settled>, Response> {
    settle(&api, (&function, &caller), request, Fate::Redriven).await
}

/// Drops dead letters.
#[utoipa::path(post, path = "/functions/{function}/dead-letters/drop", tag = "dead letters",
    operation_id = "drop_dead_letters", request_body = SettleAsk,
    responses(
        (status = 200, description = "How many were dropped.", body = Settled),
        (status = 503, response = Problem),
    ))]
pub(super) async fn drop_letters(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    request: Request,
) -> Result<Json<Settled>, Response> {
    settle(&api, (&function, &caller), request, Fate::Dropped).await
}

async fn settle(
    api: &Api,
    (function, caller): (&str, &Caller),
    request: Request,
    fate: Fate,
) -> Result<Json<Settled>, Response> {
    let ask: SettleAsk = asked(api, request, "question").await?;
    api.view.settle(function, &ask, fate, &caller.name).await.map(Json).map_err(|refusal| refusal.into_response())
}
