//! `[application.trigger.isobar.limits.*]`.

use super::super::document::{Fields, Report};
use super::super::{Application, HttpLimits, Limits, Trigger, TriggerSource, bounds};

/// Reads the limits of one function; what is not said has its default.
pub(super) fn read(mut fields: Fields<'_>) -> Limits {
    let usual = Limits::default();
    let limits = Limits {
        memory_mb: fields.small("memory_mb", bounds::MEMORY_MB).unwrap_or(usual.memory_mb),
        timeout_ms: fields.small("timeout_ms", bounds::TIMEOUT_MS).unwrap_or(usual.timeout_ms),
        table_elements: fields.small("table_elements", bounds::TABLE_ELEMENTS).unwrap_or(usual.table_elements),
        output_bytes: fields.small("output_bytes", bounds::OUTPUT_BYTES).unwrap_or(usual.output_bytes),
        output_bytes_per_minute: fields
            .small("output_bytes_per_minute", bounds::OUTPUT_BYTES)
            .unwrap_or(usual.output_bytes_per_minute),
        state_value_bytes: fields
            .small("state_value_bytes", bounds::STATE_VALUE_BYTES)
            .unwrap_or(usual.state_value_bytes),
        state_bytes: fields.number("state_bytes", bounds::STORED_BYTES).unwrap_or(usual.state_bytes),
        publish_records: fields.small("publish_records", bounds::HELD_ITEMS).unwrap_or(usual.publish_records),
        publish_bytes: fields.small("publish_bytes", bounds::HELD_BYTES).unwrap_or(usual.publish_bytes),
        write_rows: fields.small("write_rows", bounds::HELD_ITEMS).unwrap_or(usual.write_rows),
        write_bytes: fields.small("write_bytes", bounds::HELD_BYTES).unwrap_or(usual.write_bytes),
        read_rows: fields.small("read_rows", bounds::HELD_ITEMS).unwrap_or(usual.read_rows),
        read_bytes: fields.small("read_bytes", bounds::HELD_BYTES).unwrap_or(usual.read_bytes),
        held_bytes: fields.small("held_bytes", bounds::HELD_BYTES).unwrap_or(usual.held_bytes),
        stored_bytes: fields.number("stored_bytes", bounds::STORED_BYTES).unwrap_or(usual.stored_bytes),
        rounds: fields.small("rounds", bounds::ROUNDS).unwrap_or(usual.rounds),
        max_dead_letters: fields.small("max_dead_letters", bounds::DEAD_LETTERS).unwrap_or(usual.max_dead_letters),
        http: http(&mut fields),
    };
    fields.finish();
    limits
}

fn http(fields: &mut Fields<'_>) -> HttpLimits {
    let default = HttpLimits::default();
    HttpLimits {
        request_bytes: fields.small("http_request_bytes", bounds::HTTP_BYTES).unwrap_or(default.request_bytes),
        response_bytes: fields.small("http_response_bytes", bounds::HTTP_BYTES).unwrap_or(default.response_bytes),
        requests: fields.small("http_requests", bounds::HTTP_REQUESTS).unwrap_or(default.requests),
        concurrent: fields.small("http_concurrent", bounds::HTTP_CONCURRENT).unwrap_or(default.concurrent),
        timeout_ms: fields.small("http_timeout_ms", bounds::TIMEOUT_MS).unwrap_or(default.timeout_ms),
    }
}

/// Reports functions whose records or dead letters come back to them without an end.
pub(super) fn refuse_endless(report: &Report, application: &Application) {
    for function in application.functions.values() {
        // That a trigger names its own topic is reported with the trigger.
        let others =
            |t: &&Trigger| !matches!(&t.source, TriggerSource::Topic(own) if t.dead_letters.as_ref() == Some(own));
        let letters = function.triggers.iter().filter(others).filter_map(|t| t.dead_letters.as_deref());
        for topic in letters.filter(|t| application.comes_back(&function.name, t)) {
            let message = format!("dead letters of `{}` go to `{topic}`, which comes back to it", function.name);
            report.add_at_line(
                function.line,
                message,
                "name a topic that it does not read, or leave `dead_letters` out",
            );
        }
    }
    for function in application.functions.values().filter(|f| f.limits.rounds == 0) {
        let name = &function.name;
        for topic in function.grants.publish.iter().filter(|t| application.comes_back(name, t)) {
            let hint = format!(
                "if that was meant, say how often a record may go round: [application.trigger.isobar.limits.{name}] \
                 rounds = 10"
            );
            let message = format!("what `{name}` publishes to `{topic}` comes back to it, and again, without an end");
            report.add_at_line(function.line, message, hint);
        }
    }
}
