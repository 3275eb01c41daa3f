//! `[[trigger.isobar]]`. Triggers of other types are Spin's and are left alone.

use std::collections::{BTreeMap, BTreeSet};

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds};

use super::super::bounds;
use super::super::document::{Fields, Located, Report, elements};
use super::super::names::{self, Spelling};
use super::super::problem::{instead_of, nearest};
use super::super::{CatchUp, Delivery, OnFailure, Overlap, Timing, Topic, Trigger, TriggerSource};
use super::components::Components;

/// The trigger type that isobar runs.
pub(super) const OURS: &str = "isobar";

pub(super) fn read(top: &mut Fields<'_>, components: &mut Components<'_>, topics: &BTreeMap<String, Topic>) {
    let report = top.report();
    let mut ids = BTreeMap::new();
    let kinds = top.get("trigger").and_then(|e| Fields::of(report, "`trigger`", e));
    for kind in kinds.iter().flat_map(Fields::entries) {
        if kind.key.text != OURS {
            refuse_misspelling(report, kind.key);
            continue;
        }
        if kind.value.is_table() {
            components.has_unclear_triggers = true;
            let hint = "write `[[trigger.isobar]]`: there may be several";
            report.add(kind.key.at, "`[trigger.isobar]` is not a list of triggers", hint);
            continue;
        }
        for element in elements(report, kind, "`trigger.isobar`") {
            if let Some(fields) = Fields::of(report, "a `[[trigger.isobar]]`", element) {
                trigger(fields, components, topics, &mut ids);
            }
        }
    }
}

/// Reports a trigger type that was surely meant to be ours: Spin would only look for a plugin of that name.
pub(super) fn refuse_misspelling(report: &Report, kind: Located<'_>) {
    if nearest(kind.text, [OURS]).is_some() {
        report.add(kind.at, format!("unknown trigger type `{}`", kind.text), "did you mean `isobar`?");
    }
}

/// The components that triggers of other types run and none of ours does: they are Spin's alone.
pub(super) fn components_of_others<'a>(top: &mut Fields<'a>) -> BTreeSet<&'a str> {
    let kinds = top.get("trigger").and_then(|e| e.value.as_table());
    let mut ours = BTreeSet::new();
    let mut others = BTreeSet::new();
    for (kind, triggers) in kinds.into_iter().flatten() {
        let named = if kind.get_ref() == OURS { &mut ours } else { &mut others };
        let triggers = triggers.get_ref().as_array().into_iter().flat_map(|a| a.iter());
        named.extend(triggers.filter_map(|t| t.get_ref().get("component")?.get_ref().as_str()));
    }
    others.difference(&ours).copied().collect()
}

fn trigger<'a>(
    mut fields: Fields<'a>,
    components: &mut Components<'_>,
    topics: &BTreeMap<String, Topic>,
    ids: &mut BTreeMap<&'a str, usize>,
) {
    let report = fields.report();
    let said = fields.string("id");
    if let Some(id) = said {
        names::check(report, "trigger", id, Spelling::Dotted);
        fields.call(format!("trigger `{}`", id.text));
    }
    let component = component(&mut fields);
    if let (None, Some(component)) = (said, component) {
        fields.call(format!("the trigger of `{}`", component.text));
    }
    let source = source(&mut fields, topics);
    let delivery = delivery(&mut fields, matches!(source, Some(TriggerSource::Cron(_))));
    let timing = timing(&mut fields, matches!(source, Some(TriggerSource::Topic(_))));
    if let Some(id) = said.or(component)
        && let Some(line) = ids.insert(id.text, report.line(id.at))
    {
        let message = format!("two triggers have the id `{}`; the other is on line {line}", id.text);
        report.add(id.at, message, "give each an `id` of its own");
    }
    if let Some(id) = said.or(component)
        && matches!(source, Some(TriggerSource::Cron(_)))
        && topics.contains_key(id.text)
    {
        // Positions stand under a function and the name of what it follows.
        let message = format!("a schedule has the id `{}`, which is a topic's name", id.text);
        report.add(id.at, message, "give the schedule another `id`");
    }
    let dead_letters = fields.string("dead_letters").filter(|topic| is_topic(report, *topic, topics));
    if let (Some(letters), Some(TriggerSource::Topic(topic))) = (dead_letters, &source)
        && letters.text == topic
    {
        let message = format!("the dead letters of topic `{topic}` go to that topic, from where they would come again");
        report.add(letters.at, message, "name another topic, or leave `dead_letters` out");
    }
    if let (Some(letters), Some(TriggerSource::Topic(topic))) = (dead_letters, &source)
        && topics.get(topic).is_some_and(|t| t.sensitive)
        && topics.get(letters.text).is_some_and(|t| !t.sensitive)
    {
        let message =
            format!("topic `{topic}` is sensitive, and its dead letters go to `{}`, which is not", letters.text);
        let hint = format!("declare `{}` with `sensitive = true`, or leave `dead_letters` out", letters.text);
        report.add(letters.at, message, hint);
    }
    let what = What { source, delivery, timing, dead_letters: dead_letters.map(|topic| topic.text.to_owned()) };
    match component {
        Some(component) => attach(report, component, said, what, components),
        None => components.has_unclear_triggers = true,
    }
    fields.finish();
}

