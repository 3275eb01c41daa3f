//! Dead letters as they are seen from outside: listed with their story, sent back to the function that failed, dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::answers::{Fault, LetterView, LettersAsk, LettersPage, Refusal, SettleAsk, Settled};
use super::view::{View, record};
use crate::clock::now_ms;
use crate::delivery::Records;
use crate::delivery::failure::hidden;
use crate::delivery::letters::{Letter, redrive};
use crate::embedded::versions::Entry;
use crate::embedded::{Fate, Frame, Settlement, TopicStatus, WriteError};

/// Letters where no number is asked for.
const USUAL_LETTERS: u32 = 100;
/// Most letters of an answer, and of a settlement, which is one transaction.
const MOST_LETTERS: u32 = 1000;
/// Most bytes of an answer, and of a settlement, for they are held in memory; one letter alone may be larger.
const MOST_BYTES: usize = 8 * 1024 * 1024;

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
    /// When there is no such function, too much else is being read, or the data file cannot be read.
    pub async fn letters(&self, function: &str, ask: &LettersAsk) -> Result<LettersPage, Refusal> {
        let shown = self.may_show(function, ask.sensitive)?;
        let may_show = |found: &Found| shown && (ask.sensitive || !found.letter.is_sensitive);
        let _permit = self.long_read()?;
        let limit = ask.limit.unwrap_or(USUAL_LETTERS).min(MOST_LETTERS) as usize;
        let wanted =
            |found: &Found| (ask.all || found.fate.is_none()) && ask.offset.is_none_or(|o| found.offset() == Some(o));
        let (mut page, mut bytes) = (LettersPage::default(), 0);
        let mut walk = self.walk(function).await?;
        while let Some(part) = walk.next(self).await? {
            for found in part {
                page.open += u64::from(found.fate.is_none());
                if wanted(&found) {
                    page.more |= page.letters.len() == limit || bytes >= MOST_BYTES;
                    if !page.more {
                        bytes += found.bytes();
                        let shown = may_show(&found);
                        page.letters.extend(found.view(shown));
                    }
                }
            }
        }
        Ok(page)
    }

    /// Sends open letters of a function back to it, or drops them; those that come meanwhile stay as they are. The audit log has
    /// that `who` did.
    ///
    /// # Errors
    /// When there is no such function or letter, the function does not read the letter's topic any more, or the data file
    /// cannot be written: then what was settled before in the same call stays settled.
    pub async fn settle(&self, function: &str, ask: &SettleAsk, fate: Fate, who: &str) -> Result<Settled, Refusal> {
        let mut settled = Settled::default();
        let done = self.settle_all(function, ask, fate, &mut settled).await;
        if settled.letters > 0 {
            let action = if fate == Fate::Redriven { "redrive" } else { "drop" };
            self.store.audit(Entry::done(who, action, function)).await?;
        }
        done.map(|()| settled)
    }

    async fn settle_all(
        &self,
        function: &str,
        ask: &SettleAsk,
        fate: Fate,
        settled: &mut Settled,
    ) -> Result<(), Refusal> {
        self.function(function)?;
        if !ask.offsets.is_empty() {
            self.refuse_unknown(function, &ask.offsets).await?;
        }
        let offsets: BTreeSet<i64> = ask.offsets.iter().copied().collect();
        let chosen = |found: &Found| {
            let named = found.offset().is_some_and(|offset| offsets.contains(&offset));
            found.fate.is_none() && (offsets.is_empty() || named)
        };
        let mut walk = self.walk(function).await?;
        while let Some(mut part) = walk.next(self).await? {
            part.retain(chosen);
            let mut rest = part.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(fitting(rest));
                self.decide(function, self.settlement(now, function, fate)?).await?;
                settled.letters += now.len() as u64;
                rest = later;
            }
        }
        Ok(())
    }

    /// Refuses offsets at which there is no letter, or more than one: a function may have several topics for them.
    async fn refuse_unknown(&self, function: &str, offsets: &[i64]) -> Result<(), Refusal> {
        let mut topics: BTreeMap<i64, Vec<String>> = offsets.iter().map(|offset| (*offset, Vec::new())).collect();
        let mut walk = self.walk(function).await?;
        while let Some(part) = walk.next(self).await? {
            for found in part {
                if let Some(known) = found.offset().and_then(|offset| topics.get_mut(&offset)) {
                    known.push(found.topic);
                }
            }
        }
        for (offset, topics) in topics {
            let refusal = match topics.as_slice() {
                [_] => continue,
                [] => Refusal::new(Fault::Unknown, format!("`{function}` has no dead letter at offset {offset}"))
                    .hint(format!("`isobar dead-letters list {function}` shows those there are")),
                several => {
                    let several = several.join("` and `");
                    let message = format!("`{function}` has dead letters at offset {offset} in `{several}`");
                    Refusal::new(Fault::Unknown, message).hint("name no offset, which settles all of them")
                }
            };
            return Err(refusal);
        }
        Ok(())
    }

    /// Whether the words and records of a function's letters are shown, and not only that they are there.
    fn may_show(&self, name: &str, sensitive: bool) -> Result<bool, Refusal> {
        self.function(name)?;
        let application = self.application();
        let function = application.functions.get(name);
        Ok(sensitive || function.is_some_and(|f| !f.reads_sensitive(&application)))
    }

    /// From the first letter of a function to the last that there is now.
    async fn walk(&self, function: &str) -> Result<Walk, WriteError> {
        let application = self.application();
        let topics = application.letter_topics();
        let ours = |topic: &str| topics.get(topic).is_some_and(|functions| functions.contains(function));
        let (mut places, mut fates) = (Vec::new(), BTreeMap::new());
        for status in self.partitions().await?.into_iter().filter(|t| ours(&t.topic)) {
            let TopicStatus { topic, partition, first, next, .. } = status;
            if !fates.contains_key(&topic) {
                let known = match &self.cluster {
                    Some(cluster) => cluster.fates(&application, function, &topic).await?,
                    None => self.store.fates(&topic).await?,
                };
                fates.insert(topic.clone(), known);
            }
            places.push(Place { topic, partition, from: first, next });
        }
        places.reverse();
        Ok(Walk { function: function.to_owned(), places, fates })
    }

    async fn decide(&self, function: &str, settlement: Settlement) -> Result<(), WriteError> {
        match &self.cluster {
            Some(cluster) => cluster.settle(&self.application(), function, settlement).await,
            None => self.store.settle_letters(settlement).await,
        }
    }

    fn settlement(&self, found: &[Found], function: &str, fate: Fate) -> Result<Settlement, Refusal> {
        let at_ms = now_ms();
        let mut back: BTreeMap<(&str, u32), Records> = BTreeMap::new();
        for found in found.iter().filter(|_| fate == Fate::Redriven) {
            let Letter { topic, partition, .. } = &found.letter;
            let reads = self.application().readers_of(topic).contains(function);
            if !reads || *partition >= self.store.ends().partitions(topic) {
                let offset = found.offset().unwrap_or_default();
                let message = format!(
                    "the dead letter at offset {offset} came from `{topic}`/{partition}, which `{function}` does not read"
                );
                return Err(
                    Refusal::new(Fault::Unknown, message).hint("let it read the topic again, or drop the letter")
                );
            }
            let records = back.entry((topic.as_str(), *partition)).or_default();
            redrive(records, &found.records, found.at, function, at_ms);
        }
        let frame =
            |((topic, partition), records): ((&str, u32), Records)| Frame::encode(topic.into(), partition, records);
        let frames: Result<Vec<Frame>, _> = back.into_iter().map(frame).collect();
        let frames = frames.map_err(|error| Refusal::new(Fault::Store, error.to_string()))?;
        let letters = found.iter().filter_map(|f| Some((f.partition, f.offset()?))).collect();
        let topic = found.first().map(|f| f.topic.clone()).unwrap_or_default();
        Ok(Settlement { topic, letters, fate, frames, at_ms })
    }
}

