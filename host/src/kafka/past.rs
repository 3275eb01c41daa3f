//! What a function has done before, for a version that runs over it again: its ledger, as batches; what it published and refused.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::changes::Line;
use super::offsets::{committed, extent, offset_at};
use super::reader::{CHUNK_BYTES, walk};
use super::topics::input;
use super::{Cluster, Fault, blocking};
use crate::delivery::{Interval, Records};
use crate::embedded::past::{Mark, Part, Past, Span, Telling};
use crate::embedded::shadows::Recorded;
use crate::embedded::{Note, WriteError};
use crate::manifest::{Application, Function};

/// What a function of an application has published to the cluster, and which records it refused.
pub struct Published {
    /// Where.
    pub cluster: Arc<Cluster>,
    /// The application.
    pub application: Arc<Application>,
}

impl Past for Published {
    fn tell<'t>(&'t self, telling: &'t mut Telling<'_>) -> BoxFuture<'t, Result<(), WriteError>> {
        Box::pin(async move {
            for (topic, is_letters) in telling.topics(&self.application) {
                let partitions = self.application.topics.get(&topic).map_or(1, |topic| topic.partitions);
                for partition in 0..partitions {
                    let mut from = 0;
                    loop {
                        let records = self.cluster.read(&topic, partition, from, CHUNK_BYTES).await?;
                        let Some((first, last)) = records.offsets.first().zip(records.offsets.last()) else { break };
                        if from == 0 && *first > 0 {
                            return Err(WriteError::Log(format!(
                                "`{topic}`/{partition} begins at {first}: it cannot be said what was published before"
                            )));
                        }
                        telling.take(&topic, is_letters, &records).await?;
                        from = last + 1;
                    }
                }
            }
            Ok(())
        })
    }
}

impl Cluster {
    /// The topic that holds a function's ledger.
    #[must_use]
    pub fn ledger(application: &Application, function: &str) -> Arc<str> {
        Self::names(application, function).ledger
    }

    /// The batches that lines of a ledger's partition tell of from the offset `from` on, in their order, and where the next line is to
    /// be read. A line may tell of no batch, as where records were read again.
    #[must_use]
    pub fn handled(
        function: &Arc<str>,
        partition: u32,
        lines: &Records,
        from: i64,
        most: usize,
    ) -> (Vec<Recorded>, i64) {
        let (mut batches, mut through) = (Vec::new(), from);
        let begins = lines.index_of(from);
        for (value, offset) in lines.values.iter().zip(&lines.offsets).skip(begins) {
            if batches.len() >= most {
                break;
            }
            through = offset + 1;
            let line: Option<Line> = value.and_then(|value| serde_json::from_slice(value).ok());
            let Some((line, (first, next))) = line.and_then(|line| line.interval.map(|interval| (line, interval)))
            else {
                continue;
            };
            batches.push(Recorded {
                // The next one to read: nothing is before the first.
                id: offset + 1,
                note: Note { function: Arc::clone(function), source: line.source.into(), partition },
                interval: Interval { first, next },
                reread: None,
                attempt: line.attempt,
                micros: line.micros,
                at_ms: line.at_ms,
                records: line.records,
                version: line.version.into(),
                made: Vec::new(),
            });
        }
        (batches, through)
    }

    /// What of each partition that a function has read is in a part.
    ///
    /// # Errors
    /// When no broker answers; where records of the part are gone.
    pub async fn spans(
        self: &Arc<Self>,
        application: &Application,
        function: &Function,
        part: Part,
    ) -> Result<Vec<Span>, Fault> {
        let names = Self::names(application, &function.name);
        let input = input(application, function).map_err(|error| Fault::Wrong(error.to_string()))?;
        let (cluster, partitions) = (Arc::clone(self), application.partitions_of(function));
        blocking(move || {
            let mut spans = Vec::new();
            for partition in 0..partitions {
                let place = |mark: Mark| -> Result<i64, Fault> {
                    match mark {
                    Mark::Position(position) => Ok(position),
                    Mark::Time(time_ms) => Ok(offset_at(&cluster, &input, partition, time_ms)?.unwrap_or(i64::MAX)),
                    }
                };
                let from = part.from.map(place).transpose()?.unwrap_or_default();
                let to = part.to.map(place).transpose()?.unwrap_or(i64::MAX);
                let stands = committed(&cluster, &names.group, &input, partition)?.map_or(0, |stands| stands.next);
                let mut borders: Option<(i64, i64)> = None;
                walk(&cluster, &names.ledger, partition, 0, |_, value, _| {
                    let line: Option<Line> = value.and_then(|value| serde_json::from_slice(value).ok());
                    let interval = line.filter(|line| line.source == input).and_then(|line| line.interval);
                    if let Some((first, next)) = interval.filter(|(first, next)| *first >= from && *first < to && *next <= stands) {
                        let (begins, ends) = borders.unwrap_or((first, next));
                        borders = Some((begins.min(first), ends.max(next)));
                    }
                    Ok(())
                })?;
                let (first, next) = borders.unwrap_or((stands, stands));
                let kept = extent(&cluster, &input, partition, false)?.first;
                if first < next && kept > first {
                    return Err(Fault::Wrong(format!(
                        "`{input}`/{partition} begins at {kept}: what came before is gone, and cannot be replayed; `--from {kept}` replays what is left"
                    )));
                }
                spans.push(Span { source: input.as_str().into(), partition, first, next, is_open: false });
            }
            Ok(spans)
        })
        .await
    }
}
