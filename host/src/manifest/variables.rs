//! The values of variables: what each function reads and which hosts it may call, once templates are filled in. Where
//! the given values come from (flags, environment, files) is the caller's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::outbound::{OutboundHost, without_userinfo};
use super::problem::{Problem, instead_of};
use super::template::{self, Part};
use super::{Application, Function};

/// A function's settings with every template filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The values of its variables.
    pub variables: BTreeMap<String, String>,
    /// Where it may send requests to.
    pub allowed_outbound_hosts: Vec<OutboundHost>,
    /// The values of secret variables that are in one of both.
    pub secrets: BTreeSet<String>,
}

/// Fills in the templates of every function, by function: a variable has the value `given`, else its default.
///
/// # Errors
/// Given variables that the application does not have; required ones without a value; hosts that are none.
pub fn resolve(
    application: &Application,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Resolved>, Vec<Problem>> {
    let mut problems = Vec::new();
    let known = || application.variables.keys().map(String::as_str);
    for name in given.keys().filter(|name| !application.variables.contains_key(*name)) {
        let hint = instead_of(name, known(), "declare it in `[variables]`");
        problems.push(Problem { line: None, message: format!("unknown variable `{name}`"), hint });
    }
    for (name, variable) in &application.variables {
        if variable.default.is_none() && !given.contains_key(name) {
            let message = format!("variable `{name}` is required and has no value");
            let hint = format!("give it with `--variable {name}=…` or `SPIN_VARIABLE_{}`", name.to_uppercase());
            problems.push(Problem { line: Some(variable.line), message, hint });
        }
    }
    let value = |name: &str| {
        let default = || application.variables.get(name).and_then(|v| v.default.as_deref());
        given.get(name).map(String::as_str).or_else(default)
    };
    let mut resolved = BTreeMap::new();
    for function in application.functions.values() {
        resolved.insert(function.name.clone(), fill(application, function, &value, &mut problems));
    }
    problems.sort_by_key(|p| p.line);
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// A template whose variable has no value is reported with the variable, not here.
fn fill<'v>(
    application: &Application,
    function: &'v Function,
    value: &impl Fn(&str) -> Option<&'v str>,
    problems: &mut Vec<Problem>,
) -> Resolved {
    let secrets_of = |template: &'v str| {
        let parts = template::parts(template).unwrap_or_default().into_iter();
        parts.filter_map(|part| match part {
            Part::Variable(name) if application.variables.get(name).is_some_and(|v| v.secret) => Some(name),
            _ => None,
        })
    };
    let filled = |template: &'v str| template::fill(template, value).ok().map(Cow::into_owned);
    let pairs = function.variables.iter().filter_map(|(name, t)| Some((name.clone(), filled(t)?)));
    let mut hosts = Vec::new();
    for (template, host) in function.allowed_outbound_hosts.iter().filter_map(|t| Some((t, filled(t)?))) {
        match OutboundHost::parse(&host) {
            Ok(host) => hosts.push(host),
            Err(why) => {
                let (name, shown) = (&function.name, without_userinfo(&host));
                let message = match secrets_of(template).next().is_some() {
                    true => format!("`{template}` in `allowed_outbound_hosts` of `{name}` {why}"),
                    false => format!("`{template}` in `allowed_outbound_hosts` of `{name}` is `{shown}`, which {why}"),
                };
                problems.push(Problem { line: Some(function.line), message, hint: why.hint().to_owned() });
            }
        }
    }
    let templates = function.variables.values().chain(&function.allowed_outbound_hosts);
    let secrets = templates.flat_map(|template| secrets_of(template)).filter_map(value).map(str::to_owned);
    Resolved { variables: pairs.collect(), allowed_outbound_hosts: hosts, secrets: secrets.collect() }
}
