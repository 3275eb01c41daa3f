//! `allowed_outbound_hosts`: what an entry says, and whether it allows what a function asks for. By name only: which
//! addresses a name may lead to is decided where the connection is made.

use std::borrow::Cow;
use std::fmt::{Display, Formatter};
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// The one name that stands for addresses of this machine.
const LOCALHOST: &str = "localhost";

/// What a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether it speaks TLS: `https`.
    pub tls: bool,
    /// Its host.
    pub host: Host,
    /// Its port; that of the scheme where none is said.
    pub port: u16,
}

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// A literal address. Other spellings, such as `127.1`, are names.
    Address(IpAddr),
}

/// An entry: a target, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundHost {
    target: Target,
    /// Whether the entry began with `*.`: it allows the names below the target's, and not that one itself.
    below: bool,
}

/// Why a URL is nothing that requests may go to. Each reads on after the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// There is no `://`.
    #[error("has no scheme")]
    Scheme,
    /// Credentials stand before the host.
    #[error("holds a user or a password")]
    Userinfo,
    /// A wildcard that would allow more than subdomains.
    #[error("has a `*` where none may stand")]
    Wildcard,
    /// Another scheme, no host, or no URL at all.
    #[error("is no http or https address")]
    NotHttp,
}

impl NoTarget {
    /// The remedy.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            NoTarget::Scheme => "begin it with `https://`, say",
            NoTarget::Userinfo => "leave it out: a function sends it as a header, `authorization`",
            NoTarget::Wildcard => "a host may begin with `*.` for all names below one, such as `https://*.example.org`",
            NoTarget::NotHttp => "write `https://example.org` or `http://192.0.2.1:8080`, say",
        }
    }
}

impl Target {
    /// Where a request to `uri` goes.
    ///
    /// # Errors
    /// When it goes nowhere that it may.
    pub fn of(uri: &Uri) -> Result<Self, NoTarget> {
        let authority = uri.authority().ok_or(NoTarget::NotHttp)?;
        if authority.as_str().contains('@') {
            return Err(NoTarget::Userinfo);
        }
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(NoTarget::NotHttp),
        };
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => Some(if tls { 443 } else { 80 }),
            after => after.and_then(|after| after.strip_prefix(':')?.parse().ok()),
        };
        Ok(Target { tls, host: Host::parse(host)?, port: port.ok_or(NoTarget::NotHttp)? })
    }
}

impl Host {
    fn parse(host: &str) -> Result<Self, NoTarget> {
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        match (bracketed, host.parse()) {
            (Some(address), _) => address.parse().map(Host::Address).map_err(|_| NoTarget::NotHttp),
            (None, Ok(address)) => Ok(Host::Address(address)),
            (None, Err(_)) if host.is_empty() => Err(NoTarget::NotHttp),
            (None, Err(_)) => Ok(Host::Name(host.to_ascii_lowercase())),
        }
    }

    /// Whether it is the literal word `localhost`.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        matches!(self, Host::Name(name) if name == LOCALHOST)
    }
}

impl OutboundHost {
    /// Reads an entry with its templates filled in: `scheme://host[:port][/…]`, of which the path does not count.
    ///
    /// # Errors
    /// When it allows nothing, or would allow more than an entry may.
    pub fn parse(entry: &str) -> Result<Self, NoTarget> {
        if authority(entry).contains('@') {
            return Err(NoTarget::Userinfo);
        }
        let (scheme, rest) = entry.split_once("://").ok_or(NoTarget::Scheme)?;
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        let plain = format!("{scheme}://{rest}");
        if scheme.contains('*') || authority(&plain).contains('*') {
            return Err(NoTarget::Wildcard);
        }
        let target = Target::of(&plain.parse().map_err(|_| NoTarget::NotHttp)?)?;
        match (below, &target.host) {
            (true, Host::Address(_)) => Err(NoTarget::Wildcard),
            _ => Ok(OutboundHost { target, below }),
        }
    }

    /// Whether it allows everything that `other` does.
    #[must_use]
    pub fn covers(&self, other: &OutboundHost) -> bool {
        self == other || (self.below || !other.below) && self.allows(&other.target)
    }

