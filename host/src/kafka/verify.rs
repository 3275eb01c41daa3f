//! The walk over the ledgers of all hosts: each interval begins where the last ended, the group stands where the last ended, and the
//! records counted are those that an independent reader finds.

use std::sync::Arc;

use super::changes::Line;
use super::offsets::{Extent, committed, decided, extent};
use super::reader::{CHUNK_BYTES, Reader, walk};
use super::topics::input;
use super::{Cluster, Fault, blocking};
use crate::embedded::{LedgerReport, Note};
use crate::manifest::Application;

/// One function in one partition.
struct Place {
    note: Note,
    group: Arc<str>,
    ledger: Arc<str>,
    /// The topic whose positions are committed.
    input: String,
    is_scheduled: bool,
}

impl Cluster {
    /// Walks the ledgers of all functions.
    ///
    /// # Errors
    /// When a topic cannot be read.
    pub async fn verify(self: &Arc<Self>, application: &Application) -> Result<LedgerReport, Fault> {
        let mut places = Vec::new();
        for function in application.functions.values() {
            let names = Self::names(application, &function.name);
            let input = input(application, function).map_err(|error| Fault::Wrong(error.to_string()))?;
            let is_scheduled = input == names.state.as_ref();
            let source = function.triggers.first().filter(|_| is_scheduled).map_or(input.as_str(), |t| t.id.as_str());
            for partition in 0..application.partitions_of(function) {
                let note = Note { function: function.name.as_str().into(), source: source.into(), partition };
                let (group, ledger) = (Arc::clone(&names.group), Arc::clone(&names.ledger));
                places.push(Place { note, group, ledger, input: input.clone(), is_scheduled });
            }
        }
        let cluster = Arc::clone(self);
        blocking(move || {
            let mut report = LedgerReport::default();
            for place in &places {
                check(&cluster, place, &mut report)?;
            }
            Ok(report)
        })
        .await
    }
}

/// Walks one ledger. Blocks.
fn check(cluster: &Arc<Cluster>, place: &Place, report: &mut LedgerReport) -> Result<(), Fault> {
    let Place { note, group, ledger, input, .. } = place;
    // What is committed meanwhile is not looked at.
    let stands = committed(cluster, group, input, note.partition)?.map(|stands| stands.next);
    let intervals = intervals(cluster, place, stands.unwrap_or_default())?;
    let Some((first, _, _)) = intervals.first() else {
        if stands.is_some_and(|stands| stands > 0) && decided(cluster, ledger, note.partition)?.next == 0 {
            report.find(note, format!("the position is {}, and there is no ledger", stands.unwrap_or_default()));
        }
        return Ok(());
    };
    let mut at = *first;
    for (first, next, records) in &intervals {
        report.entries += 1;
        report.records += u64::from(*records);
        if *first != at {
            let what = if *first > at { "a gap" } else { "an overlap" };
            report.find(note, format!("{what}: an interval ends at {at} and the next begins at {first}"));
        }
        at = *next;
    }
    if stands != Some(at) {
        let stands = stands.map_or_else(|| "not known".to_owned(), |stands| stands.to_string());
        report.find(note, format!("the ledger ends at {at}, the position is {stands}"));
    }
    match place.is_scheduled {
        // There is no topic to hold it against.
        true => report.records_read += intervals.iter().map(|(.., records)| u64::from(*records)).sum::<u64>(),
        false => compare(cluster, place, &intervals, report)?,
    }
    Ok(())
}

/// What the ledger holds before `stands`: where intervals begin and end, and how many records they count.
fn intervals(cluster: &Arc<Cluster>, place: &Place, stands: i64) -> Result<Vec<(i64, i64, u32)>, Fault> {
    let Place { note, ledger, .. } = place;
    let mut intervals = Vec::new();
    walk(cluster, ledger, note.partition, 0, |_, value, offset| {
        let line: Option<Line> = value.and_then(|value| serde_json::from_slice(value).ok());
        let none = || {
            Fault::Wrong(format!("the record at offset {offset} of `{ledger}`/{} is none of isobar's", note.partition))
        };
        let line = line.ok_or_else(none)?;
        let interval = line.interval.filter(|(first, _)| *first < stands && line.source == *note.source);
        intervals.extend(interval.map(|(first, next)| (first, next, line.records)));
        Ok(())
    })?;
    Ok(intervals)
}

/// Holds the intervals against the topic, as far as it still has their records.
fn compare(
    cluster: &Arc<Cluster>,
    place: &Place,
    intervals: &[(i64, i64, u32)],
    report: &mut LedgerReport,
) -> Result<(), Fault> {
    let Place { note, input, .. } = place;
    let Extent { first, .. } = extent(cluster, input, note.partition, false)?;
    let kept: Vec<_> = intervals.iter().filter(|(begins, ..)| *begins >= first).collect();
    report.records_read +=
        intervals.iter().filter(|(begins, ..)| *begins < first).map(|(.., n)| u64::from(*n)).sum::<u64>();
    let Some((from, ..)) = kept.first() else { return Ok(()) };
    let mut found = vec![0_u32; kept.len()];
    let mut reader = Reader::start(cluster, input, note.partition, *from)?;
    while let Some(records) = reader.next(CHUNK_BYTES)? {
        for offset in &records.offsets {
            let at = kept.partition_point(|(_, next, _)| next <= offset);
            if kept.get(at).is_some_and(|(first, ..)| first <= offset)
                && let Some(count) = found.get_mut(at)
            {
                *count += 1;
            }
        }
    }
    for ((first, next, records), found) in kept.into_iter().zip(found) {
        report.records_read += u64::from(found);
        if found != *records {
            report.find(note, format!("[{first}, {next}) counts {records} records, the log holds {found}"));
        }
    }
    Ok(())
}
