//! `[stores.*]`: where tables are kept that are not in the data folder, and with whose rights. Passwords stand in variables of
//! the environment or in files, never here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::manifest::{Application, nearest};

/// How long a store may take for one answer where nothing is said.
const USUAL_TIMEOUT_MS: u32 = 10_000;
/// A store that is slower than a minute is away.
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=60_000;
/// Cassandra takes no longer name of a keyspace or table.
const MOST_NAME_BYTES: usize = 48;
const POSTGRES_PORT: u16 = 5432;
const CASSANDRA_PORT: u16 = 9042;

/// One connection: a store with a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// `cassandra`, `postgres`, or `postgres.NAME` for one with tables of its own.
    pub name: String,
    /// The tables that it alone serves; `None`: those of the store that no other serves.
    pub tables: Option<Vec<String>>,
    /// Who logs in.
    pub user: Option<String>,
    /// With what.
    pub password: Option<Secret>,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// Where.
    pub backend: Backend,
}

impl ConnectionConfig {
    /// The table that keeps the writes of this connection in order: each has its own, as it has its own login.
    #[must_use]
    pub fn fence(&self) -> String {
        match self.name.split_once('.') {
            Some((_, name)) => format!("isobar_fence_{name}"),
            None => "isobar_fence".to_owned(),
        }
    }
}

/// Which store, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Cassandra, or what speaks its protocol.
    Cassandra(CassandraConfig),
    /// Postgres.
    Postgres(PostgresConfig),
}

/// Where Cassandra is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CassandraConfig {
    /// `host:port` of nodes to begin with.
    pub nodes: Vec<String>,
    /// The keyspace; made if it is missing.
    pub keyspace: String,
    /// As in `CREATE KEYSPACE … WITH replication`.
    pub replication: BTreeMap<String, String>,
    /// Of reads and writes, such as `local-quorum`.
    pub consistency: String,
    /// Who certified the nodes, where others on the way must not read along.
    pub authority: Option<PathBuf>,
}

/// Where Postgres is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The schema; made if it is missing.
    pub schema: String,
    /// How the conversation is kept from others.
    pub tls: Tls,
}

/// Whether others on the way can read along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// They can.
    Off,
    /// They cannot, and the server proves its name, by certificates of this file or by those of public authorities.
    Verified(Option<PathBuf>),
}

/// Where a secret is: a password, or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In a variable of the environment.
    Environment(String),
    /// In the first line of a file.
    File(PathBuf),
}

impl Secret {
    /// The secret.
    ///
    /// # Errors
    /// When the variable is not set, or the file cannot be read; the text does not hold the secret.
    pub fn read(&self) -> anyhow::Result<String> {
        match self {
            Secret::Environment(name) => {
                std::env::var(name).map_err(|_| anyhow::anyhow!("the variable `{name}` with the secret is not set"))
            }
            Secret::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| anyhow::anyhow!("cannot read the secret in `{}`: {error}", path.display()))?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
        }
    }
}

/// `[stores]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    cassandra: Option<CassandraDocument>,
    postgres: Option<PostgresDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CassandraDocument {
    nodes: Vec<String>,
    keyspace: String,
    replication: Option<BTreeMap<String, toml::Value>>,
    consistency: Option<String>,
    #[serde(default)]
    tls: bool,
    certificates: Option<PathBuf>,
    user: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    timeout_ms: Option<u32>,
    #[serde(default)]
    connections: BTreeMap<String, Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostgresDocument {
    address: String,
    database: String,
    schema: String,
    #[serde(default)]
    tls: bool,
    certificates: Option<PathBuf>,
    user: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    timeout_ms: Option<u32>,
    #[serde(default)]
    connections: BTreeMap<String, Named>,
}

/// A connection with a login of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    tables: Vec<String>,
    user: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
}

/// Checks what stands there.
pub(super) fn read(document: Document) -> Result<Vec<ConnectionConfig>, String> {
    let mut connections = Vec::new();
    if let Some(cassandra) = document.cassandra {
        let authority = match (cassandra.tls, cassandra.certificates) {
            (true, Some(certificates)) => Some(certificates),
            (false, None) => None,
            // Nodes have to prove their addresses, which public authorities seldom certify.
            (true, None) => {
                return Err(
                    "[stores.cassandra] has `tls = true` and no `certificates`: name the file with the certificate of \
                            the authority that certified the nodes"
                        .to_owned(),
                );
            }
            (false, Some(_)) => return Err(half("cassandra")),
        };
        let backend = Backend::Cassandra(CassandraConfig {
            authority,
            nodes: nodes(cassandra.nodes)?,
            keyspace: name("cassandra", "keyspace", cassandra.keyspace)?,
            replication: replication(cassandra.replication)?,
            consistency: cassandra.consistency.unwrap_or_else(|| "local-quorum".to_owned()),
        });
        let own = Named {
            tables: Vec::new(),
            user: cassandra.user,
            password_env: cassandra.password_env,
            password_file: cassandra.password_file,
        };
        all(&mut connections, "cassandra", &backend, own, cassandra.connections, cassandra.timeout_ms)?;
    }
    if let Some(postgres) = document.postgres {
        let (host, port) = host_and_port("[stores.postgres] `address`", &postgres.address, POSTGRES_PORT)?;
        let tls = match (postgres.tls, postgres.certificates) {
            (true, certificates) => Tls::Verified(certificates),
            (false, None) => Tls::Off,
            (false, Some(_)) => return Err(half("postgres")),
        };
        let schema = name("postgres", "schema", postgres.schema)?;
        let backend = Backend::Postgres(PostgresConfig { host, port, database: postgres.database, schema, tls });
        let own = Named {
            tables: Vec::new(),
            user: postgres.user,
            password_env: postgres.password_env,
            password_file: postgres.password_file,
        };
        all(&mut connections, "postgres", &backend, own, postgres.connections, postgres.timeout_ms)?;
    }
    Ok(connections)
}

