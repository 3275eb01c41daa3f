//! Values of variables as Spin has them: `--variable`, then what the runtime config provides, then the environment and `.env`; the
//! default comes after all of these.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// What Spin's variables are called in the environment, but for a provider that says otherwise.
const PREFIX: &str = "SPIN_VARIABLE";

/// What of a runtime config file concerns variables; the rest is for what isobar does not have.
#[derive(Deserialize)]
struct RuntimeConfig {
    #[serde(default, alias = "config_provider", alias = "variable_provider")]
    variables_provider: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Provider {
    Static {
        values: BTreeMap<String, String>,
    },
    Env {
        prefix: Option<String>,
        dotenv_path: Option<String>,
    },
    #[serde(untagged)]
    Other {
        r#type: String,
    },
}

/// The values of `names`, as far as they are given anywhere.
///
/// # Errors
/// When a file cannot be read, or names a provider that isobar does not have.
pub(super) fn values<'n>(
    names: impl Iterator<Item = &'n String>,
    flags: &[(String, String)],
    runtime_config: Option<&Path>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let names: Vec<&String> = names.collect();
    let mut values = of_environment(&names, PREFIX, Path::new(".env"))?;
    if let Some(path) = runtime_config {
        // The first provider that has a value gives it.
        for provider in providers(path)?.into_iter().rev() {
            values.extend(provided(&names, provider, path)?);
        }
    }
    values.extend(flags.iter().cloned());
    Ok(values)
}

fn providers(path: &Path) -> anyhow::Result<Vec<Provider>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let config: RuntimeConfig = toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
    Ok(config.variables_provider)
}

fn provided(names: &[&String], provider: Provider, path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    match provider {
        Provider::Static { mut values } => {
            values.retain(|name, _| names.contains(&name));
            Ok(values)
        }
        Provider::Env { prefix, dotenv_path } => {
            let file = dotenv_path.unwrap_or_else(|| ".env".to_owned());
            of_environment(names, prefix.as_deref().unwrap_or(PREFIX), Path::new(&file))
        }
        Provider::Other { r#type } => anyhow::bail!(
            "`{}` names a provider of variables of type `{}`, and isobar has `static` and `env`\n  hint: give their values with \
             `--variable` or in the environment",
            path.display(),
            r#type
        ),
    }
}

/// What the environment says, else the file.
fn of_environment(names: &[&String], prefix: &str, file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut filed = BTreeMap::new();
    if file.exists() {
        let lines = dotenvy::from_path_iter(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        for line in lines {
            // What is wrong is not repeated: it may be a password.
            let (name, value) =
                line.map_err(|_| anyhow::anyhow!("`{}` has a line that is no `NAME=value`", file.display()))?;
            filed.insert(name, value);
        }
    }
    let value = |name: &&&String| {
        let key = format!("{prefix}_{}", name.to_uppercase());
        Some(((**name).clone(), std::env::var(&key).ok().or_else(|| filed.get(&key).cloned())?))
    };
    Ok(names.iter().filter_map(|name| value(&name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_providers_and_the_first_provider_before_the_second() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = "[[variables_provider]]\ntype = \"static\"\nvalues = { a = \"first\", b = \"first\", x = \"none\" }\n\
                      [[config_provider]]\n";
        let config = config.replace(
            "[[config_provider]]\n",
            "[[variables_provider]]\ntype = \"static\"\nvalues = { b = \"second\", c = \"second\" }\n",
        );
        std::fs::write(file.path(), config).unwrap();
        let names = ["a", "b", "c"].map(str::to_owned);
        let flags = [("a".to_owned(), "flag".to_owned())];
        let values = values(names.iter(), &flags, Some(file.path())).unwrap();
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [("a", "flag"), ("b", "first"), ("c", "second")]);
    }

    #[test]
    fn a_provider_that_isobar_does_not_have_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[[variables_provider]]\ntype = \"vault\"\nurl = \"http://v\"\ntoken = \"t\"\n")
            .unwrap();
        let names = ["a".to_owned()];
        let error = values(names.iter(), &[], Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("type `vault`") && !error.contains("http://v"), "{error}");
    }
}
