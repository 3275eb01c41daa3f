//! Who may speak to the API: whoever has the token, from this machine, and no page of a web browser that was lured
//! here. Pure.

use std::net::SocketAddr;

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
}

/// Holds requests against what this listener is.
#[derive(Clone)]
pub(super) struct Guard {
    access: Access,
}

impl Guard {
    pub(super) fn new(access: Access) -> Self {
        Guard { access }
    }

    /// Whether a request with these headers may pass.
    pub(super) fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), Denied> {
        if !host.is_some_and(|host| self.is_us(host)) {
            return Err(Denied::Host);
        }
        if !origin.is_none_or(|origin| origin.strip_prefix("http://").is_some_and(|host| self.is_us(host))) {
            return Err(Denied::Origin);
        }
        Ok(())
    }

    /// Whether a token is that of the owner of the data folder.
    pub(super) fn is_owner(&self, token: &str) -> bool {
        self.access.is_token(token)
    }

    fn is_us(&self, host: &str) -> bool {
        let port = self.access.address.port();
        let named = host.eq_ignore_ascii_case(&format!("localhost:{port}"));
        named || host.parse::<SocketAddr>().is_ok_and(|a| a.ip().is_loopback() && a.port() == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_listener_its_own_origin_and_its_token_pass() {
        let access = Access::new("127.0.0.1:3000".parse().unwrap()).unwrap();
        let token = access.token.clone();
        let guard = Guard::new(access);
        let check = |host, origin| guard.check(host, origin);
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
    }
}
