//! `wasi:http` out: requests to the hosts that spin.toml allows, checked by name here and by address where the connection
//! is made, within the function's limits. No redirect is followed: what a function asks for next is checked anew.

mod addresses;
mod connect;
mod limits;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use tokio::time::{Duration, timeout_at};
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::{CallContext, CallState};
use crate::engine::output::Output;
use crate::manifest::outbound::{OutboundHost, Target};
use connect::{LookUp, Way};
use limits::{Exchange, Meter};

/// A connection that takes longer has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// So has a server that says nothing for this long, at first or in between.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// The requests of one call.
pub(super) struct Outbound {
    allowed: Arc<[OutboundHost]>,
    https_proxy: Option<Uri>,
    meter: Meter,
    /// Requests so far.
    sent: u32,
    /// A server that could not be reached.
    away: Arc<OnceLock<String>>,
    /// Where it is said why a request was refused: the function is not told, it might learn of the network.
    output: Output,
    look_up: LookUp,
}

/// The longest waits of one request.
struct Waits {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

/// The requests of one call, seen from outside.
#[derive(Clone)]
pub struct Requests(Meter);

/// Drives a connection on while its bodies pass.
type Driver = Box<dyn Future<Output = Result<()>> + Send>;

/// Links both versions of the interface: Rust's SDK speaks 0.3, other toolchains still 0.2.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

impl Outbound {
    pub(super) fn new(context: &CallContext, output: Output) -> Self {
        Outbound {
            allowed: Arc::clone(&context.hosts),
            https_proxy: context.https_proxy.clone(),
            meter: Meter::new(context.limits.http, Arc::clone(&context.function)),
            sent: 0,
            away: Arc::default(),
            output,
            look_up: connect::look_up,
        }
    }

    /// The first limit that a request hit, and how to raise it.
    pub(super) fn exceeded(&self) -> Option<String> {
        self.meter.exceeded()
    }

    /// The first server that could not be reached, if there was one.
    pub(super) fn away(&self) -> Option<String> {
        self.away.get().cloned()
    }

    /// The requests of the call, to be watched.
    pub(super) fn requests(&self) -> Requests {
        Requests(self.meter.clone())
    }

    /// Lets a request begin, or says why it may not.
    fn begin(&mut self, request: &Request<WasiBody>) -> Result<(Target, Exchange)> {
        self.sent = self.sent.saturating_add(1);
        let exchange = self.meter.begin(self.sent)?;
        let denied = match Target::of(request.uri()) {
            Ok(target) if self.allowed.iter().any(|entry| entry.allows(&target)) => return Ok((target, exchange)),
            Ok(target) => format!("isobar: `{target}` is not in `allowed_outbound_hosts`"),
            Err(why) => format!("isobar: the address of a request {why}; {}", why.hint()),
        };
        self.output.say(&denied);
        Err(Error::HttpRequestDenied)
    }
}

impl Requests {
    /// Whether a response is waited for or read.
    #[must_use]
    pub fn are_under_way(&self) -> bool {
        self.0.are_under_way()
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_failed: Driver,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Driver)>> + Send> {
        let begun = self.begin(&request);
        let (look_up, proxy, output) = (self.look_up, self.https_proxy.clone(), self.output.clone());
        let away = Arc::clone(&self.away);
        Box::new(async move {
            let (target, exchange) = begun?;
            let (deadline, waits) = (exchange.deadline, Waits::of(options));
            let request = request.map(|body| exchange.request(body));
            let is_reached = AtomicBool::new(false);
            let way = Way { look_up, proxy: proxy.as_ref(), is_reached: &is_reached };
            let connecting = timeout_at(deadline, connect::connect(&target, waits.connect, way, &output));
            let connected = connecting.await.unwrap_or_else(|_| match is_reached.load(Ordering::Relaxed) {
                true => Err(exchange.too_late()),
                false => Err(Error::ConnectionTimeout),
            });
            let connection = connected.inspect_err(|error| {
                // A wait that the function cut short says nothing of the server.
                let is_cut = matches!(error, Error::ConnectionTimeout) && waits.connect < CONNECT_TIMEOUT;
                if !is_reached.load(Ordering::Relaxed) && connect::is_away(error) && !is_cut {
                    away.get_or_init(|| format!("`{target}` cannot be reached"));
                }
            })?;
            let answered = timeout_at(deadline, connect::send(connection, request, waits.first_byte)).await;
            let (response, driver) = answered.unwrap_or_else(|_| Err(exchange.too_late()))?;
            let response = response.map(|body| exchange.response(body, waits.between_bytes).boxed_unsync());
            let driver = async move { timeout_at(deadline, driver).await.unwrap_or(Err(Error::HttpResponseTimeout)) };
            Ok((response, Box::new(driver) as Driver))
        })
    }
}

impl Waits {
    /// What the guest asks for, if it is not too long.
    fn of(options: Option<RequestOptions>) -> Self {
        let asked = options.unwrap_or_default();
        let at_most = |asked: Option<Duration>, most: Duration| asked.map_or(most, |asked| asked.min(most));
        Waits {
            connect: at_most(asked.connect_timeout, CONNECT_TIMEOUT),
            first_byte: at_most(asked.first_byte_timeout, SILENCE_TIMEOUT),
            between_bytes: at_most(asked.between_bytes_timeout, SILENCE_TIMEOUT),
        }
    }
}

#[cfg(test)]
mod tests;
