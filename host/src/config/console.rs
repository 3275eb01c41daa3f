//! `[console]`: where the host is reached from other machines, and who signs in there. On this machine it listens in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use argon2::password_hash::phc::PasswordHash;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::stores::{Secret, secret};

/// How it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// Where it listens for others; `None`: nobody but this machine reaches it.
    pub listen: Option<SocketAddr>,
    /// Names by which it is asked there.
    pub names: BTreeSet<String>,
    /// What it proves its name with; `None`: it speaks in the clear there.
    pub tls: Option<Proof>,
    /// Where reverse proxies are whose word on who asks, and how, is taken.
    pub proxies: Vec<IpNet>,
    /// Who signs in with a password, by name.
    pub users: BTreeMap<String, UserConfig>,
}

/// Where a certificate and its key are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Who signs in with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConfig {
    /// What is allowed.
    pub roles: BTreeSet<Role>,
    /// What the password is held against.
    pub hash: HashSource,
}

/// Where the hash of a password is.
#[derive(Clone, PartialEq, Eq)]
pub enum HashSource {
    /// Here.
    Text(String),
    /// Elsewhere.
    Kept(Secret),
}

impl Debug for HashSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            // Who reads it could try passwords for as long as it pleases.
            HashSource::Text(_) => f.write_str("Text(…)"),
            HashSource::Kept(place) => f.debug_tuple("Kept").field(place).finish(),
        }
    }
}

/// What a user may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See everything that is not sensitive.
    Viewer,
    /// The same, and pause, resume, load tables, decide on dead letters, deploy.
    Operator,
    /// See what is sensitive, too.
    Sensitive,
}

impl Role {
    /// Reads what [`Display`] writes.
    ///
    /// # Errors
    /// What is known instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "viewer" => Ok(Role::Viewer),
            "operator" => Ok(Role::Operator),
            "sensitive" => Ok(Role::Sensitive),
            other => Err(format!("there is no role `{other}`; known: `viewer`, `operator`, `sensitive`")),
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Sensitive => "sensitive",
        })
    }
}

/// Whether a user, or a token, may have this name.
///
/// # Errors
/// What names look like.
pub fn name_fits(name: &str) -> Result<(), String> {
    /// Most characters of a name.
    const MOST: usize = 64;
    /// Names under which the host itself stands in the audit log.
    const TAKEN: [&str; 2] = ["operator", "isobar"];
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > MOST || !name.chars().all(fits) || TAKEN.contains(&name) {
        return Err(format!("take up to {MOST} letters, digits, `-`, `_` and `.`; `operator` and `isobar` are taken"));
    }
    Ok(())
}

/// Holds a hash against what it is to be: argon2id, with costs that the host can pay.
///
/// # Errors
/// What is wrong with it; the text does not hold the hash.
pub fn hash_fits(hash: &str) -> Result<(), String> {
    /// Most memory that one sign-in may take, in KiB.
    const MOST_MEMORY: u32 = 256 * 1024;
    /// Most passes over it, and threads that it is laid out for.
    const MOST_PASSES: u32 = 64;
    let parsed = PasswordHash::new(hash).map_err(|_| "is no hash of a password".to_owned())?;
    if parsed.algorithm.as_str() != "argon2id" || parsed.hash.is_none() || parsed.salt.is_none() {
        return Err("is no argon2id hash".to_owned());
    }
    let params =
        argon2::Params::try_from(&parsed).map_err(|_| "has parameters that argon2 does not have".to_owned())?;
    if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES || params.p_cost() > MOST_PASSES {
        return Err(format!("costs more than {} MiB and {MOST_PASSES} passes for each sign-in", MOST_MEMORY >> 10));
    }
    Ok(())
}

/// `[console]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    listen: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    proxies: Vec<String>,
    #[serde(default)]
    users: BTreeMap<String, UserDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserDocument {
    roles: Vec<String>,
    password_hash: Option<String>,
    password_hash_env: Option<String>,
    password_hash_file: Option<PathBuf>,
}

pub(super) fn read(document: Document) -> Result<ConsoleConfig, String> {
    let Document { listen, names, certificate, key, proxies, users } = document;
    let listen = listen.as_deref().map(address).transpose()?;
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Proof { certificate, key }),
        (None, None) => None,
        _ => return Err("[console] needs both, `certificate` and `key`, or neither".to_owned()),
    };
    if listen.is_none() && (tls.is_some() || !names.is_empty() || !proxies.is_empty()) {
        return Err(
            "[console] says how others reach the host, but not where: say `listen = \"0.0.0.0:3000\"`".to_owned()
        );
    }
    let names = names.iter().map(|text| host_name(text)).collect::<Result<_, _>>()?;
    let proxies = proxies.iter().map(|text| network(text)).collect::<Result<_, _>>()?;
    let users = users.into_iter().map(|(name, document)| user(&name, document).map(|user| (name, user)));
    Ok(ConsoleConfig { listen, names, tls, proxies, users: users.collect::<Result<_, _>>()? })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` of `listen` in [console] is no address; write it as `0.0.0.0:3000`"))
}

/// A name as browsers send it: without scheme, port or path.
fn host_name(text: &str) -> Result<String, String> {
    match url::Host::parse(text) {
        Ok(host) => Ok(host.to_string()),
        Err(_) => Err(format!("`{text}` of `names` in [console] is no name; write it as `isobar.example.org`")),
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let one = text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or(one).map_err(|_| {
        format!("`{text}` of `proxies` in [console] is no network; write it as `10.0.0.0/8` or `10.1.2.3`")
    })
}

fn user(name: &str, document: UserDocument) -> Result<UserConfig, String> {
    let place = format!("console.users.{name}");
    name_fits(name).map_err(|why| format!("[{place}]: a user cannot have that name: {why}"))?;
    let roles = document.roles.iter().map(|role| Role::parse(role)).collect::<Result<BTreeSet<_>, _>>();
    let roles = roles.map_err(|why| format!("[{place}]: {why}"))?;
    if roles.is_empty() {
        return Err(format!("[{place}] may do nothing: say `roles = [\"viewer\"]`"));
    }
    let kept = secret(&place, "password_hash", document.password_hash_env, document.password_hash_file)?;
    let hash = match (document.password_hash, kept) {
        (Some(hash), None) => {
            hash_fits(&hash)
                .map_err(|why| format!("`password_hash` of [{place}] {why}; `isobar user hash` makes one"))?;
            HashSource::Text(hash)
        }
        (None, Some(kept)) => HashSource::Kept(kept),
        (Some(_), Some(_)) => return Err(format!("[{place}] says its password's hash twice: leave one out")),
        (None, None) => {
            return Err(format!("[{place}] has no password: `isobar user hash` makes a `password_hash` of one"));
        }
    };
    Ok(UserConfig { roles, hash })
}

#[cfg(test)]
mod tests;
