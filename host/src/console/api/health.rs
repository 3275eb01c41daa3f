//! Routes for those who watch over the host: whether it is alive, whether it can work, and its numbers. They need no token and tell
//! names of functions, topics and stores only.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::console::answers::Refusal;
use crate::console::metrics;
use crate::dispatch::{SourceStatus, Standing};

/// The text format of OpenMetrics, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the host answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether everything that functions need is there.
pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, String) {
    let Some(sources) = api.view.standings() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no function runs\n".to_owned());
    };
    let lacking: String = sources.iter().filter_map(lacking).collect();
    match lacking.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, lacking),
    }
}

/// What a source lacks, without the words of others.
fn lacking(source: &SourceStatus) -> Option<String> {
    let is_waiting = matches!(source.standing, Standing::Waiting { .. });
    let SourceStatus { function, source, partition, .. } = source;
    is_waiting.then(|| format!("`{function}` waits, at `{source}`/{partition}: `isobar status` says for what\n"))
}

/// The host's numbers.
pub(super) async fn numbers(State(api): State<Api>) -> Result<Response, Refusal> {
    let text = metrics::text(&api.view.application(), &api.view.standings().unwrap_or_default())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
