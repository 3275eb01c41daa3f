//! Through which door a request came, and whether it is one that may be answered at all: no page of a web browser that was lured here
//! may speak to the host. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::uri::Authority;
use ipnet::IpNet;

use super::token::Access;

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// The `Host` is not this listener: a name was made to point here.
    Host,
    /// The `Origin` is another site's.
    Origin,
    /// The token is wrong, expired or revoked.
    Token,
    /// Neither a token nor a session is there.
    Session,
    /// It changes something, and does not come from the page.
    Page,
    /// Whose token it is could not be looked up.
    Unread,
}

/// Holds requests against what a listener is.
#[derive(Clone)]
pub(super) enum Guard {
    /// The one for this machine.
    Local(Access),
    /// The one for others.
    Public(Arc<Public>),
}

/// The listener that other machines reach.
#[derive(Debug, Default, Clone)]
pub(super) struct Public {
    /// Its port.
    pub(super) port: u16,
    /// By which names it is asked, beside its addresses.
    pub(super) names: BTreeSet<String>,
    /// Whether it speaks TLS itself.
    pub(super) is_secure: bool,
    /// Whose word is taken on who asks, and how.
    pub(super) proxies: Vec<IpNet>,
}

/// What a request says of itself.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Said<'r> {
    pub(super) host: Option<&'r str>,
    pub(super) origin: Option<&'r str>,
    /// `X-Forwarded-Host`.
    pub(super) forwarded_host: Option<&'r str>,
    /// `X-Forwarded-Proto`.
    pub(super) forwarded_proto: Option<&'r str>,
    /// `X-Forwarded-For`: who asked whom, as each proxy appends it.
    pub(super) forwarded_for: Option<&'r str>,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Came {
    /// Whether through the door for this machine.
    pub(super) is_local: bool,
    /// Whether nobody on the way could read it.
    pub(super) is_secure: bool,
    /// The port of the listener.
    pub(super) port: u16,
    /// From where.
    pub(super) from: IpAddr,
}

impl Guard {
    /// How a request from `peer` came, where it may pass.
    pub(super) fn check(&self, peer: IpAddr, said: &Said<'_>) -> Result<Came, Denied> {
        match self {
            Guard::Local(access) => local(access.address, peer, said),
            Guard::Public(public) => public.check(peer, said),
        }
    }

    /// Whether a token is that of the owner of the data folder, who is on this machine.
    pub(super) fn is_owner(&self, token: &str) -> bool {
        matches!(self, Guard::Local(access) if access.is_token(token))
    }
}

fn local(us: SocketAddr, peer: IpAddr, said: &Said<'_>) -> Result<Came, Denied> {
    let port = us.port();
    let is_us = |host: &str| {
        let named = host.eq_ignore_ascii_case(&format!("localhost:{port}"));
        named || host.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_loopback() && a.port() == port)
    };
    if !said.host.is_some_and(is_us) {
        return Err(Denied::Host);
    }
    if !said.origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(is_us)) {
        return Err(Denied::Origin);
    }
    Ok(Came { is_local: true, is_secure: false, port, from: peer })
}

impl Public {
    fn check(&self, peer: IpAddr, said: &Said<'_>) -> Result<Came, Denied> {
        let peer = peer.to_canonical();
        let is_told = self.proxies.iter().any(|proxy| proxy.contains(&peer));
        let told = |word: Option<&'_ str>| word.filter(|_| is_told).map(str::to_owned);
        let is_secure = self.is_secure || told(said.forwarded_proto).is_some_and(|p| p.eq_ignore_ascii_case("https"));
        let host = told(said.forwarded_host).or_else(|| said.host.map(str::to_owned)).ok_or(Denied::Host)?;
        if !self.is_us(&host) {
            return Err(Denied::Host);
        }
        let scheme = if is_secure { "https" } else { "http" };
        let ours = format!("{scheme}://{host}");
        if !said.origin.is_none_or(|origin| origin.eq_ignore_ascii_case(&ours)) {
            return Err(Denied::Origin);
        }
        let from = told(said.forwarded_for).and_then(|all| self.outmost(&all)).unwrap_or(peer);
        Ok(Came { is_local: false, is_secure, port: self.port, from })
    }

    /// Who asked the first of our proxies: the last in the row that is none of them. What stands before was said by whoever asked.
    fn outmost(&self, row: &str) -> Option<IpAddr> {
        let address = |text: &str| {
            let text = text.trim();
            let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
            text.trim_matches(['[', ']']).parse().or(with_port).ok().map(|address: IpAddr| address.to_canonical())
        };
        let strange = |address: &IpAddr| !self.proxies.iter().any(|proxy| proxy.contains(address));
        row.rsplit(',').map_while(address).find(strange)
    }

