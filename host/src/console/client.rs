//! The running host, as commands ask it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answers::{
    AuditAsk, DeployAsk, DiffAsk, LogsAsk, LogsPage, ManifestView, PromoteAsk, ReplayAsk, RollbackAsk, ShadowAsk,
};
use super::answers::{BackupAsk, LettersAsk, LettersPage, Loaded, RecordsAsk, RecordsPage, Rows, RowsAsk};
use super::answers::{
    NewToken, SettleAsk, Settled, StateAsk, StatePage, Status, TableSummary, TokenAsk, TopicSummary, UserAsk,
};
use super::api::Greeting;
use super::api::sessions::Link;
use super::problem::Problem;
use super::token::Access;
use crate::deploys::{Taken, VersionSummary};
use crate::embedded::tokens::Token;
use crate::embedded::users::User;
use crate::embedded::versions::Entry;
use crate::embedded::{Fate, LedgerReport};
use crate::shadows::Comparison;

/// The environment variable that holds another token than the one in the data folder.
const TOKEN: &str = "ISOBAR_TOKEN";
/// How long a host on this machine may take to say that it is there.
const GREETING: Duration = Duration::from_secs(5);
/// The longest silence of a host that works on an answer: a walk over a long ledger says nothing until its end.
const SILENCE: Duration = Duration::from_secs(600);
/// As [`SILENCE`], of a backup: all data are copied before its first byte comes, however slow the disk is.
const BACKUP_SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why an answer cannot be understood.
const OTHER_VERSION: &str = "the running host is of another version; use the `isobar` that it is";

/// A host that answered.
pub struct Client {
    http: reqwest::Client,
    access: Access,
}

