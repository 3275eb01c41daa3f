//! `wasi:http` out: requests to the hosts that spin.toml allows, with bounded waits, and to no others.

use std::time::Duration;

use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::CallState;

/// A connection that takes longer has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// So has a server that says nothing for this long, at first or in between.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Scheme, host and port of each allowed address. The path of an allowed URL does not count.
#[derive(Debug, Clone, Default)]
pub struct OutboundHosts {
    allowed: Vec<(String, String, u16)>,
}

impl OutboundHosts {
    /// Reads `allowed_outbound_hosts`, templates filled in: `scheme://host[:port][/…]`, for http and https.
    ///
    /// # Errors
    /// What is wrong with the first entry that is no such address.
    pub fn parse(entries: &[String]) -> anyhow::Result<Self> {
        let allowed = entries
            .iter()
            .map(|entry| {
                let uri: Uri = entry.parse().map_err(|_| anyhow::anyhow!("`{entry}` is not a URL"))?;
                address(&uri).ok_or_else(|| {
                    anyhow::anyhow!("`{entry}` is not an http or https address such as `https://example.org`")
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(OutboundHosts { allowed })
    }

    fn allows(&self, uri: &Uri) -> bool {
        address(uri).is_some_and(|address| self.allowed.contains(&address))
    }
}

/// Links both versions of the interface: Rust's SDK speaks 0.3, other toolchains still 0.2.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

fn address(uri: &Uri) -> Option<(String, String, u16)> {
    let authority = uri.authority().filter(|a| !a.as_str().contains('@'))?;
    let scheme = uri.scheme()?;
    let default = match scheme {
        s if *s == Scheme::HTTP => 80,
        s if *s == Scheme::HTTPS => 443,
        _ => return None,
    };
    let host = authority.host().to_ascii_lowercase();
    Some((scheme.as_str().to_owned(), host, authority.port_u16().unwrap_or(default)))
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for OutboundHosts {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_failed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent>> + Send> {
        let allowed = self.allows(request.uri());
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            let (response, io) = wasmtime_wasi_http::default_send_request(request, Some(bounded(options))).await?;
            let io: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(io);
            Ok((response.map(|body| body.boxed_unsync()), io))
        })
    }
}

fn bounded(options: Option<RequestOptions>) -> RequestOptions {
    let asked = options.unwrap_or_default();
    let at_most = |asked: Option<Duration>, most: Duration| Some(asked.map_or(most, |a| a.min(most)));
    RequestOptions {
        connect_timeout: at_most(asked.connect_timeout, CONNECT_TIMEOUT),
        first_byte_timeout: at_most(asked.first_byte_timeout, SILENCE_TIMEOUT),
        between_bytes_timeout: at_most(asked.between_bytes_timeout, SILENCE_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_count_and_nothing_else() {
        let hosts = OutboundHosts::parse(&["https://Example.org/some/folder/".into(), "http://127.0.0.1:80".into()]);
        let hosts = hosts.unwrap();
        let allows = |uri: &str| hosts.allows(&uri.parse().unwrap());
        assert!(allows("https://example.org/other"));
        assert!(allows("https://EXAMPLE.org:443/"));
        assert!(allows("http://127.0.0.1/x"));
        for denied in [
            "http://example.org/",
            "https://example.org:8443/",
            "https://evil.example.org/",
            "https://example.org.evil.net/",
            "https://user@example.org/",
            "http://127.0.0.1:81/",
            "ftp://example.org/",
            "/relative",
        ] {
            assert!(!allows(denied), "{denied}");
        }
    }

    #[test]
    fn an_entry_that_is_no_address_is_named() {
        for bad in ["example.org", "ftp://example.org", "https://user:secret@example.org"] {
            let error = OutboundHosts::parse(&[bad.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{bad}` is not")), "{error}");
        }
    }
}