    /// Whether it is asked by one of its names, or by an address: no name of somebody else's can be made to point to an address that
    /// stands for itself.
    fn is_us(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.names.contains(&name.to_ascii_lowercase()) || address.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3));

    fn said<'r>(host: Option<&'r str>, origin: Option<&'r str>) -> Said<'r> {
        Said { host, origin, ..Said::default() }
    }

    fn public(is_secure: bool) -> Public {
        let names = ["isobar.example.org".to_owned()].into();
        Public { port: 3443, names, is_secure, proxies: vec!["10.0.0.0/8".parse().unwrap()] }
    }

    #[test]
    fn only_this_listener_its_own_origin_and_its_token_pass() {
        let access = Access::new("127.0.0.1:3000".parse().unwrap()).unwrap();
        let token = access.token.clone();
        let guard = Guard::Local(access);
        let check = |host, origin| guard.check(IpAddr::from([127, 0, 0, 1]), &said(host, origin)).map(|_| ());
        let us = Some("127.0.0.1:3000");
        assert_eq!(check(us, None), Ok(()));
        assert_eq!(check(Some("LOCALHOST:3000"), Some("http://localhost:3000")), Ok(()));
        assert_eq!(check(Some("[::1]:3000"), None), Ok(()));
        for host in [None, Some("evil.example:3000"), Some("127.0.0.1:3001"), Some("127.0.0.1"), Some("10.0.0.1:3000")]
        {
            assert_eq!(check(host, None), Err(Denied::Host), "{host:?}");
        }
        for origin in ["http://evil.example", "null", "https://localhost:3000", "http://localhost:3001"] {
            assert_eq!(check(us, Some(origin)), Err(Denied::Origin), "{origin}");
        }
        assert!(guard.is_owner(&token));
        for wrong in ["", "00", &token[1..]] {
            assert!(!guard.is_owner(wrong), "{wrong:?}");
        }
        assert!(!Guard::Public(Arc::new(public(true))).is_owner(&token), "the owner is on this machine");
    }

    #[test]
    fn others_reach_it_by_its_names_and_addresses_and_from_its_own_page() {
        let public = public(true);
        let check = |host, origin| public.check(PEER, &said(Some(host), origin)).map(|came| came.is_secure);
        for host in ["isobar.example.org", "ISOBAR.example.org:3443", "192.0.2.1:3443", "[2001:db8::1]:3443"] {
            assert_eq!(check(host, None), Ok(true), "{host}");
        }
        assert_eq!(check("isobar.example.org", Some("https://isobar.example.org")), Ok(true));
        for host in ["", "evil.example", "isobar.example.org.evil.example", "localhost:3443", "a b"] {
            assert_eq!(check(host, None), Err(Denied::Host), "{host}");
        }
        for origin in ["http://isobar.example.org", "https://evil.example", "null", "https://isobar.example.org:1"] {
            assert_eq!(check("isobar.example.org", Some(origin)), Err(Denied::Origin), "{origin}");
        }
    }

    #[test]
    fn the_word_of_a_proxy_is_taken_and_nobody_elses() {
        let public = public(false);
        let by_way = Said {
            host: Some("10.9.9.9:3443"),
            origin: Some("https://isobar.example.org"),
            forwarded_host: Some("isobar.example.org"),
            forwarded_proto: Some("https"),
            forwarded_for: Some("203.0.113.9"),
        };
        let came = public.check(PROXY, &by_way).unwrap();
        assert!(came.is_secure && !came.is_local && came.from == IpAddr::from([203, 0, 113, 9]), "{came:?}");
        for (row, from) in [
            ("203.0.113.9, 10.0.0.1", "203.0.113.9"),
            ("192.0.2.66, 203.0.113.9:51234 , 10.0.0.1", "203.0.113.9"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("203.0.113.9, unknown", "10.1.2.3"),
            ("10.0.0.1", "10.1.2.3"),
        ] {
            let came = public.check(PROXY, &Said { forwarded_for: Some(row), ..by_way }).unwrap();
            assert_eq!(came.from, from.parse::<IpAddr>().unwrap(), "{row}");
        }
        assert_eq!(public.check(PEER, &by_way), Err(Denied::Origin), "who is no proxy says what it likes");
        let came = public.check(PEER, &Said { origin: None, ..by_way }).unwrap();
        assert!(!came.is_secure && came.from == PEER, "{came:?}");
        let mapped = "::ffff:10.1.2.3".parse().unwrap();
        assert!(public.check(mapped, &by_way).is_ok(), "as a listener of both kinds of addresses sees it");
    }
}
