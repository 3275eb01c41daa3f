//! Dead letters as they are seen from outside: listed with their story, sent back to the function that failed, dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::answers::{Fault, LetterView, LettersAsk, LettersPage, Refusal, SettleAsk, Settled};
use super::view::{HIDDEN, View, record};
use crate::clock::now_ms;
use crate::delivery::Records;
use crate::delivery::letters::{Letter, redrive};
use crate::embedded::{Fate, Frame, Settlement, WriteError};

/// Letters where no number is asked for.
const USUAL_LETTERS: u32 = 100;
/// Most letters of an answer, and of a settlement, which is one transaction.
const MOST_LETTERS: u32 = 1000;
/// Bytes read of a topic at one time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// A dead letter in its topic.
struct Found {
    topic: String,
    partition: u32,
    at: usize,
    records: Arc<Records>,
    letter: Letter,
    fate: Option<Fate>,
}

impl View {
    /// The dead letters of a function, the oldest first.
    ///
    /// # Errors
    /// When there is no such function, it reads sensitive data and those are not asked for, or the data file cannot be
    /// read.
    pub async fn letters(&self, function: &str, ask: &LettersAsk) -> Result<LettersPage, Refusal> {
        let shown = self.may_show(function, ask.sensitive)?;
        let limit = ask.limit.unwrap_or(USUAL_LETTERS).min(MOST_LETTERS) as usize;
        let wanted =
            |found: &Found| (ask.all || found.fate.is_none()) && ask.offset.is_none_or(|o| found.offset() == Some(o));
        let (mut page, mut open) = (LettersPage::default(), 0);
        self.each_letter(function, |found| {
            open += u64::from(found.fate.is_none());
            if wanted(&found) {
                page.more |= page.letters.len() == limit;
                if page.letters.len() < limit {
                    page.letters.extend(found.view(shown));
                }
            }
        })
        .await?;
        page.open = open;
        Ok(page)
    }

    /// Sends open letters of a function back to it, or drops them.
    ///
    /// # Errors
    /// When there is no such function or letter, or the data file cannot be written: then what was settled before in the
    /// same call stays settled.
    pub async fn settle(&self, function: &str, ask: &SettleAsk, fate: Fate) -> Result<Settled, Refusal> {
        self.function(function)?;
        let mut left: BTreeSet<i64> = ask.offsets.iter().copied().collect();
        let mut chosen = Vec::new();
        self.each_letter(function, |found| {
            let named = found.offset().is_some_and(|offset| left.remove(&offset));
            if found.fate.is_none() && (ask.offsets.is_empty() || named) {
                chosen.push(found);
            }
        })
        .await?;
        if let Some(offset) = left.first() {
            let refusal = Refusal::new(Fault::Unknown, format!("`{function}` has no dead letter at offset {offset}"));
            return Err(refusal.hint(format!("`isobar dead-letters list {function}` shows those there are")));
        }
        let letters = chosen.len() as u64;
        let mut by_topic: BTreeMap<String, Vec<Found>> = BTreeMap::new();
        chosen.into_iter().for_each(|found| by_topic.entry(found.topic.clone()).or_default().push(found));
        for (topic, found) in by_topic {
            for part in found.chunks(MOST_LETTERS as usize) {
                self.store.settle_letters(settlement(&topic, part, function, fate)?).await?;
            }
        }
        Ok(Settled { letters })
    }

    /// Whether the words and records of a function's letters are shown, and not only that they are there.
    fn may_show(&self, name: &str, sensitive: bool) -> Result<bool, Refusal> {
        self.function(name)?;
        let function = self.application().functions.get(name);
        Ok(sensitive || function.is_some_and(|f| !f.reads_sensitive(self.application())))
    }

    async fn each_letter(&self, function: &str, mut take: impl FnMut(Found)) -> Result<(), WriteError> {
        let topics = self.application().letter_topics();
        for topic in topics.iter().filter(|(_, functions)| functions.contains(function)).map(|(topic, _)| topic) {
            let fates = self.store.fates(topic).await?;
            let partitions = self.store.topics().await?.into_iter().filter(|t| t.topic == *topic);
            for (partition, first) in partitions.map(|t| (t.partition, t.first)) {
                let mut from = first;
                while from < self.store.ends().of(topic, partition) {
                    let records = self.store.read(topic, partition, from, READ_BYTES).await?;
                    for at in records.index_of(from)..records.len() {
                        let Some(letter) = Letter::of(&records, at).filter(|l| l.function == function) else {
                            continue;
                        };
                        let offset = records.offsets.get(at).copied().unwrap_or_default();
                        let (topic, records) = (topic.clone(), Arc::clone(&records));
                        let fate = fates.get(&(partition, offset)).copied();
                        take(Found { topic, partition, at, records, letter, fate });
                    }
                    let Some(last) = records.offsets.last() else { break };
                    from = last + 1;
                }
            }
        }
        Ok(())
    }
}

impl Found {
    fn offset(&self) -> Option<i64> {
        self.records.offsets.get(self.at).copied()
    }

    fn view(self, shown: bool) -> Option<LetterView> {
        let offset = self.offset()?;
        let record = record(&self.records, self.at, self.partition).filter(|_| shown);
        let letter = self.letter;
        Some(LetterView {
            topic: self.topic,
            partition: self.partition,
            offset,
            from_topic: letter.topic,
            from_partition: letter.partition,
            from_offset: letter.offset,
            version: letter.version,
            attempts: letter.attempts,
            at_ms: letter.at_ms,
            reason: if shown { letter.reason } else { HIDDEN.to_owned() },
            frames: if shown { letter.frames } else { Vec::new() },
            key: record.as_ref().and_then(|r| r.key.clone()),
            value: record.as_ref().and_then(|r| r.value.clone()),
            fate: self.fate.map(|fate| fate.name().to_owned()),
        })
    }
}

fn settlement(topic: &str, found: &[Found], function: &str, fate: Fate) -> Result<Settlement, Refusal> {
    let at_ms = now_ms();
    let mut back: BTreeMap<(&str, u32), Records> = BTreeMap::new();
    if fate == Fate::Redriven {
        for found in found {
            let records = back.entry((found.letter.topic.as_str(), found.letter.partition)).or_default();
            redrive(records, &found.records, found.at, function, at_ms);
        }
    }
    let frame = |((topic, partition), records): ((&str, u32), Records)| Frame::encode(topic.into(), partition, records);
    let frames: Result<Vec<Frame>, _> = back.into_iter().map(frame).collect();
    let frames = frames.map_err(|error| Refusal::new(Fault::Store, error.to_string()))?;
    let letters = found.iter().filter_map(|f| Some((f.partition, f.offset()?))).collect();
    Ok(Settlement { topic: topic.to_owned(), letters, fate, frames, at_ms })
}
