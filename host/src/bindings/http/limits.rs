//! What the requests of one call may use up: counted before a request, watched in the bodies while they pass.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, Interval, Sleep, interval, sleep_until};
use wasmtime_wasi_http::{Error, Result, WasiBody};

use crate::manifest::HttpLimits;

/// The limits of one call and what of them is used. Clones share it.
#[derive(Clone)]
pub(super) struct Meter {
    limits: HttpLimits,
    function: Arc<str>,
    exceeded: Arc<OnceLock<String>>,
    under_way: Arc<Semaphore>,
}

/// A request that was let through, until its response is read or dropped.
pub(super) struct Exchange {
    pub(super) deadline: Instant,
    meter: Meter,
    place: OwnedSemaphorePermit,
}

/// A body that ends in an error where it grows too long.
pub(super) struct Bounded<B> {
    body: B,
    left: u64,
    too_long: fn(&Meter) -> Error,
    meter: Meter,
}

/// A body that ends in an error where its server is silent or slow.
pub(super) struct Timed {
    body: Incoming,
    meter: Meter,
    silence: Interval,
    deadline: Pin<Box<Sleep>>,
    /// Given back when the body is over.
    place: Option<OwnedSemaphorePermit>,
}

impl Meter {
    pub(super) fn new(limits: HttpLimits, function: Arc<str>) -> Self {
        let under_way = Arc::new(Semaphore::new(limits.concurrent as usize));
        Meter { limits, function, exceeded: Arc::default(), under_way }
    }

    /// Whether a request has begun whose response is not read or dropped yet.
    pub(super) fn are_under_way(&self) -> bool {
        self.under_way.available_permits() < self.limits.concurrent as usize
    }

    /// The first limit that was hit, and how to raise it.
    pub(super) fn exceeded(&self) -> Option<String> {
        self.exceeded.get().cloned()
    }

    /// Lets the call's request number `number`, from 1, begin.
    pub(super) fn begin(&self, number: u32) -> Result<Exchange> {
        if number > self.limits.requests {
            self.exceed("it sent more requests than", "http_requests", self.limits.requests);
            return Err(Error::HttpRequestDenied);
        }
        let Ok(place) = Arc::clone(&self.under_way).try_acquire_owned() else {
            self.exceed("it had more requests under way than", "http_concurrent", self.limits.concurrent);
            return Err(Error::ConnectionLimitReached);
        };
        let deadline = Instant::now() + Duration::from_millis(u64::from(self.limits.timeout_ms));
        Ok(Exchange { deadline, meter: self.clone(), place })
    }

    fn request_too_long(&self) -> Error {
        let limit = self.limits.request_bytes;
        self.exceed("the body of a request is longer than", "http_request_bytes", limit);
        Error::HttpRequestBodySize(Some(limit.into()))
    }

    fn response_too_long(&self) -> Error {
        let limit = self.limits.response_bytes;
        self.exceed("the body of a response is longer than", "http_response_bytes", limit);
        Error::HttpResponseBodySize(Some(limit.into()))
    }

    fn too_late(&self) -> Error {
        self.exceed("a request and its response took longer than", "http_timeout_ms", self.limits.timeout_ms);
        Error::HttpResponseTimeout
    }

    fn exceed(&self, what: &str, name: &str, limit: u32) {
        self.exceeded.get_or_init(|| {
            format!("{what} `{name}` of {limit}; raise it in [application.trigger.isobar.limits.{}]", self.function)
        });
    }
}

impl Exchange {
    /// What a guest sends.
    pub(super) fn request(&self, body: WasiBody) -> Bounded<WasiBody> {
        let left = self.meter.limits.request_bytes.into();
        Bounded { body, left, too_long: Meter::request_too_long, meter: self.meter.clone() }
    }

    /// What a server answers; `silence` is the longest wait for its next piece.
    pub(super) fn response(self, body: Incoming, silence: Duration) -> Bounded<Timed> {
        let Exchange { deadline, meter, place } = self;
        // An interval of nothing panics.
        let mut silence = interval(silence.max(Duration::from_nanos(1)));
        silence.reset();
        let (deadline, place) = (Box::pin(sleep_until(deadline)), (!body.is_end_stream()).then_some(place));
        let left = meter.limits.response_bytes.into();
        let body = Timed { body, meter: meter.clone(), silence, deadline, place };
        Bounded { body, left, too_long: Meter::response_too_long, meter }
    }

    pub(super) fn too_late(&self) -> Error {
        self.meter.too_late()
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Bounded<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.body.size_hint().lower() > self.left {
            return Poll::Ready(Some(Err((self.too_long)(&self.meter))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        match self.left.checked_sub(data.map_or(0, Bytes::len) as u64) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err((self.too_long)(&self.meter)))),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(self.meter.too_late())));
        }
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.silence.poll_tick(cx));
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
        };
        self.silence.reset();
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.place = None;
        }
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| match error.is_timeout() {
                true => Error::HttpResponseTimeout,
                false => Error::from(error),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
