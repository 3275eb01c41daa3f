//! Passwords of people: hashed with argon2id (RFC 9106), held against the hash, and how often that may be tried.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Fewest characters of a password, and most bytes.
const FEWEST: usize = 12;
const MOST_BYTES: usize = 256;
/// Tries from one address at a time, right ones among them, and in how long each comes back: a house of people behind one address
/// begins its day, and of passwords with [`FEWEST`] characters nobody finds one so.
const TRIES_FROM: u32 = 30;
const FROM_EVERY: Duration = Duration::from_secs(30);
/// Tries with one name, from wherever; more than from one address, so that nobody alone keeps somebody out.
const TRIES_AS: u32 = 100;
const AS_EVERY: Duration = Duration::from_secs(15);
/// Addresses and names that are kept in mind; where more try at one time, all wait.
const MOST_KEPT: usize = 10_000;

/// Whether this can be a password.
///
/// # Errors
/// What is wrong with it.
pub fn fits(password: &str) -> anyhow::Result<()> {
    let characters = password.chars().count();
    anyhow::ensure!(characters >= FEWEST, "the password has {characters} characters; take {FEWEST} or more");
    anyhow::ensure!(password.len() <= MOST_BYTES, "the password has more than {MOST_BYTES} bytes");
    Ok(())
}

/// The hash of a password, as a PHC string.
///
/// # Errors
/// When the system has no randomness.
pub fn hash(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| anyhow::anyhow!("{error}")).context("the password cannot be hashed")?.to_string())
}

/// Whether a password has this hash. Where there is no hash, as there is no such user, the answer takes as long.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    static NOBODY: OnceLock<Option<String>> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| self::hash("").ok()).as_deref();
    let Some(text) = hash.or_else(nobody).filter(|_| password.len() <= MOST_BYTES) else { return false };
    let Ok(parsed) = PasswordHash::new(text) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some()
}

/// How often passwords were tried, from where and with which name.
pub(super) struct Tries {
    from: DefaultKeyedRateLimiter<IpAddr>,
    named: DefaultKeyedRateLimiter<String>,
}

impl Default for Tries {
    fn default() -> Self {
        Tries { from: limiter(TRIES_FROM, FROM_EVERY), named: limiter(TRIES_AS, AS_EVERY) }
    }
}

fn limiter<K: Hash + Eq + Clone>(most: u32, every: Duration) -> DefaultKeyedRateLimiter<K> {
    let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
    // A period of nothing would be none: then one each second.
    let quota = Quota::with_period(every).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
    RateLimiter::hashmap(quota.allow_burst(most))
}

impl Tries {
    /// Counts one; whether it may be.
    pub(super) fn one_more(&self, from: IpAddr, name: &str) -> bool {
        may(&self.from, &network(from)) && may(&self.named, &name.to_owned())
    }
}

fn may<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> bool {
    if limiter.len() >= MOST_KEPT {
        limiter.retain_recent();
    }
    limiter.len() < MOST_KEPT && limiter.check_key(key).is_ok()
}

/// What one subscriber has: of IPv6, all addresses with the same first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::console::hash_fits;

    #[test]
    fn a_password_has_its_hash_and_nothing_else_does() {
        let made = hash("correct horse battery").unwrap();
        assert_eq!(hash_fits(&made), Ok(()));
        assert!(verify("correct horse battery", Some(&made)));
        for wrong in ["", "correct horse batter", "correct horse battery "] {
            assert!(!verify(wrong, Some(&made)), "{wrong:?}");
        }
        assert!(!verify("", None) && !verify("anything at all", None), "nobody has no password");
        assert!(!verify("correct horse battery", Some("no hash")));
        assert_ne!(made, hash("correct horse battery").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn short_ones_and_endless_ones_are_none() {
        assert!(fits("twelve chars").is_ok() && fits("zwölf Zeichen").is_ok());
        assert!(fits("eleven char").unwrap_err().to_string().contains("11 characters"));
        assert!(fits(&"x".repeat(MOST_BYTES + 1)).is_err());
    }

    #[test]
    fn who_tries_often_waits_and_keeps_nobody_else_out() {
        let tries = Tries::default();
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let passed = (0..TRIES_FROM * 2).filter(|_| tries.one_more(here, "anna")).count();
        assert_eq!(passed, TRIES_FROM as usize);
        assert!(tries.one_more(there, "anna"), "from elsewhere");
        let same = ["2001:db8::1", "2001:db8::ffff"].map(|text| network(text.parse().unwrap()));
        assert_eq!(same[0], same[1]);
        assert_ne!(same[0], network("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), here);
    }

    #[test]
    fn a_name_that_many_try_waits() {
        let tries = Tries::default();
        let passed = (0..200u32).filter(|at| tries.one_more(std::net::Ipv4Addr::from_bits(*at).into(), "anna")).count();
        assert!((100..105).contains(&passed), "{passed}");
    }
}
