//! Routes of data: topics and tables, looked into, exported, loaded, and all of it as a backup.

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::admission::Asked;
use super::document::Octets;
use super::{Answer, Api, failure, late};
use crate::bindings::tables::load::MOST_BYTES;
use crate::console::answers::{
    BackupAsk, Fault, Loaded, RecordsAsk, RecordsPage, Refusal, Rows, RowsAsk, TableSummary, TopicSummary,
};
use crate::console::problem::Problem;
use crate::console::scopes::Caller;
use crate::embedded::versions::Entry;

/// Lists topics.
///
/// Those of dead letters are among them, and the outboxes of tables that are kept elsewhere.
#[utoipa::path(get, path = "/topics", tag = "topics",
    responses((status = 200, description = "By name.", body = Vec<TopicSummary>)))]
pub(super) async fn topics(State(api): State<Api>) -> Answer<Vec<TopicSummary>> {
    api.view.topics().await.map(Json)
}

/// Gives records of a topic.
///
/// Whoever wants more asks anew for each partition, `from` behind the last offset that came.
#[utoipa::path(get, path = "/topics/{topic}/records", tag = "topics", params(RecordsAsk),
    responses((status = 200, description = "By partition and offset.", body = RecordsPage)))]
pub(super) async fn records(
    State(api): State<Api>,
    Path(topic): Path<String>,
    Asked(ask): Asked<RecordsAsk>,
) -> Answer<RecordsPage> {
    api.view.records(&topic, &ask).await.map(Json)
}

/// Lists tables.
#[utoipa::path(get, path = "/tables", tag = "tables",
    responses((status = 200, description = "By name.", body = Vec<TableSummary>)))]
pub(super) async fn tables(State(api): State<Api>) -> Answer<Vec<TableSummary>> {
    api.view.tables().await.map(Json)
}

/// Gives rows of a table.
///
/// Whoever wants more asks anew, with `offset` as many as came.
#[utoipa::path(get, path = "/tables/{table}/rows", tag = "tables", params(RowsAsk),
    responses((status = 200, description = "In the order that was asked for.", body = Rows)))]
pub(super) async fn rows(
    State(api): State<Api>,
    Path(table): Path<String>,
    Asked(ask): Asked<RowsAsk>,
) -> Result<Response, Refusal> {
    let make = async |ask: &RowsAsk| {
        // It is never closed.
        let _permit = api.answering.acquire().await;
        let rows = api.view.rows(&table, ask).await?;
        let told = serde_json::to_vec(&rows);
        told.map(Bytes::from).map_err(|error| Refusal::new(Fault::Store, format!("rows cannot be told: {error}")))
    };
    let told = match ask.shared {
        false => make(&ask).await?,
        true => api.shared.answer(format!("{table} {ask:?}"), api.events.number(), make(&ask)).await?,
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], told).into_response())
}

/// Exports a table, or what is asked of it, as a file.
#[utoipa::path(get, path = "/tables/{table}/export", tag = "tables", params(RowsAsk),
    responses(
        (status = 200, description = "The file, in the format that was asked for.", content(
            (String = "text/csv"),
            (serde_json::Value = "application/json"),
            (Octets = "application/vnd.apache.parquet"),
        )),
        (status = 503, response = Problem),
    ))]
pub(super) async fn export(
    State(api): State<Api>,
    Path(table): Path<String>,
    Asked(ask): Asked<RowsAsk>,
) -> Result<Response, Refusal> {
    let (format, pieces) = api.view.export(&table, &ask).await?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], Body::from_stream(pieces)).into_response())
}

/// Gives all data of this moment as one file.
///
/// It holds what is sensitive, too, and is given only where that is asked for.
#[utoipa::path(get, path = "/backup", tag = "host", params(BackupAsk),
    responses(
        (status = 200, description = "The backup.", body = Octets, content_type = "application/octet-stream"),
        (status = 503, response = Problem),
    ))]
pub(super) async fn backup(State(api): State<Api>, Asked(ask): Asked<BackupAsk>) -> Result<Response, Refusal> {
    let (bytes, pieces) = api.view.backup(&ask).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(bytes)),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Loads a CSV file into a table, all of it or nothing.
///
/// Functions that read the table read their input again. The file has at most 64 MiB.
#[utoipa::path(post, path = "/tables/{table}/load", tag = "tables",
    request_body(content = Octets, content_type = "application/octet-stream", description = "CSV with a header."),
    responses(
        (status = 200, description = "What was written.", body = Loaded),
        (status = 503, response = Problem),
    ))]
pub(super) async fn load(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(table): Path<String>,
    body: Body,
) -> Response {
    let too_large = || {
        let error = format!("the file is larger than {} MiB", MOST_BYTES >> 20);
        failure(StatusCode::PAYLOAD_TOO_LARGE, error, Some("load it in parts".to_owned()))
    };
    if body.size_hint().lower() > MOST_BYTES as u64 {
        return too_large();
    }
    let Ok(_loading) = api.loads.try_acquire() else {
        let busy = Refusal::new(Fault::Busy, "too many loads are going on");
        return busy.hint("try again when one of them is done").into_response();
    };
    let file = match tokio::time::timeout(api.body, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(file)) => file,
        Ok(Err(_)) => return too_large(),
        Err(_) => return late("file", api.body),
    };
    match api.view.load(&table, file).await {
        Ok(loaded) => {
            api.view.noted(Entry::done(&caller.name, &format!("load {table}"), "")).await;
            Json(loaded).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}
