//! One request over one connection, to an address that was checked: the name is looked up once, and what was found is
//! what is connected to. Follows wasmtime-wasi-http's own sending, which looks names up unchecked, in protocol and errors.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tower_service::Service as _;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, Result, WasiBody};

use super::addresses::prohibited;
use super::limits::Bounded;
use crate::engine::output::Output;
use crate::manifest::outbound::{Host, Target};

/// Finds the addresses of a name; an argument, so that tests need no name server.
pub(super) type LookUp = fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

/// Where there is a proxy, names that are not looked up within this time are left to it.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// How a server is found.
#[derive(Clone, Copy)]
pub(super) struct Way<'w> {
    pub(super) look_up: LookUp,
    /// The operator's proxy, for `https` names. Literal addresses are reached without it: they are inside the network.
    pub(super) proxy: Option<&'w Uri>,
    /// Set once somebody is reached, who may still say nothing.
    pub(super) is_reached: &'w AtomicBool,
}

/// Bytes to and from a server, plain or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Whether nobody was reached because the network, the server or the proxy is away, which may pass; not because there is no
/// such name, or it may not be reached.
pub(super) fn is_away(error: &Error) -> bool {
    const AWAY: [io::ErrorKind; 6] = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::NetworkDown,
        io::ErrorKind::AddrNotAvailable,
        io::ErrorKind::TimedOut,
    ];
    let Error::Connect(error) = error else { return matches!(error, Error::ConnectionTimeout) };
    let causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    // A proxy's failure wraps that of the connection.
    let mut kinds = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.any(|kind| AWAY.contains(&kind)) || is_no_answer_of_a_name_server(error)
}

/// Rust's library has no kind for `EAI_AGAIN`, only its text, by glibc or musl.
fn is_no_answer_of_a_name_server(error: &io::Error) -> bool {
    let text = error.to_string();
    text.ends_with("Temporary failure in name resolution") || text.ends_with("Try again")
}

/// What a request carries.
type Sent = Bounded<WasiBody>;

/// A connection on which a request can be sent; `driver` carries its bytes and is to be polled beside.
pub(super) struct Connection {
    sender: http1::SendRequest<Sent>,
    driver: http1::Connection<TokioIo<Box<dyn Stream>>, Sent>,
}

/// Asks the system.
pub(super) fn look_up(name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
}

/// Connects to `target`, within `wait` all in all. A refusal is explained in `output`, since it would tell the function
/// about the network.
pub(super) async fn connect(target: &Target, wait: Duration, way: Way<'_>, output: &Output) -> Result<Connection> {
    let connecting = async {
        let addresses = addresses(target, way.look_up, output);
        let tcp = match (way.proxy, &target.host) {
            (Some(proxy), Host::Name(name)) if target.tls && !target.host.is_localhost() => {
                // It is asked for the address that was checked, and for the name only where this machine cannot look it up.
                let authority = match timeout(LOOK_UP_TIMEOUT, addresses).await {
                    Ok(Ok(addresses)) => addresses.first().map(ToString::to_string).ok_or(Error::ConnectionRefused)?,
                    Err(_) | Ok(Err(Error::Connect(_))) => format!("{name}:{}", target.port),
                    Ok(Err(refused)) => return Err(refused),
                };
                tunnel(proxy, &authority).await?
            }
            _ => TcpStream::connect(addresses.await?.as_slice()).await.map_err(Error::Connect)?,
        };
        way.is_reached.store(true, Ordering::Relaxed);
        let stream: Box<dyn Stream> = if target.tls { Box::new(secured(target, tcp).await?) } else { Box::new(tcp) };
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Connection { sender, driver })
    };
    timeout(wait, connecting).await.unwrap_or(Err(Error::ConnectionTimeout))
}

/// Sends `request` and waits for the head of its response. The second part drives the connection further; without it
/// neither body makes progress.
pub(super) async fn send(
    connection: Connection,
    mut request: Request<Sent>,
    wait: Duration,
) -> Result<(Response<Incoming>, impl Future<Output = Result<()>> + Send + 'static)> {
    let Connection { mut sender, mut driver } = connection;
    // Scheme and authority are for proxies only.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::builder().path_and_query(path).build().map_err(|_| Error::HttpRequestUriInvalid)?;
    let mut answer = std::pin::pin!(timeout(wait, sender.send_request(request)));
    let mut ended = false;
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        driven = &mut driver => {
            driven?;
            ended = true;
            answer.await
        }
    };
    let response = answered.map_err(|_| Error::ConnectionReadTimeout)??;
    let driven = async move {
        match ended {
            true => Ok(()),
            false => driver.await.map_err(|error| match error.is_timeout() {
                true => Error::HttpResponseTimeout,
                false => Error::from(error),
            }),
        }
    };
    Ok((response, driven))
}

/// A connection to `authority` by way of a proxy, which sees neither request nor response.
async fn tunnel(proxy: &Uri, authority: &str) -> Result<TcpStream> {
    let server = Uri::builder().scheme("https").authority(authority).path_and_query("/").build();
    let server = server.map_err(|_| Error::HttpRequestUriInvalid)?;
    let mut tunnel = Tunnel::new(proxy.clone(), HttpConnector::new());
    let opened = tunnel.call(server).await.map_err(|error| Error::Connect(io::Error::other(error)))?;
    Ok(opened.into_inner())
}

/// Every address that may be connected to; none, if one of them may not.
async fn addresses(target: &Target, look_up: LookUp, output: &Output) -> Result<Vec<SocketAddr>> {
    let found = match &target.host {
        Host::Address(address) => vec![SocketAddr::new(*address, target.port)],
        Host::Name(name) => look_up(name.clone(), target.port).await.map_err(Error::Connect)?,
    };
    match found.iter().find_map(|address| prohibited(&target.host, address.ip())) {
        None => Ok(found),
        Some(kind) => {
            output.say(&format!(
                "isobar: `{target}` leads to {kind} address, where no name may lead; if that was meant, name the \
                 address itself in `allowed_outbound_hosts`"
            ));
            Err(Error::DestinationIpProhibited)
        }
    }
}

async fn secured(target: &Target, tcp: TcpStream) -> Result<impl Stream + use<>> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::InternalError(Some(error.to_string())))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config)).connect(server_name(&target.host)?, tcp).await.map_err(Error::Tls)
}

/// The name that the server's certificate must have.
fn server_name(host: &Host) -> Result<ServerName<'static>> {
    match host {
        Host::Address(address) => Ok(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| Error::DnsError { rcode: Some("invalid dns name".to_owned()), info_code: None }),
    }
}
