//! What can be seen of an application from outside, and the HTTP API that shows it to whoever has the token.

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
#[cfg(test)]
mod samples;
pub mod scopes;
mod sessions;
mod shadows;
mod shared;
pub mod tables;
pub mod token;
mod tokens;
mod versions;
pub mod view;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use connections::Patience;

use crate::deploys::OWNER;
use api::Doors;
use events::Events;
use guard::Guard;
use scopes::Caller;
use sessions::Sessions;
use token::Access;
use view::View;

/// The port where nothing else is said.
const PORT: u16 = 3000;
/// Ports that are tried after it: as many hosts on one machine are not meant.
const PORTS_TRIED: u16 = 100;

/// The API at work.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where a browser signs in, once.
    pub link: String,
    /// Ends soon after the shutdown token is cancelled.
    pub task: JoinHandle<()>,
}

/// Serves the API: on `listen`, else on the first free port from 3000. The address and a new token are written into
/// the data folder, and removed once `shutdown` is cancelled.
///
/// # Errors
/// When `listen` is taken or not of this machine, when no port is free, or the data folder cannot be written.
pub async fn serve(
    view: Arc<View>,
    listen: Option<SocketAddr>,
    shutdown: CancellationToken,
) -> anyhow::Result<Serving> {
    serve_within(view, listen, Patience::default(), shutdown).await
}

/// As [`serve`], with another patience.
///
/// # Errors
/// As [`serve`].
pub async fn serve_within(
    view: Arc<View>,
    listen: Option<SocketAddr>,
    patience: Patience,
    shutdown: CancellationToken,
) -> anyhow::Result<Serving> {
    let listener = listener(listen).await?;
    let access = Access::new(listener.local_addr()?)?;
    let address = access.address;
    let data_dir = view.store.folder().path().to_owned();
    access.write(&data_dir)?;
    let packing = tokio::task::spawn_blocking(page::pack);
    let sessions = Arc::new(Sessions::new(address.port()));
    let link = api::sessions::link(address, &sessions.link(Caller::user(OWNER), Instant::now())?);
    let (events, telling) = Events::begin(Arc::clone(&view), shutdown.clone());
    let router = api::router(view, Doors { guard: Guard::new(access), sessions, events, address }, patience.body);
    let task = tokio::spawn(async move {
        let _ = tokio::join!(connections::serve(listener, router, patience, shutdown), telling, packing);
        Access::remove(&data_dir);
    });
    Ok(Serving { address, link, task })
}

async fn listener(listen: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = listen {
        anyhow::ensure!(
            address.ip().is_loopback(),
            "`{address}` can be reached from other machines, and the API is for this one only for now\n  \
             hint: listen on `127.0.0.1:{}`",
            address.port()
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
