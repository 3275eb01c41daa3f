//! The listener that other machines reach: only where somebody is known who may ask there.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::guard::{Guard, Public};
use super::tls;
use super::users::Users;
use crate::clock::now_ms;
use crate::config::console::ConsoleConfig;
use crate::embedded::Store;

/// It, before it answers.
pub(super) struct Opened {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) guard: Guard,
    pub(super) tls: Option<TlsAcceptor>,
    /// What the operator should know.
    pub(super) warning: Option<String>,
}

/// Opens it where the operator says so.
///
/// # Errors
/// When nobody could ask there, the certificate cannot be used, or the address is taken.
pub(super) async fn open(store: &Store, users: &Users, console: &ConsoleConfig) -> anyhow::Result<Option<Opened>> {
    let Some((listen, tls)) = checked(store, users, console).await? else { return Ok(None) };
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on `{listen}`, as [console] says; is it of this machine, and free?"))?;
    let address = listener.local_addr()?;
    let is_read = tls.is_none() && !address.ip().is_loopback();
    let warning = is_read.then(|| match console.proxies.is_empty() {
        true => format!(
            "what is said to `{address}` can be read on the way, passwords and tokens, too: say `certificate` and `key` in [console], \
             or `proxies` where one speaks TLS in front of it"
        ),
        false => format!("who asks `{address}` past the proxies can be read on the way: let nobody reach it but them"),
    });
    let (names, proxies) = (console.names.clone(), console.proxies.clone());
    let public = Public { port: address.port(), names, is_secure: tls.is_some(), proxies };
    Ok(Some(Opened { listener, address, guard: Guard::Public(Arc::new(public)), tls, warning }))
}

/// Where it is to listen, and what proves its name, once somebody is known who could ask there.
pub(super) async fn checked(
    store: &Store,
    users: &Users,
    console: &ConsoleConfig,
) -> anyhow::Result<Option<(SocketAddr, Option<TlsAcceptor>)>> {
    let Some(listen) = console.listen else { return Ok(None) };
    anyhow::ensure!(
        knows_somebody(store, users).await?,
        "`listen` of [console] is `{listen}`, and nobody could ask there: there is no user, and no token\n  \
         hint: `isobar user add NAME --role viewer`, or [console.users.NAME] in isobar.toml; `isobar token create` for programs"
    );
    let tls = console.tls.as_ref().map(tls::acceptor).transpose()?;
    Ok(Some((listen, tls)))
}

async fn knows_somebody(store: &Store, users: &Users) -> anyhow::Result<bool> {
    let is_good = |expires_ms| now_ms() < expires_ms;
    Ok(users.are_there(store).await? || store.tokens().await?.iter().any(|token| is_good(token.expires_ms)))
}
