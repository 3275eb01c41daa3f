//! Routes of sessions: a browser signs in with a link, sees what a viewer sees, signs out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::admission::SignedIn;
use super::{Answer, Api, asked, asked_within};
use crate::console::answers::{Fault, Refusal};
use crate::console::scopes::{Caller, Need};
use crate::deploys::OWNER;

/// Bytes of what a browser signs in with: whoever reaches the port can send it.
pub(super) const MOST_BYTES: usize = 1024;
/// For how long it may come.
const LONGEST: Duration = Duration::from_secs(5);

/// How a browser signs in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The secret of a link.
    code: String,
}

/// How much a session is to see.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewAs {
    as_viewer: bool,
}

/// Who asks, and what they may.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::console) struct Who {
    user: String,
    may: May,
    as_viewer: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct May {
    sensitive: bool,
    operate: bool,
    deploy: bool,
}

/// A link that signs a browser in.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::console) struct Link {
    pub(in crate::console) link: String,
}

/// The address that signs a browser in. What stands behind `#` is sent to nobody, and stands in no log.
pub(in crate::console) fn link(address: SocketAddr, code: &str) -> String {
    format!("http://{address}/#sign-in={code}")
}

fn who(caller: &Caller, as_viewer: bool) -> Who {
    let may = May {
        sensitive: caller.may(&Need::ReadSensitive),
        operate: caller.may(&Need::Operate),
        deploy: caller.may(&Need::DeploySome),
    };
    Who { user: caller.name.to_string(), may, as_viewer }
}

pub(super) async fn look(Extension(caller): Extension<Caller>, Extension(session): Extension<SignedIn>) -> Json<Who> {
    Json(who(&caller, session.0.is_some_and(|(session, _)| session.as_viewer)))
}

pub(super) async fn begin(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    let ask: SignIn = asked_within(api.body.min(LONGEST), request, "question").await?;
    let failed = |error: anyhow::Error| Refusal::new(Fault::Store, format!("{error:#}")).into_response();
    let Some((session, secret)) = api.sessions.begin(&ask.code, Instant::now()).map_err(failed)? else {
        let refusal = Refusal::new(Fault::SignedOut, "the link was used, or is too old");
        return Err(refusal.hint("`isobar open` prints another one").into_response());
    };
    let cookie = [(SET_COOKIE, api.sessions.set_cookie(Some(&secret)))];
    Ok((cookie, Json(who(&session.caller(), session.as_viewer))).into_response())
}

pub(super) async fn view_as(
    State(api): State<Api>,
    Extension(session): Extension<SignedIn>,
    request: Request,
) -> Result<Json<Who>, Response> {
    let ask: ViewAs = asked(&api, request, "question").await?;
    let found = session.0.and_then(|(_, secret)| api.sessions.view_as(&secret, ask.as_viewer));
    let session = found.ok_or_else(|| no_session().into_response())?;
    Ok(Json(who(&session.caller(), session.as_viewer)))
}

pub(super) async fn end(State(api): State<Api>, Extension(session): Extension<SignedIn>) -> Result<Response, Refusal> {
    let (_, secret) = session.0.ok_or_else(no_session)?;
    api.sessions.end(&secret);
    Ok(([(SET_COOKIE, api.sessions.set_cookie(None))], Json(serde_json::json!({}))).into_response())
}

pub(super) async fn make_link(State(api): State<Api>) -> Answer<Link> {
    let code = api.sessions.link(Caller::user(OWNER), Instant::now());
    let code = code.map_err(|error| Refusal::new(Fault::Store, format!("{error:#}")))?;
    Ok(Json(Link { link: link(api.address, &code) }))
}

fn no_session() -> Refusal {
    Refusal::new(Fault::Invalid, "a token asks, and not a browser that is signed in")
}
