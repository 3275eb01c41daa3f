//! Where a command's answers come from: the running host, else the data folder itself.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::app;
use crate::cli::{DataArgs, PlaceArgs};
use crate::console::answers::{
    AuditAsk, DeployAsk, DiffAsk, LogsAsk, LogsPage, ManifestView, PromoteAsk, ReplayAsk, RollbackAsk, ShadowAsk,
};
use crate::console::answers::{BackupAsk, LettersAsk, LettersPage, Loaded, RecordsAsk, RecordsPage, Rows, RowsAsk};
use crate::console::answers::{
    NewToken, SettleAsk, Settled, StateAsk, StatePage, Status, TableSummary, TokenAsk, TopicSummary, UserAsk,
};
use crate::console::client::Client;
use crate::console::no_shadow;
use crate::console::view::View;
use crate::deploys::{OWNER, Taken, VersionSummary};
use crate::embedded::tokens::Token;
use crate::embedded::users::User;
use crate::embedded::versions::{Entry, Look};
use crate::embedded::{Fate, Folder, InUse, LedgerReport, Store};
use crate::manifest::{self, Application};
use crate::shadows::Comparison;

/// Who answers.
pub(super) enum Reach {
    /// The host that uses the data folder.
    Host(Client),
    /// The data folder, which no host uses.
    Folder(View),
}

impl Reach {
    /// Finds who answers for the data that are meant.
    pub(super) async fn open(place: &PlaceArgs) -> anyhow::Result<Self> {
        let path = place.data.folder();
        // The lock first: what a host that was killed left may name a port that is another user's now.
        let folder = match take(&path, &place.data) {
            Err(error) if error.is::<InUse>() => {
                return Client::find(&path).await.map(Reach::Host).ok_or(error);
            }
            folder => folder?,
        };
        let config = super::config(place.config.config.as_deref())?;
        let mut application = match &config.kafka {
            Some(_) => super::manifest(&place.manifest.manifest)?.0,
            None => resting(&folder, place).await?,
        };
        let stores = app::stores(&mut application, &config)?;
        let cluster = match &config.kafka {
            Some(kafka) => Some(app::visit(kafka, &folder, &mut application).await?),
            None => {
                folder.belongs_to(None)?;
                None
            }
        };
        let store = Store::open_with(folder, Arc::new(application), stores).await?;
        Ok(Reach::Folder(View::new(Arc::new(store), None).with_log(cluster)))
    }

    pub(super) async fn close(self) {
        if let Reach::Folder(view) = self {
            view.close().await;
        }
    }

