//! What hosts say of deploys in the control topic, and what it comes to for one who listens from the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::now_ms;
use crate::embedded::versions::{Deployed, digest_of, packed, unpacked};
use crate::kafka::control::{Content, Record};
use crate::manifest::Application;

/// The form of what is said. A host does not act upon another one.
const FORMAT: u32 = 1;
/// Bytes of a piece of a component.
const PIECE_BYTES: usize = 512 * 1024;
/// Bytes of all pieces that are held; where there are more, what nobody has asked for yet goes.
const MOST_HELD: usize = 256 * 1024 * 1024;
const PIECE: &str = "piece/";

/// What is to run on all hosts: everything that one needs to know which has heard nothing before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    format: u32,
    /// Which deploy it is; the first of a topic has the time for its number.
    pub(super) number: u64,
    /// The host that asks for it.
    pub(super) host: String,
    pub(super) who: String,
    pub(super) action: String,
    pub(super) at_ms: i64,
    /// As [`Deployed`] has it.
    pub(super) manifest: String,
    pub(super) base: String,
    pub(super) running: BTreeMap<String, String>,
    pub(super) filed: BTreeMap<String, String>,
    /// The components of the versions that run, by function.
    pub(super) components: BTreeMap<String, Packed>,
    /// Functions of which some version could read what is sensitive.
    pub(super) knowing: BTreeSet<String>,
}

/// A component in the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    /// SHA-256, in hex.
    pub(super) digest: String,
    /// How many pieces it has.
    pub(super) pieces: u32,
}

/// What a host says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// All hosts are to find out whether they can.
    Proposal(Box<Proposal>),
    /// A host can, or why it cannot.
    Answer { number: u64, host: String, refused: Option<String> },
    /// All could: it is so from now on.
    Activated { number: u64 },
    /// Nothing comes of it.
    Abandoned { number: u64 },
    /// A host runs what was activated.
    Followed { number: u64, host: String },
}

impl Word {
    pub(super) fn key(&self) -> String {
        match self {
            Word::Proposal(proposal) => format!("proposal/{}", proposal.number),
            Word::Answer { host, .. } => format!("answer/{host}"),
            Word::Activated { number } => format!("activated/{number}"),
            Word::Abandoned { number } => format!("abandoned/{number}"),
            Word::Followed { host, .. } => format!("followed/{host}"),
        }
    }

    pub(super) fn record(&self) -> Record {
        // No map of it has keys that are no text, which is all that could fail.
        (self.key(), Some(serde_json::to_vec(self).unwrap_or_default()))
    }
}

impl Proposal {
    /// What `who` wants to run on all hosts, without components.
    pub(super) fn new(number: u64, host: &str, (who, action): (&str, &str), deployed: Deployed) -> Self {
        let Deployed { manifest, base, running, filed } = deployed;
        Proposal {
            format: FORMAT,
            number,
            host: host.to_owned(),
            who: who.to_owned(),
            action: action.to_owned(),
            at_ms: now_ms(),
            manifest,
            base,
            running,
            filed,
            components: BTreeMap::new(),
            knowing: BTreeSet::new(),
        }
    }

    /// Takes `components` of functions of `application` beside those that the topic holds already; gives the records of those that it
    /// does not hold. `knowing` could read what is sensitive before.
    pub(super) fn bring(
        &mut self,
        application: &Application,
        components: &BTreeMap<String, Arc<[u8]>>,
        before: BTreeMap<String, Packed>,
        mut knowing: BTreeSet<String>,
    ) -> anyhow::Result<Vec<Record>> {
        self.components = before;
        let mut said = Vec::new();
        for (function, component) in components {
            if application.functions.get(function).is_some_and(|f| f.reads_sensitive(application)) {
                knowing.insert(function.clone());
            }
            let digest = digest_of(component);
            if self.components.get(function).is_none_or(|packed| packed.digest != digest) {
                let (packed, records) = pieces(&digest, component)?;
                self.components.insert(function.clone(), packed);
                said.extend(records);
            }
        }
        self.components.retain(|function, _| self.running.contains_key(function));
        self.knowing = knowing;
        Ok(said)
    }

