//! Where sensitive data may go: a function that reads some may write only to what is sensitive too, or to what its
//! grant releases. A host that it may send requests to is such a target.

use std::collections::BTreeMap;

use super::super::document::{At, Located, Report};
use super::super::problem::quoted;
use super::super::{Function, Operation, Table, TriggerSource};
use super::grants::Declared;

/// Reports each of `targets` (granted tables and topics) that `function`, whose grants stand at `at`, may not write to.
pub(super) fn check(report: &Report, at: At, function: &Function, targets: &[Located<'_>], declared: &Declared<'_>) {
    let sources = sensitive_sources(function, declared);
    if sources.is_empty() {
        return;
    }
    for letters in function.triggers.iter().filter_map(|t| t.dead_letters.as_ref()) {
        if declared.topics.get(letters).is_some_and(|t| !t.sensitive) {
            let message = format!(
                "`{}` reads sensitive data ({}), and its dead letters go to `{letters}`, which is not sensitive",
                function.name,
                quoted(sources.iter().copied()),
            );
            report.add(
                at,
                message,
                format!("declare `{letters}` with `sensitive = true`, or leave `dead_letters` out"),
            );
        }
    }
    let open = |name: &str| {
        let written = function.grants.tables.get(name).is_some_and(|g| g.operations.iter().any(|o| o.writes()));
        let table = written && declared.tables.get(name).is_some_and(|t| !t.sensitive);
        let published = function.grants.publish.contains(name);
        let topic = published && declared.topics.get(name).is_some_and(|t| !t.sensitive);
        (table || topic) && !function.grants.releases.contains(name)
    };
    for target in targets.iter().filter(|t| open(t.text)) {
        let message = format!(
            "`{}` reads sensitive data ({}) and may write it to `{}`, which is not sensitive",
            function.name,
            quoted(sources.iter().copied()),
            target.text
        );
        let hint = format!(
            "declare `{}` with `sensitive = true`, or add `releases = [\"{}\"]` if all that it writes there may be seen",
            target.text, target.text
        );
        report.add(target.at, message, hint);
    }
}

/// Reports the hosts to which functions that read sensitive data could send them. A request's path is enough for that.
pub(super) fn refuse_sending(report: &Report, functions: &BTreeMap<String, Function>, declared: &Declared<'_>) {
    for function in functions.values() {
        let sources = sensitive_sources(function, declared);
        let open = |host: &&String| !function.grants.releases.contains(*host);
        if let Some(host) = function.allowed_outbound_hosts.iter().find(open).filter(|_| !sources.is_empty()) {
            let name = &function.name;
            let message = format!(
                "`{name}` reads sensitive data ({}) and may send it to `{host}`",
                quoted(sources.iter().copied())
            );
            let hint = format!(
                "leave the requests to another function, or add `releases = [\"{host}\"]` to \
                 [application.trigger.isobar.grants.{name}] if all that it sends there may be seen"
            );
            report.add_at_line(function.line, message, hint);
        }
    }
}

/// Tables and topics that `function` reads and that are sensitive, or of which it reads sensitive columns.
fn sensitive_sources<'f>(function: &'f Function, declared: &Declared<'_>) -> Vec<&'f str> {
    let mut sources: Vec<&str> = Vec::new();
    for (name, grant) in &function.grants.tables {
        let reads = grant.operations.contains(&Operation::Get) || grant.operations.contains(&Operation::Scan);
        let sensitive =
            |t: &Table| t.sensitive || t.columns.iter().any(|c| c.sensitive && grant.columns.contains(&c.name));
        if reads && declared.tables.get(name).is_some_and(sensitive) {
            sources.push(name);
        }
    }
    for trigger in &function.triggers {
        if let TriggerSource::Topic(topic) = &trigger.source
            && declared.topics.get(topic).is_some_and(|t| t.sensitive)
        {
            sources.push(topic);
        }
    }
    sources
}