/// What a trigger says beside its name.
struct What {
    source: Option<TriggerSource>,
    delivery: Delivery,
    timing: Timing,
    dead_letters: Option<String>,
}

/// Gives the trigger to its function.
fn attach(
    report: &Report,
    component: Located<'_>,
    id: Option<Located<'_>>,
    what: What,
    components: &mut Components<'_>,
) {
    let What { source, delivery, timing, dead_letters } = what;
    let Some(function) = components.functions.get_mut(component.text) else {
        components.has_unclear_triggers = true;
        let known = components.functions.keys().map(String::as_str);
        let hint = instead_of(component.text, known, &format!("add `[component.{}]`", component.text));
        report.add(component.at, format!("a trigger names component `{}`, which does not exist", component.text), hint);
        return;
    };
    if let Some(TriggerSource::Topic(topic)) = &source
        && function.triggers.iter().any(|t| Some(&t.source) == source.as_ref())
    {
        let message = format!("two triggers give topic `{topic}` to component `{}`", component.text);
        report.add(component.at, message, "remove one of the two: each record comes once");
    }
    let id = id.unwrap_or(component).text.to_owned();
    let source = source.unwrap_or_else(|| TriggerSource::Topic(String::new()));
    function.triggers.push(Trigger { id, source, delivery, timing, dead_letters });
}

fn component<'a>(fields: &mut Fields<'a>) -> Option<Located<'a>> {
    let inline = fields.get("component").filter(|e| e.value.is_table());
    if let Some(inline) = inline {
        let hint = "move it to a `[component.…]` of its own and give its name here";
        fields.report().add(inline.key.at, "a trigger holds its component, which isobar does not read", hint);
        return None;
    }
    fields.required_string("component", "add `component = \"…\"`")
}

fn source(fields: &mut Fields<'_>, topics: &BTreeMap<String, Topic>) -> Option<TriggerSource> {
    let report = fields.report();
    let topic = fields.string("topic");
    let cron = fields.string("cron_expression");
    match (topic, cron) {
        (Some(topic), None) => {
            is_topic(report, topic, topics);
            Some(TriggerSource::Topic(topic.text.to_owned()))
        }
        (None, Some(cron)) => {
            check_cron(report, cron);
            Some(TriggerSource::Cron(cron.text.to_owned()))
        }
        (Some(_), Some(cron)) => {
            let message = "a trigger has both `topic` and `cron_expression`";
            report.add(cron.at, message, "make it two triggers with an `id` each");
            None
        }
        (None, None) => {
            if fields.get("topic").or(fields.get("cron_expression")).is_none() {
                let hint = "add `topic = \"…\"` or `cron_expression = \"0 */10 * * * *\"`";
                report.add(fields.at(), "a trigger has neither `topic` nor `cron_expression`", hint);
            }
            None
        }
    }
}

/// Reports a name that is no declared topic; true where it is one.
pub(super) fn is_topic(report: &Report, topic: Located<'_>, topics: &BTreeMap<String, Topic>) -> bool {
    let known = topics.contains_key(topic.text);
    if !known {
        let quote = if topic.text.contains('.') { "\"" } else { "" };
        let declare = format!("declare it: `[application.trigger.isobar.topics.{quote}{}{quote}]`", topic.text);
        let near = nearest(topic.text, topics.keys().map(String::as_str));
        let hint = near.map_or_else(|| declare.clone(), |near| format!("did you mean `{near}`? else {declare}"));
        report.add(topic.at, format!("topic `{}` is not declared", topic.text), hint);
    }
    known
}

