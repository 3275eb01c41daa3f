//! What one call has used up of its limits. Passing one ends the call with a message that says which, and how to raise it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::delivery::Allowance;
use crate::manifest::Limits;

/// The longest key of state, in bytes: keys are names, and each is looked up in an index.
pub const MOST_KEY_BYTES: usize = 1024;

/// What an entry of state takes while it is held, beside its key and value, about; a deleted one too.
const HELD_ENTRY_BYTES: u64 = 256;

/// The limits of one call, and what is used up of them.
pub struct Budget {
    function: Arc<str>,
    limits: Limits,
    publish_records: u64,
    publish_bytes: u64,
    write_rows: u64,
    write_bytes: u64,
    read_rows: u64,
    read_bytes: u64,
    state_bytes: u64,
    memory_bytes: u64,
    table_elements: u64,
    exceeded: Option<String>,
}

impl Budget {
    pub(super) fn new(function: Arc<str>, limits: Limits) -> Self {
        Budget {
            function,
            limits,
            publish_records: 0,
            publish_bytes: 0,
            write_rows: 0,
            write_bytes: 0,
            read_rows: 0,
            read_bytes: 0,
            state_bytes: 0,
            memory_bytes: 0,
            table_elements: 0,
            exceeded: None,
        }
    }

    /// Which limit the call passed, if it did.
    pub(crate) fn exceeded(&mut self) -> Option<String> {
        self.exceeded.take()
    }

    /// Holds the time that the call took against its limit.
    ///
    /// # Errors
    /// When it is over.
    pub fn time(&mut self, charged: Duration) -> wasmtime::Result<()> {
        let most = self.limits.timeout_ms;
        match charged < Duration::from_millis(u64::from(most)) {
            true => Ok(()),
            false => self.fail(self.message("ran longer", "timeout_ms", u64::from(most))),
        }
    }

    /// The message for a limit of this function.
    fn message(&self, did: &str, limit: &str, most: u64) -> String {
        format!("it {did} than its `{limit}` of {most}; raise it in {}", section(&self.function))
    }

    /// Notes records to be published.
    pub(super) fn publish(&mut self, records: usize, bytes: usize) -> wasmtime::Result<()> {
        self.publish_records += records as u64;
        self.publish_bytes += bytes as u64;
        let (records, bytes) = (u64::from(self.limits.publish_records), u64::from(self.limits.publish_bytes));
        self.check(self.publish_records, records, "published more records", "publish_records")?;
        self.check(self.publish_bytes, bytes, "published more bytes", "publish_bytes")?;
        self.check_held()
    }

    /// Notes that records go round once more.
    pub(super) fn go_round(&mut self, topic: &str, round: u32) -> wasmtime::Result<()> {
        let most = u64::from(self.limits.rounds);
        let did = format!("published to `{topic}`, which comes back to it, more often in a row");
        self.check(u64::from(round), most, &did, "rounds")
    }

    /// Notes rows written or deleted.
    pub(super) fn write(&mut self, rows: usize, bytes: usize) -> wasmtime::Result<()> {
        self.write_rows += rows as u64;
        self.write_bytes += bytes as u64;
        let (rows, bytes) = (u64::from(self.limits.write_rows), u64::from(self.limits.write_bytes));
        self.check(self.write_rows, rows, "wrote more rows", "write_rows")?;
        self.check(self.write_bytes, bytes, "wrote more bytes to tables", "write_bytes")?;
        self.check_held()
    }

    /// Notes `rows` rows or values of state that are asked for by key, before they are looked up: each costs the store, found
    /// or not. Gives what may be read of them.
    pub(super) fn ask(&mut self, rows: usize) -> wasmtime::Result<Allowance> {
        self.read_rows += rows as u64;
        self.check(self.read_rows, u64::from(self.limits.read_rows), "read more rows or values", "read_rows")?;
        Ok(Allowance::new(rows as u64, self.bytes_left()))
    }

    /// What may be read where it is not known before how many rows there are.
    pub(super) fn allowance(&self) -> Allowance {
        let rows = u64::from(self.limits.read_rows).saturating_sub(self.read_rows);
        Allowance::new(rows, self.bytes_left())
    }

    fn bytes_left(&self) -> u64 {
        u64::from(self.limits.read_bytes).saturating_sub(self.read_bytes)
    }

    /// Notes what was read.
    pub(super) fn read(&mut self, bytes: u64) -> wasmtime::Result<()> {
        self.read_bytes += bytes;
        let most = u64::from(self.limits.read_bytes);
        self.check(self.read_bytes, most, "read more bytes of state and tables", "read_bytes")
    }

