//! The API's connections: how many there may be, and how long each may let the host wait. Whoever can reach the port,
//! token or not, can open one.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

/// Connections at one time, where the process may have enough files: each page has up to six. Who comes then waits.
const MOST_CONNECTIONS: usize = 1024;
/// The part of the files that a process may have open which connections may take: data and stores need some, too.
const PART_OF_FILES: u64 = 4;
/// Bytes of a request's headers: many times what a browser sends.
const MOST_HEADER_BYTES: usize = 64 * 1024;
/// How long answers that are under way may take once the host is told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// The wait after a connection that could not be taken, for want of files mostly.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// How long a client may let the host wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the headers of a request, the first or the next: a connection that asks nothing is closed after it.
    pub headers: Duration,
    /// For the body of a request, all of it.
    pub body: Duration,
    /// For taking any of what was sent: longer than a disk sleeps that the answer is written to.
    pub reading: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        // The largest body is 64 MiB, and it comes from the same machine.
        let (headers, body, reading) = (10, 60, 60);
        Patience {
            headers: Duration::from_secs(headers),
            body: Duration::from_secs(body),
            reading: Duration::from_secs(reading),
        }
    }
}

/// How many connections there may be.
pub(super) fn room() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / PART_OF_FILES;
    usize::try_from(files).unwrap_or(usize::MAX).clamp(1, MOST_CONNECTIONS)
}

/// A listener, and what is answered on it.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) router: Router,
    /// What proves the host's name; none where it speaks in the clear.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) patience: Patience,
    pub(super) shutdown: CancellationToken,
}

/// From where a request came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Answers on `listener` until told to stop, and for a moment after. Each listener has its own connections: others' take none of this
/// machine's.
pub(super) async fn serve(listener: TcpListener, answering: Answering) {
    let shutdown = answering.shutdown.clone();
    let room = Arc::new(Semaphore::new(room()));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let answering = answering.clone();
                connections.spawn(async move {
                    answering.take_up(stream, peer).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS, all).await.is_err() {
        // What they read from is let go of before the data are closed.
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip(), permit))
}

impl Answering {
    /// Answers on one connection until it ends; an error of it ends nothing else.
    async fn take_up(self, stream: TcpStream, peer: IpAddr) {
        // Below TLS, which holds back what is not taken.
        let stream = Impatient { stream, reading: self.patience.reading, stalled: None };
        let Some(tls) = self.tls.clone() else { return self.answer(stream, peer).await };
        match tokio::time::timeout(self.patience.headers, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, "a connection came without proper TLS"),
            Err(_) => tracing::debug!("a connection did not come to TLS in time"),
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, peer: IpAddr) {
        let Answering { router, patience, shutdown, .. } = self;
        let stream = TokioIo::new(stream);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(patience.headers).max_buf_size(MOST_HEADER_BYTES);
        let answering = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            router.clone().call(request)
        });
        let mut connection = pin!(http.serve_connection(stream, answering));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection of the API broke off");
        }
    }
}

/// A stream that breaks off when its other side takes nothing of what is sent for too long.
struct Impatient<S> {
    stream: S,
    reading: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, bytes) {
            self.stalled = None;
            return Poll::Ready(written);
        }
        let reading = self.reading;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(reading)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