    /// Whether a request may go there, as far as names can tell.
    #[must_use]
    pub fn allows(&self, asked: &Target) -> bool {
        let same_service = self.target.tls == asked.tls && self.target.port == asked.port;
        let same_host = match (&self.target.host, &asked.host) {
            (Host::Name(below), Host::Name(name)) if self.below => {
                name.strip_suffix(below.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (own, asked) => !self.below && own == asked,
        };
        same_service && same_host
    }
}

/// `entry` for people to read: without what stands before an `@` in its address, which may be a password.
#[must_use]
pub fn without_userinfo(entry: &str) -> Cow<'_, str> {
    let Some((userinfo, _)) = authority(entry).rsplit_once('@') else { return Cow::Borrowed(entry) };
    // By its place: the same letters may stand in the scheme.
    let start = entry.find("://").map_or(0, |at| at + "://".len());
    let (before, after) = (entry.get(..start), entry.get(start + userinfo.len()..));
    Cow::Owned(format!("{}…{}", before.unwrap_or_default(), after.unwrap_or_default()))
}

/// What stands where an address has its user, host and port.
fn authority(entry: &str) -> &str {
    let rest = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

impl Display for OutboundHost {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Target { tls, host, port } = &self.target;
        let (scheme, usual) = if *tls { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}{host}", if self.below { "*." } else { "" })?;
        if *port == usual { Ok(()) } else { write!(f, ":{port}") }
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", if self.tls { "https" } else { "http" }, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, uri: &str) -> bool {
        let entry = OutboundHost::parse(entry).unwrap_or_else(|why| panic!("`{entry}` {why}"));
        Target::of(&uri.parse().unwrap()).is_ok_and(|target| entry.allows(&target))
    }

    #[test]
    fn scheme_host_and_port_count_and_nothing_else() {
        for (entry, uri) in [
            ("https://Example.org/some/folder/?a@b", "https://example.org/other"),
            ("https://example.org", "https://EXAMPLE.org:443/"),
            ("http://127.0.0.1:80", "http://127.0.0.1/x"),
            ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"),
            ("http://localhost:8080/", "http://localhost:8080/"),
        ] {
            assert!(allows(entry, uri), "{entry} {uri}");
        }
        for denied in [
            "http://example.org/",
            "https://example.org:8443/",
            "https://example.org:99999/",
            "https://evil.example.org/",
            "https://example.org.evil.net/",
            "https://example.org./",
            "https://user@example.org/",
            "ftp://example.org/",
            "/relative",
        ] {
            assert!(!allows("https://example.org", denied), "{denied}");
        }
    }

    #[test]
    fn an_address_is_allowed_by_its_own_entry_only() {
        for uri in ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://[::ffff:127.0.0.1]/"] {
            assert!(!allows("http://127.0.0.1", uri), "{uri}");
        }
        assert!(allows("http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]/"));
    }

    #[test]
    fn a_wildcard_matches_subdomains_and_no_address() {
        for allowed in ["https://a.example.org/", "https://b.a.EXAMPLE.org:443/"] {
            assert!(allows("https://*.example.org", allowed), "{allowed}");
        }
        for denied in [
            "https://example.org/",
            "https://.example.org/",
            "https://notexample.org/",
            "https://a.example.org.net/",
            "https://a.example.org:8443/",
            "http://a.example.org/",
        ] {
            assert!(!allows("https://*.example.org", denied), "{denied}");
        }
        assert!(!allows("http://*.1", "http://127.0.0.1/"), "an address is not a subdomain");
    }

    #[test]
    fn an_entry_that_allows_nothing_or_too_much_is_refused() {
        for (entry, why) in [
            ("example.org", NoTarget::Scheme),
            ("", NoTarget::Scheme),
            ("https://user:secret@example.org", NoTarget::Userinfo),
            ("https://@example.org", NoTarget::Userinfo),
            ("user@example.org", NoTarget::Userinfo),
            ("https://*", NoTarget::Wildcard),
            ("https://*:443", NoTarget::Wildcard),
            ("*://example.org", NoTarget::Wildcard),
            ("https://*.*.org", NoTarget::Wildcard),
            ("https://a.*.org", NoTarget::Wildcard),
            ("https://*a.org", NoTarget::Wildcard),
            ("https://example.org:*", NoTarget::Wildcard),
            ("https://*.127.0.0.1", NoTarget::Wildcard),
            ("https://*.[::1]", NoTarget::Wildcard),
            ("https://*.", NoTarget::NotHttp),
            ("https://", NoTarget::NotHttp),
            ("https://:443", NoTarget::NotHttp),
            ("https://[::1", NoTarget::NotHttp),
            ("https://[localhost]", NoTarget::NotHttp),
            ("https://example.org:", NoTarget::NotHttp),
            ("https://example.org:65536", NoTarget::NotHttp),
            ("https://example.org\\@evil", NoTarget::Userinfo),
            ("ftp://example.org", NoTarget::NotHttp),
            ("redis://localhost:6379", NoTarget::NotHttp),
        ] {
            assert_eq!(OutboundHost::parse(entry), Err(why), "{entry}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_userinfo("https://user:secret@example.org/a@b"), "https://…@example.org/a@b");
        assert_eq!(without_userinfo("https://a@b@example.org"), "https://…@example.org");
        assert_eq!(without_userinfo("https://http@example.org"), "https://…@example.org");
        assert_eq!(without_userinfo("https://example.org/a@b"), "https://example.org/a@b");
    }
}
