//! What the operator says, in `isobar.toml`: where the application runs, not what it is. Pure; reading the file is the
//! caller's.

pub mod console;
pub mod kafka;
pub mod policy;
pub mod stores;

use std::collections::BTreeSet;

use http::Uri;
use serde::Deserialize;

use crate::manifest::access::widened;
use crate::manifest::{Application, DATA_FOLDER};

/// Everything in `isobar.toml`; what is not said is as usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Room on the data folder's disk, in MiB, below which functions that have stored the most wait.
    pub keep_free_mb: Option<u64>,
    /// By way of which proxy requests to `https` names go.
    pub https_proxy: Option<Uri>,
    /// Stores that tables are kept in.
    pub stores: Vec<stores::ConnectionConfig>,
    /// The cluster that holds the log; `None`: the data folder does.
    pub kafka: Option<kafka::KafkaConfig>,
    /// What any manifest may say; `None`: deploys may not widen access to what is sensitive.
    pub policy: Option<policy::Policy>,
    /// How people reach the host.
    pub console: console::ConsoleConfig,
}

impl Config {
    /// Says for each table which connection serves it. Where the log is in Kafka, those of the data folder come by the outbox, too.
    ///
    /// # Errors
    /// Where connections name tables that they cannot serve.
    pub fn place(&self, application: &mut Application) -> Result<(), String> {
        stores::place(application, &self.stores)?;
        if self.kafka.is_some() {
            let rest = application.tables.values_mut().filter(|table| table.connection.is_none());
            rest.for_each(|table| table.connection = Some(DATA_FOLDER.to_owned()));
        }
        Ok(())
    }

    /// By what `new` widens access to what is sensitive beyond `base`, as far as no policy names it; in words. Functions that are
    /// `knowing` may have such things in their state.
    #[must_use]
    pub fn widened(&self, base: &Application, new: &Application, knowing: &BTreeSet<String>) -> Vec<String> {
        match &self.policy {
            Some(policy) => policy.widened(base, new, knowing),
            None => widened(base, new, knowing),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    disk: Disk,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    stores: stores::Document,
    kafka: Option<kafka::Document>,
    policy: Option<policy::Document>,
    console: Option<console::Document>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    keep_free_mb: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    https_proxy: Option<String>,
}

/// Reads the text of an `isobar.toml`.
///
/// # Errors
/// What is wrong with it, where, and what to write instead.
pub fn parse(text: &str) -> Result<Config, String> {
    let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
    let https_proxy = document.http.https_proxy.as_deref().map(proxy).transpose()?;
    let stores = stores::read(document.stores)?;
    let kafka = document.kafka.map(kafka::read).transpose()?;
    let policy = document.policy.map(policy::read).transpose()?;
    let console = document.console.map(console::read).transpose()?.unwrap_or_default();
    Ok(Config { keep_free_mb: document.disk.keep_free_mb.map(u64::from), https_proxy, stores, kafka, policy, console })
}

/// `http://name:port`. The text is not repeated in what is wrong: it could hold a password.
fn proxy(text: &str) -> Result<Uri, String> {
    let wrong = |what: &str| format!("`https_proxy` of [http] {what}; write it as `http://proxy.example.org:3128`");
    let uri: Uri = text.parse().map_err(|_| wrong("is no address"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("does not begin with `http://`"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("holds a name or password, which are not supported"));
    }
    if uri.port_u16().is_none() || uri.path_and_query().is_some_and(|p| p.as_str() != "/") {
        return Err(wrong("is not a host with a port and nothing else"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_as_usual() {
        assert_eq!(parse("").unwrap(), Config::default());
        assert_eq!(parse("[disk]\n[http]\n").unwrap(), Config::default());
    }

    #[test]
    fn everything_can_be_said() {
        let config = parse("[disk]\nkeep_free_mb = 512\n[http]\nhttps_proxy = \"http://10.0.0.7:3128\"\n").unwrap();
        assert_eq!(config.keep_free_mb, Some(512));
        assert_eq!(config.https_proxy.unwrap().authority().unwrap().as_str(), "10.0.0.7:3128");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_or_remedy() {
        for (text, says) in [
            ("[disk]\nkeep_free = 1\n", "unknown field `keep_free`"),
            ("[disk]\nkeep_free = 1\n", "line 2"),
            ("[disk]\nkeep_free_mb = -1\n", "keep_free_mb = -1"),
            ("[https]\n", "unknown field `https`"),
            ("[http]\nhttps_proxy = \"https://p:1\"\n", "does not begin with `http://`"),
            ("[http]\nhttps_proxy = \"http://u:secret@p:1\"\n", "holds a name or password"),
            ("[http]\nhttps_proxy = \"http://p\"\n", "not a host with a port"),
            ("[http]\nhttps_proxy = \"http://p:1/x\"\n", "not a host with a port"),
            ("[http]\nhttps_proxy = \"\"\n", "is no address"),
            ("[[", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