fn half(store: &str) -> String {
    format!("[stores.{store}] has `certificates` and no `tls = true`: say both")
}

/// The store's own connection and its named ones.
fn all(
    connections: &mut Vec<ConnectionConfig>,
    store: &str,
    backend: &Backend,
    own: Named,
    named: BTreeMap<String, Named>,
    timeout_ms: Option<u32>,
) -> Result<(), String> {
    let timeout_ms = timeout_ms.unwrap_or(USUAL_TIMEOUT_MS);
    if !TIMEOUT_MS.contains(&timeout_ms) {
        let (least, most) = TIMEOUT_MS.into_inner();
        return Err(format!("[stores.{store}] `timeout_ms` is {timeout_ms}; keep to {least} to {most}"));
    }
    let timeout = Duration::from_millis(timeout_ms.into());
    for name in named.keys() {
        self::name(store, "connections", name.clone())?;
    }
    let others = named.into_iter().map(|(name, named)| (format!("{store}.{name}"), Some(named.tables.clone()), named));
    for (name, tables, login) in std::iter::once((store.to_owned(), None, own)).chain(others) {
        let password = secret(&format!("stores.{name}"), "password", login.password_env, login.password_file)?;
        if password.is_some() && login.user.is_none() {
            return Err(format!("[stores.{name}] has a password and no `user`: say whose it is"));
        }
        let backend = backend.clone();
        connections.push(ConnectionConfig { name, tables, user: login.user, password, timeout, backend });
    }
    Ok(())
}

/// The secret `name` of `[section]`, where one is said.
pub(super) fn secret(
    section: &str,
    name: &str,
    env: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<Secret>, String> {
    match (env, file) {
        (Some(_), Some(_)) => Err(format!("[{section}] has `{name}_env` and `{name}_file`: say one")),
        (Some(variable), None) => Ok(Some(Secret::Environment(variable))),
        (None, Some(file)) => Ok(Some(Secret::File(file))),
        (None, None) => Ok(None),
    }
}

/// What becomes part of statements: letters, digits and underscores.
fn name(store: &str, field: &str, text: String) -> Result<String, String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    match is_plain && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= MOST_NAME_BYTES {
        true => Ok(text),
        false => Err(format!(
            "[stores.{store}] `{field}` is `{text}`: write up to {MOST_NAME_BYTES} lower-case letters, digits and underscores, a letter first"
        )),
    }
}

fn nodes(nodes: Vec<String>) -> Result<Vec<String>, String> {
    if nodes.is_empty() {
        return Err("[stores.cassandra] `nodes` names none: write `nodes = [\"127.0.0.1:9042\"]`".to_owned());
    }
    let with_port = |node: String| {
        host_and_port("[stores.cassandra] `nodes`", &node, CASSANDRA_PORT).map(|(host, port)| format!("{host}:{port}"))
    };
    nodes.into_iter().map(with_port).collect()
}

/// `host`, `host:port` or `[::1]:port`.
pub(super) fn host_and_port(place: &str, text: &str, usual: u16) -> Result<(String, u16), String> {
    let wrong = || format!("{place}: `{text}` is no address; write `host:port`");
    let authority: http::uri::Authority = text.parse().map_err(|_| wrong())?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(wrong());
    }
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    match (has_port, authority.port_u16()) {
        (_, Some(port)) => Ok((authority.host().to_owned(), port)),
        (false, None) => Ok((authority.host().to_owned(), usual)),
        (true, None) => Err(wrong()),
    }
}

fn replication(said: Option<BTreeMap<String, toml::Value>>) -> Result<BTreeMap<String, String>, String> {
    let Some(said) = said else {
        let one = [("class", "SimpleStrategy"), ("replication_factor", "1")];
        return Ok(one.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    };
    let text = |(key, value): (String, toml::Value)| match value {
        toml::Value::String(text) => Ok((key, text)),
        toml::Value::Integer(number) => Ok((key, number.to_string())),
        _ => Err(format!("[stores.cassandra] `replication.{key}` is neither text nor a number")),
    };
    said.into_iter().map(text).collect()
}

/// Says for each table which connection serves it; those of a store that is not configured stay in the data folder.
///
/// # Errors
/// Where connections name tables that they cannot serve.
pub(super) fn place(application: &mut Application, connections: &[ConnectionConfig]) -> Result<(), String> {
    for connection in connections {
        let store = connection.name.split('.').next().unwrap_or_default();
        for name in connection.tables.iter().flatten() {
            let section = format!("[stores.{}]", connection.name.replacen('.', ".connections.", 1));
            let Some(table) = application.tables.get_mut(name) else {
                let near = nearest(name, application.tables.keys().map(String::as_str));
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return Err(format!("{section} `tables`: there is no table `{name}`{hint}"));
            };
            if table.store != store {
                return Err(format!("{section} `tables`: table `{name}` is of store `{}`, not `{store}`", table.store));
            }
            if let Some(other) = &table.connection {
                return Err(format!("{section} `tables`: table `{name}` is served by `{other}` already"));
            }
            table.connection = Some(connection.name.clone());
        }
    }
    for connection in connections.iter().filter(|c| c.tables.is_none()) {
        let rest = application.tables.values_mut().filter(|t| t.store == connection.name && t.connection.is_none());
        rest.for_each(|table| table.connection = Some(connection.name.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
