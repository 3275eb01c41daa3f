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
struct Provider {
    r#type: String,
    #[serde(default)]
    values: BTreeMap<String, toml::Value>,
    prefix: Option<String>,
    dotenv_path: Option<String>,
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
    // What is wrong is not repeated: it may be a password.
    let config: RuntimeConfig = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        anyhow::anyhow!("`{}` is no runtime config of Spin; see line {line}", path.display())
    })?;
    Ok(config.variables_provider)
}

fn provided(names: &[&String], provider: Provider, path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    match provider.r#type.as_str() {
        "static" => {
            let known = provider.values.into_iter().filter(|(name, _)| names.contains(&name));
            let value = |(name, value): (String, toml::Value)| match value {
                toml::Value::String(text) => Ok((name, text)),
                _ => Err(anyhow::anyhow!("`{}` gives variable `{name}` a value that is no string", path.display())),
            };
            known.map(value).collect()
        }
        "env" => {
            let file = provider.dotenv_path.unwrap_or_else(|| ".env".to_owned());
            of_environment(names, provider.prefix.as_deref().unwrap_or(PREFIX), Path::new(&file))
        }
        other => anyhow::bail!(
            "`{}` names a provider of variables of type `{other}`, and isobar has `static` and `env`\n  hint: give their \
             values with `--variable` or in the environment",
            path.display()
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