impl Client {
    /// The host that uses the data folder, if one answers. Whoever listens where it said is told the token: only to be
    /// asked while a process has the folder's lock.
    pub async fn find(data_dir: &Path) -> Option<Self> {
        let mut access = Access::read(data_dir)?;
        let mut is_other = false;
        if let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) {
            access.token = token;
            is_other = true;
        }
        let client = Client { http: http(SILENCE).ok()?, access };
        let greeting = tokio::time::timeout(GREETING, client.get::<Greeting>("", &())).await;
        // Who has another token is told what is wrong with it by what is asked next.
        let is_there = matches!(greeting, Ok(Ok(_))) || (is_other && greeting.is_ok());
        is_there.then_some(client)
    }

    /// A link that signs a browser in, once.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn link(&self) -> anyhow::Result<String> {
        Ok(self.post::<Link>("/session/links", &()).await?.link)
    }

    /// As [`super::view::View::status`].
    ///
    /// # Errors
    /// What the host says, or that it went away; so with all others.
    pub async fn status(&self) -> anyhow::Result<Status> {
        self.get("/status", &()).await
    }

    /// As [`super::view::View::verify`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn verify(&self) -> anyhow::Result<LedgerReport> {
        self.get("/verify", &()).await
    }

    /// As [`super::view::View::topics`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn topics(&self) -> anyhow::Result<Vec<TopicSummary>> {
        self.get("/topics", &()).await
    }

    /// As [`super::view::View::records`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn records(&self, topic: &str, ask: &RecordsAsk) -> anyhow::Result<RecordsPage> {
        self.get(&format!("/topics/{}/records", segment(topic)), ask).await
    }

    /// As [`super::view::View::tables`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn tables(&self) -> anyhow::Result<Vec<TableSummary>> {
        self.get("/tables", &()).await
    }

    /// As [`super::view::View::rows`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn rows(&self, table: &str, ask: &RowsAsk) -> anyhow::Result<Rows> {
        self.get(&format!("/tables/{}/rows", segment(table)), ask).await
    }

    /// As [`super::view::View::export`].
    ///
    /// # Errors
    /// As [`Client::status`]; the stream ends with an error when the export broke off.
    pub async fn export(
        &self,
        table: &str,
        ask: &RowsAsk,
    ) -> anyhow::Result<BoxStream<'static, anyhow::Result<Vec<u8>>>> {
        let answer = self.ask(&format!("/tables/{}/export", segment(table)), ask).await?;
        Ok(answer.bytes_stream().map_ok(|b| b.to_vec()).map_err(|e| gone(e).context("the export broke off")).boxed())
    }

    /// As [`super::view::View::backup`].
    ///
    /// # Errors
    /// As [`Client::status`]; the stream ends with an error when the backup broke off.
    pub async fn backup(&self) -> anyhow::Result<(u64, BoxStream<'static, anyhow::Result<Vec<u8>>>)> {
        let patient = Client { http: http(BACKUP_SILENCE)?, access: self.access.clone() };
        let answer = patient.ask("/backup", &BackupAsk { sensitive: true }).await?;
        let bytes = answer.content_length().context(OTHER_VERSION)?;
        let pieces = answer.bytes_stream().map_ok(|b| b.to_vec()).map_err(|e| gone(e).context("the backup broke off"));
        Ok((bytes, pieces.boxed()))
    }

    /// The name of the application that the host runs.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn application(&self) -> anyhow::Result<String> {
        Ok(self.get::<Greeting>("", &()).await?.application)
    }

    /// As [`super::view::View::load`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn load(&self, table: &str, file: Bytes) -> anyhow::Result<Loaded> {
        let url = self.url(&format!("/tables/{}/load", segment(table)));
        let sent = self.http.post(url).bearer_auth(&self.access.token).body(file).send().await;
        read(accepted(sent.map_err(gone)?).await?).await
    }

    /// As [`super::view::View::pause`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn pause(&self, function: &str) -> anyhow::Result<()> {
        self.post(&format!("/functions/{}/pause", segment(function)), &()).await
    }

    /// As [`super::view::View::resume`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn resume(&self, function: &str) -> anyhow::Result<()> {
        self.post(&format!("/functions/{}/resume", segment(function)), &()).await
    }

    /// As [`super::view::View::letters`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn letters(&self, function: &str, ask: &LettersAsk) -> anyhow::Result<LettersPage> {
        self.get(&format!("/functions/{}/dead-letters", segment(function)), ask).await
    }

    /// As [`super::view::View::settle`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn settle(&self, function: &str, ask: &SettleAsk, fate: Fate) -> anyhow::Result<Settled> {
        let verb = match fate {
            Fate::Redriven => "redrive",
            Fate::Dropped => "drop",
        };
        self.post(&format!("/functions/{}/dead-letters/{verb}", segment(function)), ask).await
    }

    /// As [`super::view::View::versions`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn versions(&self, function: &str) -> anyhow::Result<Vec<VersionSummary>> {
        self.get(&format!("/functions/{}/versions", segment(function)), &()).await
    }

    /// As [`super::view::View::diff`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn diff(&self, function: &str, ask: &DiffAsk) -> anyhow::Result<Vec<String>> {
        self.get(&format!("/functions/{}/diff", segment(function)), ask).await
    }

    /// As [`super::view::View::manifest`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn manifest(&self) -> anyhow::Result<ManifestView> {
        self.get("/manifest", &()).await
    }

    /// As [`super::view::View::audit`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn audit(&self, ask: &AuditAsk) -> anyhow::Result<Vec<Entry>> {
        self.get("/audit", ask).await
    }

    /// As [`super::view::View::deploy`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn deploy(&self, ask: &DeployAsk) -> anyhow::Result<Vec<Taken>> {
        self.post("/deploys", ask).await
    }

    /// As [`super::view::View::roll_back`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn roll_back(&self, function: &str, ask: &RollbackAsk) -> anyhow::Result<Taken> {
        self.post(&format!("/functions/{}/rollback", segment(function)), ask).await
    }

    /// As [`super::view::View::remove`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn remove(&self, function: &str) -> anyhow::Result<String> {
        self.post(&format!("/functions/{}/remove", segment(function)), &()).await
    }

    /// As [`super::view::View::shadow`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn shadow(&self, function: &str, ask: &ShadowAsk) -> anyhow::Result<Option<Comparison>> {
        self.get(&format!("/functions/{}/shadow", segment(function)), ask).await
    }

    /// As [`super::view::View::promote`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn promote(&self, function: &str, ask: &PromoteAsk) -> anyhow::Result<Taken> {
        self.post(&format!("/functions/{}/shadow/promote", segment(function)), ask).await
    }

    /// As [`super::view::View::replay`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn replay(&self, function: &str, ask: &ReplayAsk) -> anyhow::Result<Taken> {
        self.post(&format!("/functions/{}/replay", segment(function)), ask).await
    }

    /// As [`super::view::View::run`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn run(&self, function: &str) -> anyhow::Result<()> {
        self.post(&format!("/functions/{}/run", segment(function)), &()).await
    }

    /// As [`super::view::View::forget`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn forget(&self, function: &str) -> anyhow::Result<u64> {
        self.post(&format!("/functions/{}/state/delete", segment(function)), &()).await
    }

    /// As [`super::view::View::state`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn state(&self, function: &str, ask: &StateAsk) -> anyhow::Result<StatePage> {
        self.get(&format!("/functions/{}/state", segment(function)), ask).await
    }

    /// As [`super::view::View::logs`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn logs(&self, ask: &LogsAsk) -> anyhow::Result<LogsPage> {
        self.get("/logs", ask).await
    }

    /// As [`super::view::View::tokens`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn tokens(&self) -> anyhow::Result<Vec<Token>> {
        self.get("/tokens", &()).await
    }

    /// As [`super::view::View::create_token`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn create_token(&self, ask: &TokenAsk) -> anyhow::Result<NewToken> {
        self.post("/tokens", ask).await
    }

    /// As [`super::view::View::revoke_token`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn revoke_token(&self, name: &str) -> anyhow::Result<()> {
        self.post(&format!("/tokens/{}/revoke", segment(name)), &()).await
    }

    /// As [`super::view::View::users`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn users(&self) -> anyhow::Result<Vec<User>> {
        self.get("/users", &()).await
    }

    /// As [`super::view::View::add_user`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn add_user(&self, ask: &UserAsk) -> anyhow::Result<User> {
        self.post("/users", ask).await
    }

    /// As [`super::view::View::remove_user`], and ends the user's sessions.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn remove_user(&self, name: &str) -> anyhow::Result<()> {
        self.post(&format!("/users/{}/remove", segment(name)), &()).await
    }

    /// As [`super::view::View::drop_shadow`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn drop_shadow(&self, function: &str) -> anyhow::Result<()> {
        self.post(&format!("/functions/{}/shadow/drop", segment(function)), &()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let request = self.http.post(self.url(path)).bearer_auth(&self.access.token);
        let request = request.header("content-type", "application/json").body(serde_json::to_vec(body)?);
        read(accepted(request.send().await.map_err(gone)?).await?).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, ask: &impl Serialize) -> anyhow::Result<T> {
        read(self.ask(path, ask).await?).await
    }

    async fn ask(&self, path: &str, ask: &impl Serialize) -> anyhow::Result<Response> {
        let request = self.http.get(self.url(path)).query(ask).bearer_auth(&self.access.token);
        accepted(request.send().await.map_err(gone)?).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.access.address)
    }
}

