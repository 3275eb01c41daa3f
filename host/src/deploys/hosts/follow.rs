//! A host that hears of deploys: it answers whether it can, and does what is activated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::decide::{Decided, Way};
use super::super::{Ask, DeployError, Deploys, entry};
use super::join::said_again;
use super::words::{Heard, Proposal, Word};
use super::{Hosts, Listening, component};
use crate::embedded::versions::Entry;
use crate::kafka::control::Said;
use crate::manifest;

/// The wait before what was activated is tried again on a host where it did not go.
const BACKOFF: Duration = Duration::from_secs(2);
/// How long an answer may be.
const MOST_SAID: usize = 2_000;
/// Entries of the audit log for records that are not by the key: more are counted only, for so long.
const AUDIT_EVERY: Duration = Duration::from_secs(60);
/// Who wrote those.
const NOBODY: &str = "unknown";
/// What the audit log calls it.
const CONTROL: &str = "control";

/// What is ready to take over once it is activated.
struct Ready {
    number: u64,
    decided: Decided,
}

/// Records that were not by the key.
struct Foreign {
    told: Option<Instant>,
    untold: u64,
}

impl Hosts {
    /// Says something of this host's own. Who waits for it in vain says so.
    async fn answer(&self, word: impl FnOnce(String) -> Word) {
        let host = self.cluster.host();
        let word = word(host.clone());
        let told = async { self.control.turn(&host).await?.say(vec![word.record()]).await };
        if let Err(fault) = told.await {
            tracing::warn!(%fault, word = word.key(), "an answer to a deploy could not be given");
        }
    }
}

impl Deploys {
    /// Goes along with what hosts say of deploys, from what was heard at the start on, for as long as something is said.
    pub async fn go_along(&self, listening: Listening) {
        let Some(hosts) = &self.hosts else { return };
        let Listening { mut heard, foreign, mut said } = listening;
        let mut foreign = Foreign { told: None, untold: foreign };
        self.tell_foreign(&mut foreign).await;
        let reached = hosts.seen.borrow().reached;
        hosts.answer(|host| Word::Followed { number: reached, host }).await;
        let (mut ready, mut is_behind) = (None, false);
        if let Some(open) = heard.open.clone() {
            ready = self.hear_proposal(hosts, &heard, open).await;
        }
        loop {
            let next = match is_behind {
                true => tokio::time::timeout(BACKOFF, said.recv()).await,
                false => Ok(said.recv().await),
            };
            let Ok(next) = next else {
                is_behind = !self.activate(hosts, &mut heard, None).await;
                continue;
            };
            let Some(Said { offset, content }) = next else { return };
            match content.map(|content| heard.hear(content)) {
                None => {
                    foreign.untold += 1;
                    self.tell_foreign(&mut foreign).await;
                }
                Some(Some(Word::Proposal(proposal))) => ready = self.hear_proposal(hosts, &heard, *proposal).await,
                Some(Some(Word::Answer { number, host, refused })) => hosts.seen.send_modify(|seen| {
                    seen.answers.insert(host, (number, refused));
                }),
                Some(Some(Word::Followed { number, host })) => hosts.seen.send_modify(|seen| {
                    seen.followed.insert(host, number);
                }),
                Some(Some(Word::Activated { .. })) => {
                    is_behind = !self.activate(hosts, &mut heard, ready.take()).await;
                }
                Some(Some(Word::Abandoned { .. })) => {
                    ready = None;
                    heard.forget(None);
                    hosts.seen.send_modify(|seen| seen.open = None);
                }
                Some(None) => {}
            }
            hosts.seen.send_modify(|seen| seen.next = offset + 1);
        }
    }

    /// Finds out whether this host can, and says so.
    async fn hear_proposal(&self, hosts: &Hosts, heard: &Heard, proposal: Proposal) -> Option<Ready> {
        let number = proposal.number;
        hosts.seen.send_modify(|seen| {
            (seen.highest, seen.open) = (number, Some((proposal.host.clone(), Instant::now())));
        });
        let turn = self.turn.lock().await;
        let decided = self.decide_as(hosts, heard, &proposal).await;
        drop(turn);
        let refused = decided.as_ref().err().map(|error| error.to_string().chars().take(MOST_SAID).collect());
        hosts.answer(|host| Word::Answer { number, host, refused }).await;
        Some(Ready { number, decided: decided.ok()? })
    }