    pub(super) fn deployed(&self) -> Deployed {
        Deployed {
            manifest: self.manifest.clone(),
            base: self.base.clone(),
            running: self.running.clone(),
            filed: self.filed.clone(),
        }
    }
}

/// A component as records, and how it is named then.
fn pieces(digest: &str, component: &[u8]) -> anyhow::Result<(Packed, Vec<Record>)> {
    let packed = packed(component)?;
    let piece = |(at, piece): (usize, &[u8])| (piece_key(digest, at as u32), Some(piece.to_vec()));
    let records: Vec<Record> = packed.chunks(PIECE_BYTES).enumerate().map(piece).collect();
    Ok((Packed { digest: digest.to_owned(), pieces: records.len() as u32 }, records))
}

/// What takes a component away again.
pub(super) fn taken_away(packed: &Packed) -> Vec<Record> {
    (0..packed.pieces).map(|at| (piece_key(&packed.digest, at), None)).collect()
}

fn piece_key(digest: &str, at: u32) -> String {
    format!("{PIECE}{digest}/{at}")
}

/// Pieces of components that were heard.
#[derive(Default)]
pub(super) struct Pieces {
    by_digest: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    bytes: usize,
}

impl Pieces {
    fn set(&mut self, digest: &str, at: u32, piece: Option<Vec<u8>>) {
        let of_digest = self.by_digest.get_mut(digest);
        self.bytes -= of_digest.and_then(|pieces| pieces.remove(&at)).map_or(0, |before| before.len());
        let Some(piece) = piece else { return };
        self.bytes += piece.len();
        self.by_digest.entry(digest.to_owned()).or_default().insert(at, piece);
    }

    /// Lets go of all components but these.
    fn keep(&mut self, digests: &BTreeSet<&str>) {
        self.by_digest.retain(|digest, _| digests.contains(digest.as_str()));
        self.bytes = self.by_digest.values().flat_map(BTreeMap::values).map(Vec::len).sum();
    }

    /// The component, if all of it was heard.
    pub(super) fn component(&self, packed: &Packed) -> Option<Vec<u8>> {
        let found = self.by_digest.get(&packed.digest)?;
        let all: Option<Vec<&[u8]>> = (0..packed.pieces).map(|at| found.get(&at).map(Vec::as_slice)).collect();
        unpacked(&all?.concat(), &packed.digest)
    }
}

/// What was said until now.
#[derive(Default)]
pub(super) struct Heard {
    /// What runs: the last deploy that was activated.
    pub(super) standing: Option<Proposal>,
    /// What hosts are to find out now.
    pub(super) open: Option<Proposal>,
    /// The highest number of a proposal.
    pub(super) highest: u64,
    pub(super) pieces: Pieces,
}

impl Heard {
    /// Lets go of components but for those of what stands, what is open, and `other`.
    pub(super) fn forget(&mut self, other: Option<&str>) {
        let named = self.standing.iter().chain(&self.open).flat_map(|proposal| proposal.components.values());
        self.pieces.keep(&named.map(|packed| packed.digest.as_str()).chain(other).collect());
    }

    /// The number of the next deploy. The first one of a topic has a time for it, so that what is deployed by a topic that was made anew
    /// comes after what was deployed by the one before.
    pub(super) fn next_number(&self, now_ms: i64) -> u64 {
        if self.highest == 0 { u64::try_from(now_ms).unwrap_or_default().max(1) } else { self.highest + 1 }
    }

