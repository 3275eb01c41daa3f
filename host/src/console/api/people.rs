//! Routes of who may come in: users and tokens, made, listed, taken away, by the owner of the data folder.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};

use super::document::Done;
use super::{Answer, Api, asked};
use crate::console::answers::{Fault, NewToken, Refusal, TokenAsk, UserAsk};
use crate::embedded::tokens::Token;
use crate::embedded::users::User;

/// Lists users.
#[utoipa::path(get, path = "/users", tag = "access",
    responses((status = 200, description = "By name.", body = Vec<User>)))]
pub(super) async fn users(State(api): State<Api>) -> Answer<Vec<User>> {
    api.view.users().await.map(Json)
}

/// Adds a user.
#[utoipa::path(post, path = "/users", tag = "access", request_body = UserAsk,
    responses((status = 200, description = "The user.", body = User)))]
pub(super) async fn add_user(State(api): State<Api>, request: Request) -> Result<Json<User>, Response> {
    let ask: UserAsk = asked(&api, request, "question").await?;
    not_declared(&api, &ask.name).map_err(IntoResponse::into_response)?;
    api.view.add_user(&ask).await.map(Json).map_err(IntoResponse::into_response)
}

/// Takes a user away, and signs out whoever is signed in as it.
#[utoipa::path(post, path = "/users/{user}/remove", tag = "access",
    responses((status = 200, description = "There is no such user any more.", body = Done)))]
pub(super) async fn remove_user(State(api): State<Api>, Path(user): Path<String>) -> Answer<()> {
    not_declared(&api, &user)?;
    api.view.remove_user(&user).await?;
    api.sessions.end_of(&user);
    Ok(Json(()))
}

/// What `isobar.toml` says of a user counts, whatever the data folder says.
fn not_declared(api: &Api, name: &str) -> Result<(), Refusal> {
    if !api.users.is_declared(name) {
        return Ok(());
    }
    let declared = Refusal::new(Fault::Invalid, format!("isobar.toml names the user `{name}`, and that counts"));
    Err(declared.hint(format!("change [console.users.{name}] there, and start the host anew")))
}

/// Lists tokens.
#[utoipa::path(get, path = "/tokens", tag = "access",
    responses((status = 200, description = "By name.", body = Vec<Token>)))]
pub(super) async fn tokens(State(api): State<Api>) -> Answer<Vec<Token>> {
    api.view.tokens().await.map(Json)
}

/// Makes a token, which is told this once.
#[utoipa::path(post, path = "/tokens", tag = "access", request_body = TokenAsk,
    responses((status = 200, description = "The token.", body = NewToken)))]
pub(super) async fn create_token(State(api): State<Api>, request: Request) -> Result<Json<NewToken>, Response> {
    let ask: TokenAsk = asked(&api, request, "question").await?;
    api.view.create_token(&ask).await.map(Json).map_err(IntoResponse::into_response)
}

/// Takes a token away; who has it is turned away from then on.
#[utoipa::path(post, path = "/tokens/{token}/revoke", tag = "access",
    responses((status = 200, description = "The token is good for nothing any more.", body = Done)))]
pub(super) async fn revoke_token(State(api): State<Api>, Path(token): Path<String>) -> Answer<()> {
    api.view.revoke_token(&token).await.map(Json)
}
