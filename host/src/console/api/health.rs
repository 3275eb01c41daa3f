//! Routes for those who watch over the host: whether it is alive, whether it can work, and its numbers. On this machine
//! they need no token, and tell names of functions, topics and stores only; others learn without one whether it is alive and ready.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::console::answers::Refusal;
use crate::console::guard::Came;
use crate::console::metrics;
use crate::dispatch::{SourceStatus, Standing};
use crate::manifest::Application;

/// The text format of OpenMetrics, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the host answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether functions can work: their partitions are known, stores take what is written, and not all wait. What one function waits for
/// alone, as for a server that it asks, is its own affair. What is lacking is told on this machine only.
pub(super) async fn ready(State(api): State<Api>, Extension(came): Extension<Came>) -> (StatusCode, String) {
    let lacking = match api.view.standings() {
        None => "no function runs\n".to_owned(),
        Some(_) if api.view.is_joining() => "it is not known yet which partitions are this host's\n".to_owned(),
        Some(sources) => lacking(&api.view.application(), &sources),
    };
    match lacking.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false if !came.is_local => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, lacking),
    }
}

/// What is lacking, without the words of others.
fn lacking(application: &Application, sources: &[SourceStatus]) -> String {
    let waits = |source: &&SourceStatus| matches!(source.standing, Standing::Waiting { .. });
    let (functions, outboxes): (Vec<_>, Vec<_>) =
        sources.iter().partition(|source| application.functions.contains_key(&source.function));
    let all_wait = !functions.is_empty() && functions.iter().all(waits);
    let waiting = outboxes.into_iter().filter(waits).chain(functions.into_iter().filter(|_| all_wait));
    let told = waiting.map(|SourceStatus { function, source, partition, .. }| {
        format!("`{function}` waits, at `{source}`/{partition}: `isobar status` says for what\n")
    });
    told.collect()
}

/// The host's numbers.
pub(super) async fn numbers(State(api): State<Api>) -> Result<Response, Refusal> {
    let text = metrics::text(&api.view.application(), &api.view.standings().unwrap_or_default(), &api.view.around())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::samples;

    #[test]
    fn a_store_that_is_away_or_all_functions_that_wait_are_lacking_and_one_function_is_not() {
        let application = samples::application();
        let source = |function: &str, partition, waits| {
            samples::source(function, "orders", partition, |source| {
                if waits {
                    source.standing = Standing::Waiting { reason: "SECRET".into() };
                }
            })
        };
        let lacking = |sources: &[SourceStatus]| lacking(&application, sources);
        assert_eq!(lacking(&[source("count", 0, true), source("count", 1, false), source("postgres", 0, false)]), "");
        let told = lacking(&[source("count", 0, false), source("postgres", 0, true)]);
        assert!(told.starts_with("`postgres` waits") && told.lines().count() == 1, "{told}");
        let told = lacking(&[source("count", 0, true), source("count", 1, true)]);
        assert!(told.lines().count() == 2 && !told.contains("SECRET"), "{told}");
        assert_eq!(lacking(&[]), "");
    }
}