    /// Takes in what was said; gives it, but for a piece of a component.
    pub(super) fn hear(&mut self, content: Content) -> Option<Word> {
        let Content { key, value } = content;
        if let Some((digest, at)) = key.strip_prefix(PIECE).and_then(|rest| rest.split_once('/')) {
            if let Ok(at) = at.parse() {
                self.pieces.set(digest, at, value);
                if self.pieces.bytes > MOST_HELD {
                    self.forget(Some(digest));
                }
            }
            return None;
        }
        let word: Option<Word> = serde_json::from_slice(&value?).ok();
        let Some(word) = word.filter(|word| word.key() == key) else {
            tracing::warn!(key, "a host of another isobar has said what this one does not understand");
            return None;
        };
        match &word {
            // What was said before may be written again by who may write: it is not news.
            Word::Proposal(proposal) if proposal.number <= self.highest => return None,
            Word::Proposal(proposal) if proposal.format != FORMAT => {
                tracing::warn!(format = proposal.format, "a deploy came in another form than this isobar knows");
                return None;
            }
            Word::Proposal(proposal) => {
                self.highest = proposal.number;
                self.open = Some(Proposal::clone(proposal));
            }
            Word::Activated { number } => {
                let open = self.open.take_if(|open| open.number == *number)?;
                self.standing = Some(open);
            }
            Word::Abandoned { number } => drop(self.open.take_if(|open| open.number == *number)?),
            Word::Answer { .. } | Word::Followed { .. } => {}
        }
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    fn proposal(number: u64) -> Word {
        Word::Proposal(Box::new(Proposal::new(number, "one", ("somebody", "deploy"), Deployed::default())))
    }

    fn content(word: &Word) -> Content {
        let (key, value) = word.record();
        Content { key, value }
    }

    #[test]
    fn what_is_activated_stands_and_what_is_said_again_does_not_come_back() {
        let mut heard = Heard::default();
        for word in [proposal(1), Word::Activated { number: 1 }, proposal(2)] {
            assert_eq!(heard.hear(content(&word)), Some(word));
        }
        assert_eq!((heard.standing.as_ref().unwrap().number, heard.open.as_ref().unwrap().number), (1, 2));
        assert_eq!(heard.hear(content(&proposal(1))), None, "an older deploy, written again");
        assert_eq!(heard.hear(content(&Word::Activated { number: 1 })), None);
        heard.hear(content(&Word::Abandoned { number: 2 }));
        assert_eq!((heard.standing.as_ref().unwrap().number, heard.open.is_none()), (1, true));
        assert_eq!(heard.hear(content(&Word::Activated { number: 2 })), None, "what was abandoned does not come about");
        heard.hear(content(&proposal(4)));
        heard.hear(content(&Word::Activated { number: 4 }));
        assert_eq!((heard.standing.unwrap().number, heard.highest), (4, 4));
    }

    #[test]
    fn what_stands_under_a_key_that_is_not_its_own_does_not_count() {
        let mut heard = Heard::default();
        let Content { value, .. } = content(&proposal(1));
        for key in ["proposal/2", "piece/x", ""] {
            assert_eq!(heard.hear(Content { key: key.to_owned(), value: value.clone() }), None);
        }
        assert_eq!(heard.hear(Content { key: "proposal/1".to_owned(), value: Some(b"{}".to_vec()) }), None);
        assert_eq!(heard.highest, 0);
    }

    #[test]
    fn components_come_back_whole_or_not_at_all() {
        // What cannot be compressed.
        let mut component = vec![0; 3_000_000];
        StdRng::seed_from_u64(1).fill(&mut component[..]);
        let (packed, records) = pieces(&digest_of(&component), &component).unwrap();
        assert!(packed.pieces > 1);
        let mut heard = Heard::default();
        for (key, value) in &records[1..] {
            heard.hear(Content { key: key.clone(), value: value.clone() });
        }
        assert_eq!(heard.pieces.component(&packed), None);
        let (key, value) = records[0].clone();
        heard.hear(Content { key: key.clone(), value: Some(b"other".to_vec()) });
        assert_eq!(heard.pieces.component(&packed), None, "it is not what its name says");
        heard.hear(Content { key: key.clone(), value });
        assert_eq!(heard.pieces.component(&packed), Some(component));
        heard.hear(Content { key, value: None });
        assert_eq!(heard.pieces.component(&packed), None, "it was taken away");
    }
}
