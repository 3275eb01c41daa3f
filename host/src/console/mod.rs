//! What can be seen of an application from outside, and the HTTP API that shows it to whoever may ask.

pub mod answers;
mod api;
pub mod application;
mod backups;
pub mod client;
mod connections;
pub mod dashboard;
pub mod events;
mod guard;
mod letters;
mod metrics;
mod operate;
mod page;
pub mod passwords;
mod problem;
mod public;
#[cfg(test)]
mod samples;
pub mod scopes;
mod sessions;
mod shadows;
mod shared;
pub mod tables;
mod tls;
pub mod token;
mod tokens;
mod users;
mod versions;
pub mod view;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use futures::future::OptionFuture;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use connections::Patience;
pub(crate) use shadows::no_shadow;

use crate::config::console::ConsoleConfig;
use crate::deploys::OWNER;
use crate::embedded::Store;
use api::Doors;
pub use api::document;
use connections::Answering;
use events::Events;
use guard::Guard;
use scopes::Caller;
use sessions::Sessions;
use token::Access;
use users::Users;
use view::View;

/// The port where nothing else is said.
const PORT: u16 = 3000;
/// Ports that are tried after it: as many hosts on one machine are not meant.
const PORTS_TRIED: u16 = 100;

/// The API at work.
pub struct Serving {
    /// Where it listens for this machine.
    pub address: SocketAddr,
    /// Where it listens for others.
    pub public: Option<SocketAddr>,
    /// Where a browser signs in, once.
    pub link: String,
    /// What the operator should know.
    pub warning: Option<String>,
    /// Ends soon after the shutdown token is cancelled.
    pub task: JoinHandle<()>,
}

/// Where the API listens, who may sign in, and how long clients may let it wait.
#[derive(Debug, Clone, Default)]
pub struct Listening {
    /// For this machine; else on the first free port from 3000.
    pub here: Option<SocketAddr>,
    /// For others, and who they are.
    pub console: ConsoleConfig,
    /// How long is waited for a client.
    pub patience: Patience,
}

/// Serves the API. Its address for this machine and a new token are written into the data folder, and removed once `shutdown` is
/// cancelled.
///
/// # Errors
/// When an address is taken or not of this machine, when no port is free, the data folder cannot be written, or others would reach a host
/// that knows nobody.
pub async fn serve(view: Arc<View>, listening: Listening, shutdown: CancellationToken) -> anyhow::Result<Serving> {
    let Listening { here, console, patience } = listening;
    let users = Arc::new(Users::new(&console.users)?);
    let mut public = public::open(&view.store, &users, &console).await?;
    let listener = listener(here).await?;
    let access = Access::new(listener.local_addr()?)?;
    let address = access.address;
    let data_dir = view.store.folder().path().to_owned();
    access.write(&data_dir)?;
    let sessions = Arc::new(Sessions::default());
    let link = api::sessions::link(address, &sessions.link(Caller::user(OWNER), Instant::now())?);
    let (events, telling) = Events::begin(Arc::clone(&view), shutdown.clone());
    let doors = Doors { view, sessions, users, events, address, body: patience.body };
    let routes = api::router(&doors);
    let answering = |guard, tls| {
        let router = api::behind(guard, routes.clone(), &doors);
        Answering { router, tls, patience, shutdown: shutdown.clone() }
    };
    let warning = public.as_mut().and_then(|opened| opened.warning.take());
    let public_address = public.as_ref().map(|opened| opened.address);
    let here = connections::serve(listener, answering(Guard::Local(access), None));
    let elsewhere = public.map(|opened| connections::serve(opened.listener, answering(opened.guard, opened.tls)));
    let packing = tokio::task::spawn_blocking(page::pack);
    let task = tokio::spawn(async move {
        let _ = tokio::join!(here, OptionFuture::from(elsewhere), telling, packing);
        Access::remove(&data_dir);
    });
    Ok(Serving { address, public: public_address, link, warning, task })
}

/// Whether what isobar.toml says of users and of a listener for others can be: before anything else begins to work.
///
/// # Errors
/// As [`serve`], of those.
pub async fn check(store: &Store, console: &ConsoleConfig) -> anyhow::Result<()> {
    public::checked(store, &Users::new(&console.users)?, console).await.map(|_| ())
}

async fn listener(listen: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = listen {
        anyhow::ensure!(
            address.ip().is_loopback(),
            "`{address}` can be reached from other machines, and `--listen` is for this one\n  \
             hint: `listen = \"{address}\"` in [console] of isobar.toml is for others, who need a user or a token"
        );
        return TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on `{address}`; stop what uses it, or name another with `--listen`")
        });
    }
    for port in PORT..=PORT + PORTS_TRIED {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen on `127.0.0.1:{port}`")),
        }
    }
    anyhow::bail!("no port from {PORT} to {} is free; name one with `--listen`", PORT + PORTS_TRIED)
}