    /// Does what was activated last; whether that went. Else it is tried again, unless something else is activated before.
    async fn activate(&self, hosts: &Hosts, heard: &mut Heard, ready: Option<Ready>) -> bool {
        let Some(proposal) = heard.standing.clone() else { return true };
        hosts.seen.send_modify(|seen| seen.standing = proposal.number);
        let decided = ready.filter(|ready| ready.number == proposal.number).map(|ready| ready.decided);
        if let Err(error) = self.adopt(hosts, heard, &proposal, decided).await {
            tracing::error!(number = proposal.number, %error, "a deploy that the other hosts have followed does not go here; it is tried again");
            hosts.seen.send_modify(|seen| seen.behind = Some(error.to_string()));
            return false;
        }
        heard.forget(None);
        hosts.cluster.reach(proposal.number);
        hosts.seen.send_modify(|seen| seen.follow(&proposal));
        hosts.answer(|host| Word::Followed { number: proposal.number, host }).await;
        true
    }

    async fn adopt(
        &self,
        hosts: &Hosts,
        heard: &Heard,
        proposal: &Proposal,
        ready: Option<Decided>,
    ) -> Result<(), DeployError> {
        let _turn = self.turn.lock().await;
        let decided = match ready {
            Some(decided) => decided,
            None => self.decide_as(hosts, heard, proposal).await?,
        };
        hosts.cluster.follow(proposal.number);
        self.swap(decided, &proposal.who, &proposal.action, None).await.map(drop)
    }

    /// Finds out whether what all hosts are to run can run here.
    async fn decide_as(&self, hosts: &Hosts, heard: &Heard, proposal: &Proposal) -> Result<Decided, DeployError> {
        let running = self.running();
        let others = proposal.running.iter().filter(|(name, version)| running.get(*name) != Some(version));
        let others: BTreeSet<String> = others.map(|(name, _)| name.clone()).collect();
        let mut components = BTreeMap::new();
        for name in &others {
            components.insert(name.clone(), self.said_component(hosts, heard, proposal, name).await?);
        }
        let gone = running.into_keys().filter(|name| !proposal.running.contains_key(name)).collect();
        let part = (!others.is_empty()).then(|| manifest::part(&proposal.manifest, &others)).transpose();
        let part = part.map_err(|problems| DeployError::problems(&problems))?.unwrap_or_default();
        let mut decided = self.decide(Ask { part, components, gone, ..Ask::default() }, Way::default()).await?;
        if decided.deployed.running != proposal.running {
            return Err(DeployError::Failed("by what runs here it would come to other versions".to_owned()));
        }
        decided.deployed = proposal.deployed();
        Ok(decided)
    }

    /// The component of a function that is to run, from what was said or from what is kept here.
    async fn said_component(
        &self,
        hosts: &Hosts,
        heard: &Heard,
        proposal: &Proposal,
        name: &str,
    ) -> Result<Arc<[u8]>, DeployError> {
        let unknown = || DeployError::Failed(format!("nothing was said of the component of `{name}`"));
        let packed = proposal.components.get(name).ok_or_else(unknown)?;
        if let Ok(component) = component(&heard.pieces, packed, name) {
            return Ok(component);
        }
        match self.kept_component(&packed.digest).await {
            Ok(component) => Ok(component),
            // It was said before this host listened.
            Err(_) => said_again(&hosts.control, packed, name).await,
        }
    }

    /// Notes that somebody writes to the topic who has not the key.
    async fn tell_foreign(&self, foreign: &mut Foreign) {
        if foreign.untold == 0 || foreign.told.is_some_and(|told| told.elapsed() < AUDIT_EVERY) {
            return;
        }
        let more = std::mem::take(&mut foreign.untold);
        let message = format!("{more} records of the control topic are not sealed by `control_key`");
        tracing::warn!("{message}");
        let refused = Some(message);
        if let Err(error) = self.store.audit(Entry { refused, ..entry("", NOBODY, CONTROL, None) }).await {
            tracing::warn!(%error, "the audit log cannot be written");
        }
        foreign.told = Some(Instant::now());
    }
}