    pub(super) async fn link(&self) -> anyhow::Result<String> {
        match self {
            Reach::Host(client) => client.link().await,
            Reach::Folder(_) => {
                anyhow::bail!(
                    "no host runs on this data folder\n  hint: `isobar up` starts one, and prints a link itself"
                )
            }
        }
    }

    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        match self {
            Reach::Host(client) => client.status().await,
            Reach::Folder(view) => Ok(view.status().await?),
        }
    }

    pub(super) async fn verify(&self) -> anyhow::Result<LedgerReport> {
        match self {
            Reach::Host(client) => client.verify().await,
            Reach::Folder(view) => Ok(view.verify().await?),
        }
    }

    pub(super) async fn topics(&self) -> anyhow::Result<Vec<TopicSummary>> {
        match self {
            Reach::Host(client) => client.topics().await,
            Reach::Folder(view) => Ok(view.topics().await?),
        }
    }

    pub(super) async fn records(&self, topic: &str, ask: &RecordsAsk) -> anyhow::Result<RecordsPage> {
        match self {
            Reach::Host(client) => client.records(topic, ask).await,
            Reach::Folder(view) => Ok(view.records(topic, ask).await?),
        }
    }

    pub(super) async fn tables(&self) -> anyhow::Result<Vec<TableSummary>> {
        match self {
            Reach::Host(client) => client.tables().await,
            Reach::Folder(view) => Ok(view.tables().await?),
        }
    }

    pub(super) async fn rows(&self, table: &str, ask: &RowsAsk) -> anyhow::Result<Rows> {
        match self {
            Reach::Host(client) => client.rows(table, ask).await,
            Reach::Folder(view) => Ok(view.rows(table, ask).await?),
        }
    }

    pub(super) async fn export(
        &self,
        table: &str,
        ask: &RowsAsk,
    ) -> anyhow::Result<BoxStream<'static, anyhow::Result<Vec<u8>>>> {
        match self {
            Reach::Host(client) => client.export(table, ask).await,
            Reach::Folder(view) => Ok(view.export(table, ask).await?.1.map_err(anyhow::Error::from).boxed()),
        }
    }

    pub(super) async fn pause(&self, function: &str) -> anyhow::Result<()> {
        match self {
            Reach::Host(client) => client.pause(function).await,
            Reach::Folder(view) => Ok(view.pause(function).await?),
        }
    }

    pub(super) async fn resume(&self, function: &str) -> anyhow::Result<()> {
        match self {
            Reach::Host(client) => client.resume(function).await,
            Reach::Folder(view) => Ok(view.resume(function).await?),
        }
    }

    pub(super) async fn versions(&self, function: &str) -> anyhow::Result<Vec<VersionSummary>> {
        match self {
            Reach::Host(client) => client.versions(function).await,
            Reach::Folder(view) => Ok(view.versions(function).await?),
        }
    }

    pub(super) async fn diff(&self, function: &str, ask: &DiffAsk) -> anyhow::Result<Vec<String>> {
        match self {
            Reach::Host(client) => client.diff(function, ask).await,
            Reach::Folder(view) => Ok(view.diff(function, ask).await?),
        }
    }

    pub(super) async fn pull(&self) -> anyhow::Result<ManifestView> {
        match self {
            Reach::Host(client) => client.manifest().await,
            Reach::Folder(view) => Ok(view.manifest().await?),
        }
    }

    pub(super) async fn audit(&self, ask: &AuditAsk) -> anyhow::Result<Vec<Entry>> {
        match self {
            Reach::Host(client) => client.audit(ask).await,
            Reach::Folder(view) => Ok(view.audit(ask).await?),
        }
    }

    pub(super) async fn deploy(&self, ask: DeployAsk) -> anyhow::Result<Vec<Taken>> {
        match self {
            Reach::Host(client) => client.deploy(&ask).await,
            Reach::Folder(view) => Ok(view.deploy(ask, OWNER).await?),
        }
    }

    pub(super) async fn roll_back(&self, function: &str, ask: RollbackAsk) -> anyhow::Result<Taken> {
        match self {
            Reach::Host(client) => client.roll_back(function, &ask).await,
            Reach::Folder(view) => Ok(view.roll_back(function, &ask, OWNER).await?),
        }
    }

    pub(super) async fn remove(&self, function: &str) -> anyhow::Result<String> {
        match self {
            Reach::Host(client) => client.remove(function).await,
            Reach::Folder(view) => Ok(view.remove(function, OWNER).await?),
        }
    }

    pub(super) async fn shadow(&self, function: &str, ask: &ShadowAsk) -> anyhow::Result<Comparison> {
        let found = match self {
            Reach::Host(client) => client.shadow(function, ask).await?,
            Reach::Folder(view) => view.shadow(function, ask).await?,
        };
        found.ok_or_else(|| no_shadow(function).into())
    }

    pub(super) async fn promote(&self, function: &str, ask: &PromoteAsk) -> anyhow::Result<Taken> {
        match self {
            Reach::Host(client) => client.promote(function, ask).await,
            Reach::Folder(view) => Ok(view.promote(function, ask, OWNER).await?),
        }
    }

    pub(super) async fn replay(&self, function: &str, ask: &ReplayAsk) -> anyhow::Result<Taken> {
        match self {
            Reach::Host(client) => client.replay(function, ask).await,
            Reach::Folder(view) => Ok(view.replay(function, ask, OWNER).await?),
        }
    }

    pub(super) async fn drop_shadow(&self, function: &str) -> anyhow::Result<()> {
        match self {
            Reach::Host(client) => client.drop_shadow(function).await,
            Reach::Folder(view) => Ok(view.drop_shadow(function, OWNER).await?),
        }
    }

    pub(super) async fn run(&self, function: &str) -> anyhow::Result<()> {
        match self {
            Reach::Host(client) => client.run(function).await,
            Reach::Folder(view) => Ok(view.run(function).await?),
        }
    }

    pub(super) async fn forget(&self, function: &str) -> anyhow::Result<u64> {
        match self {
            Reach::Host(client) => client.forget(function).await,
            Reach::Folder(view) => Ok(view.forget(function, OWNER).await?),
        }
    }

    pub(super) async fn state(&self, function: &str, ask: &StateAsk) -> anyhow::Result<StatePage> {
        match self {
            Reach::Host(client) => client.state(function, ask).await,
            Reach::Folder(view) => Ok(view.state(function, ask).await?),
        }
    }

    pub(super) async fn logs(&self, ask: &LogsAsk) -> anyhow::Result<LogsPage> {
        match self {
            Reach::Host(client) => client.logs(ask).await,
            Reach::Folder(view) => Ok(view.logs(ask).await?),
        }
    }

    pub(super) async fn tokens(&self) -> anyhow::Result<Vec<Token>> {
        match self {
            Reach::Host(client) => client.tokens().await,
            Reach::Folder(view) => Ok(view.tokens().await?),
        }
    }

    pub(super) async fn create_token(&self, ask: &TokenAsk) -> anyhow::Result<NewToken> {
        match self {
            Reach::Host(client) => client.create_token(ask).await,
            Reach::Folder(view) => Ok(view.create_token(ask).await?),
        }
    }

    pub(super) async fn revoke_token(&self, name: &str) -> anyhow::Result<()> {
        match self {
            Reach::Host(client) => client.revoke_token(name).await,
            Reach::Folder(view) => Ok(view.revoke_token(name).await?),
        }
    }

    pub(super) async fn users(&self) -> anyhow::Result<Vec<User>> {
        match self {
            Reach::Host(client) => client.users().await,
            Reach::Folder(view) => Ok(view.users().await?),
        }
    }

    pub(super) async fn add_user(&self, ask: &UserAsk) -> anyhow::Result<User> {
        match self {
            Reach::Host(client) => client.add_user(ask).await,
            Reach::Folder(view) => Ok(view.add_user(ask).await?),
        }
    }

    pub(super) async fn remove_user(&self, name: &str) -> anyhow::Result<()> {
        match self {
            Reach::Host(client) => client.remove_user(name).await,
            Reach::Folder(view) => Ok(view.remove_user(name).await?),
        }
    }

    pub(super) async fn letters(&self, function: &str, ask: &LettersAsk) -> anyhow::Result<LettersPage> {
        match self {
            Reach::Host(client) => client.letters(function, ask).await,
            Reach::Folder(view) => Ok(view.letters(function, ask).await?),
        }
    }

    pub(super) async fn settle(&self, function: &str, ask: &SettleAsk, fate: Fate) -> anyhow::Result<Settled> {
        match self {
            Reach::Host(client) => client.settle(function, ask, fate).await,
            Reach::Folder(view) => Ok(view.settle(function, ask, fate, OWNER).await?),
        }
    }

    /// All data as a backup, and how many bytes that are.
    pub(super) async fn backup(&self) -> anyhow::Result<(u64, BoxStream<'static, anyhow::Result<Vec<u8>>>)> {
        match self {
            Reach::Host(client) => client.backup().await,
            Reach::Folder(view) => {
                let (bytes, pieces) = view.backup(&BackupAsk { sensitive: true }).await?;
                Ok((bytes, pieces.map_err(anyhow::Error::from).boxed()))
            }
        }
    }

    /// The name of the application.
    pub(super) async fn application(&self) -> anyhow::Result<String> {
        match self {
            Reach::Host(client) => client.application().await,
            Reach::Folder(view) => Ok(view.application().name.clone()),
        }
    }

    pub(super) async fn load(&self, table: &str, file: Bytes) -> anyhow::Result<Loaded> {
        match self {
            Reach::Host(client) => client.load(table, file).await,
            Reach::Folder(view) => Ok(view.load(table, file).await?),
        }
    }
}

/// The application that runs when a host is started, by what was deployed; where nothing was, by the manifest.
async fn resting(folder: &Folder, place: &PlaceArgs) -> anyhow::Result<Application> {
    let mut deployed = None;
    if let Some(mut look) = Look::into(folder).await? {
        deployed = look.deployed().await?;
        look.close().await;
    }
    match deployed {
        Some(deployed) => manifest::parse(&deployed.manifest)
            .map_err(|problems| anyhow::anyhow!(super::rendered(&problems, folder.path()).join("\n"))),
        None => Ok(super::manifest(&place.manifest.manifest)?.0),
    }
}

/// Takes the folder, and says where the demo's data are if those may have been meant.
fn take(path: &Path, data: &DataArgs) -> anyhow::Result<Folder> {
    let demo = data.demo_folder().filter(|demo| Folder::holds_data(demo) && !Folder::holds_data(path));
    match (Folder::take_existing(path), demo) {
        (Err(error), Some(demo)) => {
            anyhow::bail!("{error:#}\n  hint: the demo's data are in `{}`; add `--demo`", demo.display())
        }
        (folder, _) => folder,
    }
}
