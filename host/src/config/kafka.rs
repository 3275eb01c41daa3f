//! `[kafka]`: where the log is when it is not in the data folder, and with whose rights. The password stands in a variable of the
//! environment or in a file, never here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::stores::{Secret, host_and_port, secret};

const PORT: u16 = 9092;
const USUAL_MECHANISM: &str = "SCRAM-SHA-512";
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// Settings of the client on which it depends that nothing is lost or doubled, or that are said elsewhere; also what begins so.
const OWN_SETTINGS: [&str; 19] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    // Copies that lag would be taken for the end.
    "client.rack",
    "debug",
    "enable.",
    "group.",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "sasl.",
    "security.protocol",
    "ssl.ca",
    // Secrets, which do not belong into this file.
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "transactional.id",
];

/// A Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port` of brokers to begin with.
    pub brokers: Vec<String>,
    /// Copies of each record of topics that are made; `None`: as the brokers have it.
    pub replication: Option<i32>,
    /// Whether others on the way can read along.
    pub tls: bool,
    /// Certificates of who vouches for the brokers; `None`: those of the system.
    pub certificates: Option<PathBuf>,
    /// Who logs in.
    pub login: Option<Login>,
    /// The key by which hosts believe each other what is to run; `None`: each runs what its spin.toml says.
    pub control_key: Option<Secret>,
    /// Settings of librdkafka, handed on as they are.
    pub settings: BTreeMap<String, String>,
}

/// A name with its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// By which mechanism of SASL.
    pub mechanism: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    brokers: Vec<String>,
    replication: Option<i32>,
    #[serde(default)]
    tls: bool,
    certificates: Option<PathBuf>,
    user: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    mechanism: Option<String>,
    control_key_env: Option<String>,
    control_key_file: Option<PathBuf>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
}

/// Checks what stands there.
pub(super) fn read(document: Document) -> Result<KafkaConfig, String> {
    if document.brokers.is_empty() {
        return Err("[kafka] `brokers` names none: write `brokers = [\"127.0.0.1:9092\"]`".to_owned());
    }
    let with_port =
        |broker: String| host_and_port("[kafka] `brokers`", &broker, PORT).map(|(host, port)| format!("{host}:{port}"));
    let brokers = document.brokers.into_iter().map(with_port).collect::<Result<_, _>>()?;
    if document.replication.is_some_and(|copies| copies < 1) {
        return Err("[kafka] `replication` is less than 1".to_owned());
    }
    if document.certificates.is_some() && !document.tls {
        return Err("[kafka] has `certificates` and no `tls = true`: say both".to_owned());
    }
    let password = secret("kafka", "password", document.password_env, document.password_file)?;
    let control_key = secret("kafka", "control_key", document.control_key_env, document.control_key_file)?;
    let mechanism = document.mechanism.unwrap_or_else(|| USUAL_MECHANISM.to_owned());
    if !MECHANISMS.contains(&mechanism.as_str()) {
        return Err(format!("[kafka] `mechanism` is `{mechanism}`; write one of {}", MECHANISMS.join(", ")));
    }
    let login = match (document.user, password) {
        (Some(user), Some(password)) => Some(Login { user, password, mechanism }),
        (None, None) => None,
        (Some(_), None) => {
            return Err("[kafka] has a `user` and no password: say `password_env` or `password_file`".to_owned());
        }
        (None, Some(_)) => return Err("[kafka] has a password and no `user`: say whose it is".to_owned()),
    };
    let settings =
        document.settings.into_iter().map(|(name, value)| setting(name, &value)).collect::<Result<_, _>>()?;
    let (replication, tls, certificates) = (document.replication, document.tls, document.certificates);
    Ok(KafkaConfig { brokers, replication, tls, certificates, login, control_key, settings })
}

fn setting(name: String, value: &toml::Value) -> Result<(String, String), String> {
    if let Some(own) = OWN_SETTINGS.iter().find(|own| name == **own || own.ends_with('.') && name.starts_with(**own)) {
        return Err(format!("[kafka.settings] `{name}`: what is called `{own}` is isobar's own to set; leave it out"));
    }
    let value = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(truth) => truth.to_string(),
        _ => return Err(format!("[kafka.settings] `{name}` is neither text nor a number nor a truth value")),
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<KafkaConfig, String> {
        super::super::parse(text).map(|config| config.kafka.unwrap())
    }

    #[test]
    fn brokers_alone_are_enough() {
        let config = parsed("[kafka]\nbrokers = [\"a\", \"b:9094\"]\n").unwrap();
        assert_eq!(config.brokers, ["a:9092", "b:9094"]);
        assert_eq!((config.tls, config.login, config.replication), (false, None, None));
    }

    #[test]
    fn everything_can_be_said() {
        let text = "[kafka]\nbrokers = [\"a\"]\nreplication = 3\ntls = true\ncertificates = \"ca.pem\"\nuser = \"u\"\n\
                    password_env = \"P\"\nmechanism = \"PLAIN\"\n[kafka.settings]\n\"session.timeout.ms\" = 20000\n";
        let config = parsed(text).unwrap();
        let login = config.login.unwrap();
        assert_eq!((login.user.as_str(), login.password), ("u", Secret::Environment("P".to_owned())));
        assert_eq!(config.settings["session.timeout.ms"], "20000");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_remedy() {
        for (rest, says) in [
            ("brokers = []", "names none"),
            ("brokers = [\"a:b:c\"]", "is no address"),
            ("brokers = [\"a\"]\nreplication = 0", "less than 1"),
            ("brokers = [\"a\"]\ncertificates = \"c\"", "no `tls = true`"),
            ("brokers = [\"a\"]\nuser = \"u\"", "no password"),
            ("brokers = [\"a\"]\npassword_env = \"P\"", "no `user`"),
            ("brokers = [\"a\"]\npassword_env = \"P\"\npassword_file = \"f\"", "say one"),
            ("brokers = [\"a\"]\ncontrol_key_env = \"P\"\ncontrol_key_file = \"f\"", "`control_key_file`: say one"),
            ("brokers = [\"a\"]\nmechanism = \"GSSAPI\"", "write one of PLAIN"),
            ("brokers = [\"a\"]\nsettings = { \"enable.auto.commit\" = true }", "isobar's own"),
            ("brokers = [\"a\"]\nsettings = { \"isolation.level\" = \"x\" }", "isobar's own"),
            ("brokers = [\"a\"]\nsettings = { a = [] }", "neither text nor a number"),
            ("broker = [\"a\"]", "unknown field `broker`"),
        ] {
            let error = super::super::parse(&format!("[kafka]\n{rest}\n")).unwrap_err();
            assert!(error.contains(says), "{rest}: {error}");
        }
    }
}
