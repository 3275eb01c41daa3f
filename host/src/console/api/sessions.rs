//! Routes of sessions: a browser signs in with a link, sees what a viewer sees, signs out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admission::SignedIn;
use super::{Answer, Api, asked, asked_within};
use crate::console::answers::{Fault, Refusal};
use crate::console::guard::Came;
use crate::console::problem::Problem;
use crate::console::scopes::{Caller, Need};
use crate::console::sessions::{Session, set_cookie};
use crate::deploys::OWNER;

/// Bytes of what a browser signs in with: whoever reaches the port can send it.
pub(super) const MOST_BYTES: usize = 1024;
/// For how long it may come.
const LONGEST: Duration = Duration::from_secs(5);

/// How a browser signs in.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum SignIn {
    Link(WithLink),
    Password(WithPassword),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignInWithLink)]
struct WithLink {
    /// The secret of a link.
    code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignInWithPassword)]
struct WithPassword {
    /// Who.
    name: String,
    /// The password.
    password: String,
}

/// How much a session is to see.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ViewAs {
    /// Whether it is to see no more than a viewer does.
    as_viewer: bool,
}

/// Who asks, and what they may.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::console) struct Who {
    /// The name of the user or of the token.
    user: String,
    /// What they may.
    may: May,
    /// Whether they see no more than a viewer does.
    as_viewer: bool,
}

/// What someone may.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct May {
    /// See what is sensitive.
    sensitive: bool,
    /// Pause, resume, load tables, decide on dead letters.
    operate: bool,
    /// Deploy some function.
    deploy: bool,
}

/// Nothing but that it was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedOut {}

/// A link that signs a browser in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::console) struct Link {
    /// Its address.
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

/// Says who asks, and what they may.
#[utoipa::path(get, path = "/session", tag = "sessions", operation_id = "session",
    responses((status = 200, description = "Who asks.", body = Who)))]
pub(super) async fn look(Extension(caller): Extension<Caller>, Extension(session): Extension<SignedIn>) -> Json<Who> {
    Json(who(&caller, session.0.is_some_and(|(session, _)| session.as_viewer)))
}

/// Signs a browser in, with the secret of a link or with a password.
///
/// The cookie that comes with the answer is the session.
#[utoipa::path(post, path = "/session", tag = "sessions", operation_id = "sign_in", request_body = SignIn, security(()),
    responses(
        (status = 200, description = "Who is signed in now.", body = Who, headers(("set-cookie" = String))),
        (status = 429, response = Problem),
        (status = 503, response = Problem),
    ))]
pub(super) async fn begin(
    State(api): State<Api>,
    Extension(came): Extension<Came>,
    request: Request,
) -> Result<Response, Response> {
    let ask: SignIn = asked_within(api.body.min(LONGEST), request, "question").await?;
    let (session, secret) = signed_in(&api, ask, &came).await.map_err(IntoResponse::into_response)?;
    let cookie = [(SET_COOKIE, set_cookie(Some(&secret), &came))];
    Ok((cookie, Json(who(&session.caller(), session.as_viewer))).into_response())
}

async fn signed_in(api: &Api, ask: SignIn, came: &Came) -> Result<(Session, String), Refusal> {
    let failed = |error: anyhow::Error| Refusal::new(Fault::Store, format!("{error:#}"));
    match ask {
        // A link is printed for this machine's browser: whoever else comes by it is not let in.
        SignIn::Link(_) if !came.is_local => {
            let abroad = Refusal::new(Fault::SignedOut, "a link signs in on the host's machine only");
            Err(abroad.hint("sign in with a name and a password"))
        }
        SignIn::Link(WithLink { code }) => {
            let begun = api.sessions.begin(&code, came.port, Instant::now()).map_err(failed)?;
            let old = || Refusal::new(Fault::SignedOut, "the link was used, or is too old");
            begun.ok_or_else(|| old().hint("`isobar open` prints another one"))
        }
        SignIn::Password(WithPassword { name, password }) => {
            let known = api.users.sign_in(&api.view, (name, password), came.from).await?;
            let (session, secret) = api.sessions.begin_as(known.caller(), came.port, Instant::now()).map_err(failed)?;
            // Who was taken away meanwhile, or has another password, was signed out before there was this session.
            if let Err(gone) = api.users.is_still(&api.view, &known).await {
                api.sessions.end(&secret);
                return Err(gone);
            }
            Ok((session, secret))
        }
    }
}

/// Lets a session see what a viewer sees, or all again.
#[utoipa::path(post, path = "/session/view", tag = "sessions", request_body = ViewAs,
    responses((status = 200, description = "What the session may now.", body = Who)))]
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

/// Signs a browser out.
#[utoipa::path(post, path = "/session/end", tag = "sessions", operation_id = "sign_out",
    responses(
        (status = 200, description = "The session has ended.", body = SignedOut, headers(("set-cookie" = String))),
        (status = 400, response = Problem),
    ))]
pub(super) async fn end(
    State(api): State<Api>,
    Extension(session): Extension<SignedIn>,
    Extension(came): Extension<Came>,
) -> Result<Response, Refusal> {
    let (_, secret) = session.0.ok_or_else(no_session)?;
    api.sessions.end(&secret);
    Ok(([(SET_COOKIE, set_cookie(None, &came))], Json(SignedOut {})).into_response())
}

/// Makes a link that signs a browser in, once.
#[utoipa::path(post, path = "/session/links", tag = "sessions", operation_id = "create_sign_in_link",
    responses((status = 200, description = "The link.", body = Link)))]
pub(super) async fn make_link(State(api): State<Api>) -> Answer<Link> {
    let code = api.sessions.link(Caller::user(OWNER), Instant::now());
    let code = code.map_err(|error| Refusal::new(Fault::Store, format!("{error:#}")))?;
    Ok(Json(Link { link: link(api.address, &code) }))
}

fn no_session() -> Refusal {
    Refusal::new(Fault::Invalid, "a token asks, and not a browser that is signed in")
}