fn http(silence: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().read_timeout(silence).build()
}

async fn read<T: DeserializeOwned>(answer: Response) -> anyhow::Result<T> {
    let body = answer.bytes().await.map_err(gone)?;
    serde_json::from_slice(&body).context(OTHER_VERSION)
}

/// Turns a refusal into an error that reads as if there were no HTTP between.
async fn accepted(answer: Response) -> anyhow::Result<Response> {
    if answer.status() == StatusCode::OK {
        return Ok(answer);
    }
    let status = answer.status();
    let body = answer.bytes().await.map_err(gone)?;
    match serde_json::from_slice::<Problem>(&body) {
        Ok(Problem { detail, hint: Some(hint), .. }) => anyhow::bail!("{detail}\n  hint: {hint}"),
        Ok(Problem { detail, .. }) => anyhow::bail!("{detail}"),
        Err(_) => anyhow::bail!("the running host answered {status}"),
    }
}

fn gone(error: reqwest::Error) -> anyhow::Error {
    anyhow::Error::from(error.without_url()).context("the running host does not answer any more")
}

/// A name as one part of a path, whatever it holds.
fn segment(name: &str) -> String {
    name.bytes().fold(String::new(), |mut path, b| {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => path.push(char::from(b)),
            b'.' if name.bytes().any(|b| b != b'.') => path.push('.'),
            other => path.push_str(&format!("%{other:02X}")),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_part_of_a_path() {
        assert_eq!(segment("shop.count.dead-letters"), "shop.count.dead-letters");
        assert_eq!(segment("a/b?c d"), "a%2Fb%3Fc%20d");
        assert_eq!(segment(".."), "%2E%2E");
    }
}
