//! Spin's lock of an application, as `spin up` hands it to triggers, back into the manifest that it came from: as far as isobar
//! reads it, so that both ways of starting an application run the same versions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value as Json;
use toml::{Table, Value};
use url::Url;

/// Versions of the lock that are understood: the older says the same.
const LOCK_VERSIONS: [u32; 2] = [0, 1];
/// What a lock may say has to be understood, if it asks for nothing by it.
const REQUIREMENTS: &str = "host_requirements";
/// Our trigger type.
const OURS: &str = "isobar";

/// An application out of a lock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unlocked {
    /// The text of the manifest.
    pub(crate) manifest: String,
    /// The file that the application was loaded from, where it was one.
    pub(crate) origin: Option<PathBuf>,
    /// SHA-256 of components, in hex, where the lock says it, by function.
    pub(crate) digests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Lock {
    spin_lock_version: u32,
    #[serde(default)]
    must_understand: Vec<String>,
    #[serde(default)]
    host_requirements: BTreeMap<String, Json>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    triggers: Vec<Trigger>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    origin: Option<String>,
    #[serde(default)]
    triggers: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
struct Variable {
    default: Option<String>,
    #[serde(default)]
    secret: bool,
}

#[derive(Deserialize)]
struct Trigger {
    id: String,
    trigger_type: String,
    trigger_config: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
struct Component {
    id: String,
    #[serde(default)]
    metadata: BTreeMap<String, Json>,
    source: Source,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Source {
    source: Option<String>,
    digest: Option<String>,
}

/// Reads the text of a lock.
///
/// # Errors
/// What isobar does not understand of it.
pub(crate) fn unlock(text: &str) -> anyhow::Result<Unlocked> {
    let lock: Lock = serde_json::from_str(text).context("the lock is not one of Spin's")?;
    let version = lock.spin_lock_version;
    anyhow::ensure!(LOCK_VERSIONS.contains(&version), "the lock is of version {version}, which isobar does not know");
    let strange = lock.must_understand.iter().find(|what| *what != REQUIREMENTS);
    let required = lock.host_requirements.iter().find(|(_, value)| value.as_str() != Some("optional"));
    if let Some(what) = strange.or(required.map(|(name, _)| name)) {
        anyhow::bail!("the application asks for `{what}`, which isobar does not have");
    }
    let ours: Vec<&Trigger> = lock.triggers.iter().filter(|t| t.trigger_type == OURS).collect();
    let named: BTreeSet<&str> = ours.iter().filter_map(|t| t.trigger_config.get("component")?.as_str()).collect();
    let mut digests = BTreeMap::new();
    let mut components = Table::new();
    for component in lock.components.iter().filter(|c| named.contains(c.id.as_str())) {
        components.insert(component.id.clone(), Value::Table(declared(component)?));
        if let Some(digest) = &component.source.digest {
            digests.insert(component.id.clone(), digest.strip_prefix("sha256:").unwrap_or(digest).to_owned());
        }
    }
    let settings = lock.metadata.triggers.get(OURS).map(|settings| toml_of("trigger.isobar", settings)).transpose()?;
    let kinds = settings.map(|settings| Value::Table(Table::from_iter([(OURS.to_owned(), settings)])));
    let name = ("name".to_owned(), Value::String(lock.metadata.name));
    let header = [Some(name), kinds.map(|kinds| ("trigger".to_owned(), kinds))];
    let triggers = ours.into_iter().map(trigger).collect::<anyhow::Result<Vec<Value>>>()?;
    let manifest = Table::from_iter([
        ("spin_manifest_version".to_owned(), Value::Integer(2)),
        ("application".to_owned(), Value::Table(header.into_iter().flatten().collect())),
        ("variables".to_owned(), Value::Table(lock.variables.iter().map(variable).collect())),
        ("trigger".to_owned(), Value::Table(Table::from_iter([(OURS.to_owned(), Value::Array(triggers))]))),
        ("component".to_owned(), Value::Table(components)),
    ]);
    let origin = lock.metadata.origin.and_then(|origin| Url::parse(&origin).ok()?.to_file_path().ok());
    Ok(Unlocked { manifest: manifest.to_string(), origin, digests })
}

fn variable((name, variable): (&String, &Variable)) -> (String, Value) {
    let value = match &variable.default {
        Some(default) => ("default".to_owned(), Value::String(default.clone())),
        None => ("required".to_owned(), Value::Boolean(true)),
    };
    let secret = variable.secret.then(|| ("secret".to_owned(), Value::Boolean(true)));
    (name.clone(), Value::Table([Some(value), secret].into_iter().flatten().collect()))
}

/// A trigger as spin.toml has it. An id that Spin has made up is left out, as isobar has its own for those without.
fn trigger(trigger: &Trigger) -> anyhow::Result<Value> {
    let made_up = trigger.trigger_config.get("component").and_then(Json::as_str).map(|c| format!("{c}-{OURS}-trigger"));
    let mut declared = Table::new();
    if made_up.as_ref() != Some(&trigger.id) {
        declared.insert("id".to_owned(), Value::String(trigger.id.clone()));
    }
    for (key, value) in &trigger.trigger_config {
        declared.insert(key.clone(), toml_of(key, value)?);
    }
    Ok(Value::Table(declared))
}

fn declared(component: &Component) -> anyhow::Result<Table> {
    let id = &component.id;
    let source = component.source.source.as_deref().unwrap_or_default();
    let path = Url::parse(source).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok());
    let path = path.with_context(|| {
        format!("the component of `{id}` is at `{source}`, and isobar reads files only; `spin up` with a local application has it so")
    })?;
    let path = path.to_str().with_context(|| format!("the path of the component of `{id}` is not UTF-8"))?;
    let mut declared = Table::from_iter([("source".to_owned(), Value::String(path.to_owned()))]);
    if let Some(hosts) = component.metadata.get("allowed_outbound_hosts") {
        declared.insert("allowed_outbound_hosts".to_owned(), toml_of("allowed_outbound_hosts", hosts)?);
    }
    if !component.config.is_empty() {
        let variables = component.config.iter().map(|(name, value)| (name.clone(), Value::String(value.clone())));
        declared.insert("variables".to_owned(), Value::Table(variables.collect()));
    }
    Ok(declared)
}

fn toml_of(what: &str, value: &Json) -> anyhow::Result<Value> {
    Value::try_from(value).with_context(|| format!("`{what}` in the lock is nothing that a manifest can hold"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock() -> Json {
        json!({
            "spin_lock_version": 1,
            "must_understand": ["host_requirements"],
            "metadata": {
                "name": "shop",
                "origin": "file:///home/me/my%20shop/spin.toml",
                "trigger": {},
                "triggers": { "isobar": {
                    "topics": { "orders": { "partitions": 3 } },
                    "grants": { "count": { "state": true } },
                } },
            },
            "variables": { "url": { "default": "https://example.org" }, "key": { "secret": true } },
            "triggers": [
                { "id": "count-isobar-trigger", "trigger_type": "isobar",
                  "trigger_config": { "component": "count", "topic": "orders", "batch_max_records": 7 } },
                { "id": "nightly", "trigger_type": "isobar",
                  "trigger_config": { "component": "clean", "cron_expression": "0 0 0 * * *" } },
                { "id": "page", "trigger_type": "http", "trigger_config": { "component": "page", "route": "/" } },
            ],
            "components": [
                { "id": "count", "metadata": { "allowed_outbound_hosts": ["{{ url }}"], "description": "d" },
                  "source": { "content_type": "application/wasm", "source": "file:///home/me/my%20shop/count.wasm",
                              "digest": "sha256:c0ffee" },
                  "config": { "key": "{{ key }}" } },
                { "id": "clean", "source": { "content_type": "application/wasm", "source": "file:///clean.wasm" } },
                { "id": "page", "source": { "content_type": "application/wasm", "digest": "sha256:00" } },
            ],
        })
    }

    #[test]
    fn a_lock_says_what_the_manifest_says() {
        let unlocked = unlock(&lock().to_string()).unwrap();
        assert_eq!(unlocked.origin, Some(PathBuf::from("/home/me/my shop/spin.toml")));
        assert_eq!(unlocked.digests, BTreeMap::from([("count".to_owned(), "c0ffee".to_owned())]));
        let parse = |text: &str| crate::manifest::parse(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let application = parse(&unlocked.manifest);
        let written = parse(
            "spin_manifest_version = 2\n[application]\nname = \"shop\"\n[application.trigger.isobar]\n\
             topics.orders.partitions = 3\ngrants.count.state = true\n[variables]\nurl.default = \"https://example.org\"\n\
             key = { required = true, secret = true }\n[[trigger.isobar]]\ncomponent = \"count\"\ntopic = \"orders\"\n\
             batch_max_records = 7\n[[trigger.isobar]]\nid = \"nightly\"\ncomponent = \"clean\"\n\
             cron_expression = \"0 0 0 * * *\"\n[component.count]\nsource = \"count.wasm\"\n\
             allowed_outbound_hosts = [\"{{ url }}\"]\nvariables.key = \"{{ key }}\"\n[component.clean]\nsource = \"c\"\n",
        );
        assert_eq!(application.functions.keys().collect::<Vec<_>>(), ["clean", "count"]);
        for (name, function) in &written.functions {
            assert_eq!(application.declaration(&application.functions[name]), written.declaration(function));
        }
        assert_eq!(application.functions["count"].source, PathBuf::from("/home/me/my shop/count.wasm"));
    }

    #[test]
    fn what_isobar_does_not_understand_is_refused() {
        for (pointer, value, told) in [
            ("/spin_lock_version", json!(2), "version 2"),
            ("/must_understand", json!(["magic"]), "asks for `magic`"),
            ("/components/0/source/source", json!("https://example.org/count.wasm"), "isobar reads files only"),
            ("/components/0/source/source", json!(null), "isobar reads files only"),
            ("/triggers/0/trigger_config/topic", json!(null), "`topic` in the lock"),
            ("/components", json!(7), "not one of Spin's"),
        ] {
            let mut lock = lock();
            *lock.pointer_mut(pointer).unwrap() = value;
            let error = format!("{:#}", unlock(&lock.to_string()).unwrap_err());
            assert!(error.contains(told), "{pointer}: {error}");
        }
        let mut asking = lock();
        asking["host_requirements"] = json!({ "local_service_chaining": "required" });
        let error = unlock(&asking.to_string()).unwrap_err().to_string();
        assert!(error.contains("asks for `local_service_chaining`"), "{error}");
    }
}