/// How many letters one settlement takes: at least one.
fn fitting(found: &[Found]) -> usize {
    let mut bytes = 0;
    let fits = found.iter().take(MOST_LETTERS as usize).take_while(|found| {
        bytes += found.bytes();
        bytes <= MOST_BYTES
    });
    fits.count().max(1)
}

/// A walk through the topics that hold a function's dead letters, a part of one partition at a time.
struct Walk {
    function: String,
    /// The next place is the last.
    places: Vec<Place>,
    fates: BTreeMap<String, BTreeMap<(u32, i64), Fate>>,
}

struct Place {
    topic: String,
    partition: u32,
    from: i64,
    next: i64,
}

impl Walk {
    async fn next(&mut self, view: &View) -> Result<Option<Vec<Found>>, WriteError> {
        let Some(place) = self.places.last_mut() else { return Ok(None) };
        let records = view.log(&place.topic, place.partition, place.from).await?;
        let first = records.index_of(place.from);
        let mut part = Vec::new();
        for at in first..records.len().min(records.index_of(place.next)) {
            let Some(letter) = Letter::of(&records, at).filter(|l| l.function == self.function) else { continue };
            let offset = records.offsets.get(at).copied().unwrap_or_default();
            let fate = self.fates.get(&place.topic).and_then(|fates| fates.get(&(place.partition, offset))).copied();
            let (topic, records) = (place.topic.clone(), Arc::clone(&records));
            part.push(Found { topic, partition: place.partition, at, records, letter, fate });
        }
        match records.offsets.last().map(|last| last + 1).filter(|next| *next < place.next) {
            Some(next) => place.from = next,
            None => drop(self.places.pop()),
        }
        Ok(Some(part))
    }
}

impl Found {
    fn offset(&self) -> Option<i64> {
        self.records.offsets.get(self.at).copied()
    }

    /// Bytes that it takes in an answer or a frame, about.
    fn bytes(&self) -> usize {
        let of = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let headers = self.records.headers_of(self.at).iter().map(|h| h.name.len() + h.value.len());
        of(self.records.keys.get(self.at)) + of(self.records.values.get(self.at)) + headers.sum::<usize>()
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
            reason: if shown { letter.reason } else { hidden(&letter.code) },
            frames: if shown { letter.frames } else { Vec::new() },
            key: record.as_ref().and_then(|r| r.key.clone()),
            value: record.as_ref().and_then(|r| r.value.clone()),
            fate: self.fate.map(|fate| fate.name().to_owned()),
        })
    }
}
