//! A mirror of DWD's server of 10-minute air temperature, for demonstrations, tests and benchmarks: its layout, its
//! listing pages, its archives with ETag, Last-Modified, 304 and ranges, and its failures on request. It serves a
//! folder of real archives or made-up stations, which are generated while serving. It is no cache of the real server
//! and fetches nothing.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let mirror = dwd_mirror::Mirror::start(dwd_mirror::Options::made_up(6, 10.0)).await?;
//! println!("{}", mirror.url()); // http://127.0.0.1:…/10_minutes/air_temperature/
//! mirror.stop().await
//! # }
//! ```
//!
//! Besides DWD's paths the server has
//! - `POST /_misbehave?kind=…&path=…&count=…&ms=…` ([`Rule`], [`Kind`]), `DELETE /_misbehave`
//! - `GET /_requests` ([`Report`]), `DELETE /_requests`
//! - `GET /_clock`, `POST /_clock?advance_days=…&advance_minutes=…`

mod answer;
mod calendar;
mod catalogue;
mod chance;
mod clock;
mod conditional;
mod magnus;
mod misbehave;
mod options;
mod page;
mod requests;
mod rows;
mod server;
mod shelf;
mod stations;
mod weather;
mod zip;

pub use calendar::{SLOT_SECONDS, SLOTS_PER_DAY, Zone};
pub use catalogue::{ArchiveFile, Catalogue, RECENT_DAYS, archives, readings};
pub use clock::{PUBLISH_SECONDS, Published, RECENT_SECONDS};
pub use misbehave::{Kind, Rule};
pub use options::{DEFAULT_START, MAX_RECENT_EVERY_DAYS, MAX_SPEED, MAX_STATIONS, MAX_YEARS, MadeUp, Options, Source};
pub use requests::{Answered, Report};
pub use rows::ROW_BYTES;
pub use stations::{MARK, Station, stations, stations_csv};
pub use weather::{MISSING, Product, Reading};

use anyhow::{Context, Result};
use clock::Clock;
use server::Server;
use shelf::{BASE, Shelf};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long answers under way may take after the shutdown.
const GRACE: Duration = Duration::from_millis(200);

/// Serves until `shutdown` is done, then returns within a fraction of a second. The clock starts with the call.
/// Errors when the options are wrong or the folder cannot be read.
pub async fn serve(
    options: Options,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let (shelf, schedule) = Shelf::open(&options)?;
    serve_shelf(shelf, Clock::start(schedule), listener, shutdown).await
}

async fn serve_shelf(
    shelf: Shelf,
    clock: Clock,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let server = Arc::new(Server { shelf, clock, rules: Default::default(), requests: Default::default() });
    let (told, stopped) = oneshot::channel::<()>();
    let stopping = async move {
        shutdown.await;
        drop(told);
    };
    let serving = axum::serve(listener, server::router(server)).with_graceful_shutdown(stopping);
    tokio::select! {
        ended = serving.into_future() => ended.context("the mirror's listener failed"),
        () = async { let _ = stopped.await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// The address of the folder that holds `historical/`, `recent/` and `now/`.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}{BASE}")
}

/// A mirror in this process, on a free port of 127.0.0.1. Ends when dropped.
#[derive(Debug)]
pub struct Mirror {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Mirror {
    /// Errors when the options are wrong or no port is free.
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port of 127.0.0.1 is free")?;
        let address = listener.local_addr()?;
        let (shelf, schedule) = Shelf::open(&options)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve_shelf(shelf, Clock::start(schedule), listener, shutdown));
        Ok(Self { address, stop, task })
    }

    /// The folder that holds `historical/`, `recent/` and `now/`.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The server's root, without a slash: `{root}/_requests` and the like.
    pub fn root(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the mirror and waits for it.
    pub async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.task.await?
    }
}
