//! What can be compared with the version in charge, and what not. Pure.

use std::collections::BTreeSet;

use super::{Course, DeployError};
use crate::delivery::outcome;
use crate::embedded::shadows::Extent;
use crate::manifest::{Application, Function, Retention, TriggerSource};
use crate::registry::Version;

/// Refuses a function of whose records in Kafka it cannot be said that they are its own.
pub(super) fn publishes_alone(version: &Version) -> Result<(), DeployError> {
    let (application, function) = (&version.application, &version.function);
    let compared = function.grants.publish.iter().filter(|topic| outcome::counts(function, topic));
    let others = |topic: &String| {
        application.functions.values().find(|f| f.name != function.name && f.grants.publish.contains(topic))
    };
    match compared.filter_map(|topic| Some((topic, others(topic)?))).next() {
        Some((topic, other)) => Err(DeployError::refused(
            format!(
                "`{}` publishes to `{topic}`, and so does `{}`: it cannot be said whose records there are",
                function.name, other.name
            ),
            "let each publish to a topic of its own",
        )),
        None => Ok(()),
    }
}

/// A table that a function writes to and that is kept in a store of the operator's, and which that is.
pub(super) fn stored_elsewhere<'a>(application: &'a Application, function: &str) -> Option<(&'a str, &'a str)> {
    let mut tables = application.tables.values().filter(|table| application.writer_of(&table.name) == Some(function));
    tables.find_map(|table| Some((table.name.as_str(), table.connection.as_deref()?)))
}

/// Refuses what cannot be compared with the version in charge.
pub(super) fn comparable(charge: &Version, shadow: &Version, course: Course) -> Result<(), DeployError> {
    let replays = !matches!(course, Course::Beside);
    let (name, function) = (&shadow.function.name, &shadow.function);
    let hint = match replays {
        true => "what it made before stays as it is; a deploy without `--rebuild` counts for what comes",
        false => "deploy it without `--shadow`",
    };
    let refused = |message: String| Err(DeployError::refused(message, hint));
    let schedules = |f: &Function| f.triggers.iter().any(|t| matches!(t.source, TriggerSource::Cron(_)));
    if schedules(&charge.function) || schedules(function) {
        return refused(format!("`{name}` runs on a schedule, and only what is made of records is compared"));
    }
    if !function.allowed_outbound_hosts.is_empty() {
        return refused(format!("`{name}` may send HTTP requests, and a shadow may not: they would be sent twice"));
    }
    let topics = |f: &Function| -> Vec<String> {
        let topic = |t: &TriggerSource| if let TriggerSource::Topic(topic) = t { Some(topic.clone()) } else { None };
        let mut topics: Vec<String> = f.triggers.iter().filter_map(|t| topic(&t.source)).collect();
        topics.sort();
        topics
    };
    if topics(&charge.function) != topics(function) {
        return refused(format!("`{name}` would follow other topics than the version in charge"));
    }
    let elsewhere = stored_elsewhere(&charge.application, name).or_else(|| stored_elsewhere(&shadow.application, name));
    if let Some((table, connection)) = elsewhere.filter(|_| course.extent() == Extent::Open) {
        return Err(DeployError::refused(
            format!(
                "`{name}` writes to table `{table}`, which is kept in `{connection}`, and a shadow takes over tables in the data folder only"
            ),
            format!("`isobar replay {name}` compares what a version makes of the past with what is in `{connection}`"),
        ));
    }
    let letting_go = function.grants.publish.iter().find(|topic| {
        shadow.application.topics.get(*topic).is_some_and(|topic| topic.retention != Retention::default())
    });
    if let Some(topic) = letting_go.filter(|_| replays) {
        return refused(format!(
            "`{name}` publishes to `{topic}`, which lets go of old records, so that it cannot be said what it published"
        ));
    }
    let written = |version: &Version| -> BTreeSet<String> {
        let application = &version.application;
        application.tables.keys().filter(|table| application.writer_of(table) == Some(name)).cloned().collect()
    };
    if let Some(table) = written(charge).difference(&written(shadow)).next() {
        return refused(format!("`{name}` would not write table `{table}` any more, whose rows could not be compared"));
    }
    if charge.function.grants.state_version != function.grants.state_version && !replays {
        return refused(format!(
            "the state of `{name}` would be of another version than what is stored; `isobar deploy {name} --rebuild` computes it anew"
        ));
    }
    Ok(())
}