/// Reports an expression that croner does not read with seconds first.
pub(super) fn check_cron(report: &Report, cron: Located<'_>) {
    let parser = CronParser::builder().seconds(Seconds::Required).build();
    if let Err(error) = parser.parse(cron.text) {
        let hint = match cron.text.split_whitespace().count() {
            5 => format!("seconds come first: `0 {}`", cron.text.trim()),
            _ => "write six fields: second minute hour day month weekday, in UTC, such as `0 */10 * * * *`".to_owned(),
        };
        report.add(cron.at, format!("cron expression `{}` cannot be read: {}", cron.text, reason(&error)), hint);
    } else if cron.text.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
        // The parser takes a list of nothing for never.
        let message = format!("cron expression `{}` has a `,` with nothing before or after it", cron.text);
        report.add(cron.at, message, "write a value there, or leave the `,` out");
    }
}

/// The parser's reason in the form of our own messages.
fn reason(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text) | CronError::IllegalCharacters(text) | CronError::ComponentError(text) => {
            text.clone()
        }
        other => other.to_string(),
    };
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn delivery(fields: &mut Fields<'_>, is_scheduled: bool) -> Delivery {
    let default = Delivery::default();
    for key in ["batch_max_records", "batch_max_bytes", "batch_wait_ms", "retry_timeout_ms", "dead_letters"] {
        if let Some(entry) = fields.get(key).filter(|_| is_scheduled) {
            let message = format!("`{key}` says nothing of a schedule, which has no records");
            fields.report().add(entry.key.at, message, "remove it");
        }
    }
    Delivery {
        batch_max_records: fields
            .small("batch_max_records", bounds::BATCH_RECORDS)
            .unwrap_or(default.batch_max_records),
        batch_max_bytes: fields.small("batch_max_bytes", bounds::BATCH_BYTES).unwrap_or(default.batch_max_bytes),
        batch_wait_ms: fields.small("batch_wait_ms", bounds::BATCH_WAIT_MS).unwrap_or(default.batch_wait_ms),
        max_attempts: fields.small("max_attempts", bounds::ATTEMPTS).unwrap_or(default.max_attempts),
        retry_backoff_ms: fields.small("retry_backoff_ms", bounds::BACKOFF_MS).unwrap_or(default.retry_backoff_ms),
        retry_timeout_ms: fields
            .small("retry_timeout_ms", bounds::RETRY_TIMEOUT_MS)
            .unwrap_or(default.retry_timeout_ms),
        on_failure: one_of(fields, "on_failure", [("keep", OnFailure::Keep), ("rollback", OnFailure::Rollback)]),
    }
}

fn timing(fields: &mut Fields<'_>, is_of_topic: bool) -> Timing {
    for key in ["overlap", "catch_up", "jitter_ms"] {
        if let Some(entry) = fields.get(key).filter(|_| is_of_topic) {
            let message = format!("`{key}` says nothing of a topic, whose records come when they are published");
            fields.report().add(entry.key.at, message, "remove it");
        }
    }
    let overlaps = [("skip", Overlap::Skip), ("queue", Overlap::Queue)];
    let catch_ups = [("once", CatchUp::Once), ("all", CatchUp::All), ("none", CatchUp::None)];
    Timing {
        overlap: one_of(fields, "overlap", overlaps),
        catch_up: one_of(fields, "catch_up", catch_ups),
        jitter_ms: fields.small("jitter_ms", bounds::JITTER_MS).unwrap_or_default(),
    }
}

/// A word of those that there are, the first where none is said.
fn one_of<T: Copy + Default, const N: usize>(fields: &mut Fields<'_>, key: &'static str, words: [(&str, T); N]) -> T {
    let Some(said) = fields.string(key) else { return T::default() };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == said.text) {
        return *value;
    }
    let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    fields.report().add(said.at, format!("`{key}` is `{}`", said.text), format!("write one of {}", known.join(", ")));
    T::default()
}
