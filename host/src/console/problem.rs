//! Why a request failed, as its answer tells it: RFC 9457, "Problem Details for HTTP APIs".

use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";
/// What `type` is where a problem is no more than its status says.
const NO_TYPE: &str = "about:blank";
/// Most bytes of words that are taken over from an answer that others made.
const MOST_WORDS: usize = 64 * 1024;

/// Why a request failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Problem {
    /// Which kind of problem: always `about:blank`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What the status means.
    pub(super) title: String,
    /// The status.
    pub(super) status: u16,
    /// What is wrong.
    pub(super) detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// How a browser can sign in here: `link`, `password`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sign_in: Vec<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Failed").to_owned();
        let (kind, status) = (NO_TYPE.to_owned(), status.as_u16());
        Problem { kind, title, status, detail: detail.into(), hint: None, sign_in: Vec::new() }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Problem { hint: Some(hint.into()), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = (status, axum::Json(self)).into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        answer
    }
}

/// The same answer, or the problem that it tells in other words: what a framework refuses is told like all else.
pub(super) async fn uniform(answer: Response) -> Response {
    let status = answer.status();
    let is_problem = answer.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == MEDIA_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let words = to_bytes(body, MOST_WORDS).await.unwrap_or_default();
    let words = match String::from_utf8_lossy(&words).trim() {
        "" => status.canonical_reason().unwrap_or("it failed").to_owned(),
        words => words.to_owned(),
    };
    let told = Problem::new(status, words).into_response();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(told.headers().clone());
    Response::from_parts(parts, told.into_body())
}