    /// Notes a value of state that replaces one that the call held before.
    pub(super) fn put(&mut self, key: &str, value: Option<usize>, before: Option<usize>) -> wasmtime::Result<()> {
        if key.len() > MOST_KEY_BYTES {
            return self
                .fail(format!("it used a key of state of {} bytes; the longest has {MOST_KEY_BYTES}", key.len()));
        }
        let most = u64::from(self.limits.state_value_bytes);
        self.check(value.unwrap_or(0) as u64, most, "put a longer value of state", "state_value_bytes")?;
        let size = |value: usize| (key.len() + value) as u64 + HELD_ENTRY_BYTES;
        self.state_bytes = self.state_bytes + size(value.unwrap_or(0)) - before.map_or(0, size);
        self.check_held()
    }

    fn check_held(&mut self) -> wasmtime::Result<()> {
        let held = self.publish_bytes + self.write_bytes + self.state_bytes;
        self.check(held, u64::from(self.limits.held_bytes), "holds more bytes until it commits", "held_bytes")
    }

    fn check(&mut self, used: u64, most: u64, did: &str, limit: &str) -> wasmtime::Result<()> {
        if used <= most { Ok(()) } else { self.fail(self.message(did, limit, most)) }
    }

    fn fail(&mut self, message: String) -> wasmtime::Result<()> {
        let error = wasmtime::format_err!("{message}");
        self.exceeded = Some(message);
        Err(error)
    }
}

/// Where a function's limits stand in spin.toml.
fn section(function: &str) -> String {
    format!("[application.trigger.isobar.limits.{function}]")
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, now: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let most = u64::from(self.limits.memory_mb);
        self.memory_bytes += desired.saturating_sub(now) as u64;
        self.check(self.memory_bytes.div_ceil(1 << 20), most, "needs more memory", "memory_mb")?;
        Ok(true)
    }

    fn table_growing(&mut self, now: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let most = u64::from(self.limits.table_elements);
        self.table_elements += desired.saturating_sub(now) as u64;
        self.check(self.table_elements, most, "needs larger tables", "table_elements")?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        let limits = Limits {
            held_bytes: 100 + 3 * HELD_ENTRY_BYTES as u32,
            state_value_bytes: 40,
            publish_records: 2,
            ..Limits::default()
        };
        Budget::new("sum".into(), limits)
    }

    #[test]
    fn a_limit_that_is_passed_is_named_with_where_to_raise_it() {
        let mut budget = budget();
        assert!(budget.publish(2, 10).is_ok());
        assert!(budget.publish(1, 1).is_err());
        assert_eq!(
            budget.exceeded().unwrap(),
            "it published more records than its `publish_records` of 2; raise it in \
             [application.trigger.isobar.limits.sum]"
        );
    }

    #[test]
    fn a_value_that_is_replaced_is_held_once() {
        let mut budget = budget();
        for _ in 0..100 {
            budget.put("k", Some(40), Some(40)).unwrap();
        }
        assert!(budget.put("k", Some(41), Some(40)).is_err(), "a longer value");
        let mut budget = self::budget();
        budget.put("a", Some(40), None).unwrap();
        budget.put("b", Some(40), None).unwrap();
        assert!(budget.put("c", Some(20), None).is_err(), "more than is held in all");
        budget.put("a", None, Some(40)).unwrap();
    }

    #[test]
    fn entries_without_a_value_are_not_free() {
        let mut budget = budget();
        let refused = (0..10).find(|n| budget.put(&n.to_string(), None, None).is_err());
        assert_eq!(refused, Some(3));
    }

    #[test]
    fn memory_is_refused_by_name() {
        let mut budget = budget();
        assert!(budget.memory_growing(0, 64 << 20, None).unwrap());
        let error = budget.memory_growing(64 << 20, (64 << 20) + 1, None).unwrap_err();
        assert!(error.to_string().contains("`memory_mb` of 64"), "{error}");
    }

    #[test]
    fn the_memories_of_a_call_count_together() {
        let mut budget = budget();
        assert!(budget.memory_growing(0, 40 << 20, None).is_ok());
        assert!(budget.memory_growing(0, 24 << 20, None).is_ok());
        assert!(budget.memory_growing(0, 1, None).is_err());
        assert!(budget.table_growing(0, 12_000, None).is_ok());
        assert!(budget.table_growing(0, 12_000, None).is_err());
    }

    #[test]
    fn what_may_still_be_read_shrinks_with_what_was() {
        let mut budget = budget();
        assert!(budget.ask(60_000).unwrap().take(0));
        let mut asked = budget.ask(39_999).unwrap();
        assert!((0..39_999).all(|_| asked.take(100)), "what was asked for may be read");
        let mut rest = budget.allowance();
        assert!(rest.take(0) && !rest.take(0), "one row is left");
        assert!(budget.ask(2).unwrap_err().to_string().contains("`read_rows` of 100000"));
        budget.read(32 << 20).unwrap();
        assert!(!budget.allowance().take(1));
        assert!(budget.read(1).unwrap_err().to_string().contains("`read_bytes` of 33554432"));
    }
}
