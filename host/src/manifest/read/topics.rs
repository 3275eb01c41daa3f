//! `[application.trigger.isobar.topics.*]`.

use std::collections::BTreeMap;

use super::super::bounds;
use super::super::document::{Fields, Located, Report};
use super::super::names::{self, Spelling};
use super::super::schema::wit_name;
use super::super::{Retention, Topic};

pub(super) fn read(settings: &mut Fields<'_>, application: &str) -> BTreeMap<String, Topic> {
    let mut topics = BTreeMap::new();
    let mut in_wit = BTreeMap::new();
    for (name, mut fields) in settings.tables("topics", "topic", "{ partitions = 4 }") {
        let report = fields.report();
        names::check(report, "topic", name, Spelling::Dotted);
        check_reserved(report, name, application);
        if let Some(twin) = in_wit.insert(wit_name(name.text), name.text) {
            let message = format!("topics `{twin}` and `{}` are both `{}` in WIT", name.text, wit_name(twin));
            report.add(name.at, message, "rename one of the two");
        }
        let topic = Topic {
            name: name.text.to_owned(),
            partitions: fields.small("partitions", bounds::PARTITIONS).unwrap_or(1),
            sensitive: fields.flag("sensitive"),
            retention: Retention {
                max_bytes: fields.number("retention_max_bytes", bounds::RETENTION_BYTES),
                max_hours: fields.small("retention_max_hours", bounds::RETENTION_HOURS),
            },
            max_lag_records: fields.number("max_lag_records", bounds::LAG_RECORDS),
        };
        fields.finish();
        topics.insert(topic.name.clone(), topic);
    }
    topics
}

/// Topics under `<application>.` are isobar's own (dead letters, outboxes, changelogs), as are those under `isobar.`.
fn check_reserved(report: &Report, name: Located<'_>, application: &str) {
    let prefix = name.text.split('.').next().unwrap_or_default();
    if name.text != prefix && (prefix == "isobar" || prefix == application) {
        let message = format!("topic `{}` has a reserved name: `{prefix}.` is for isobar's own topics", name.text);
        report.add(name.at, message, "give it a name that does not begin so");
    }
}
