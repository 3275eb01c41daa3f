//! A host that starts: what runs on the others, or, where nobody runs, what ran last and what its spin.toml makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};

use super::words::{Heard, Proposal, Word, pieces};
use super::{DEPLOY, Hosts, Seen, component, outdated};
use crate::clock::now_ms;
use crate::config::kafka::KafkaConfig;
use crate::deploys::start::{OPERATOR, Past, Start};
use crate::kafka::control::{Control, Record, Said};
use crate::kafka::{Cluster, Fault};
use crate::manifest::Application;

/// Bytes of the shortest key.
const FEWEST_KEY_BYTES: usize = 16;

/// What a host knows of deploys before it runs anything.
pub struct Joined {
    cluster: Arc<Cluster>,
    control: Control,
    heard: Heard,
    next: i64,
    /// Whether other hosts run functions of the application.
    is_among_others: bool,
}

/// Hears what is said from then on.
pub struct Listening {
    pub(super) heard: Heard,
    pub(super) said: mpsc::Receiver<Said>,
}

/// The highest number of a proposal that stands in the topic.
pub(super) async fn highest(control: &Control) -> Result<u64, Fault> {
    let (heard, _) = listened(control, Heard::default(), 0).await?;
    Ok(heard.highest)
}

/// Takes in all that was said from `from` on; gives where that ends, too.
async fn listened(control: &Control, before: Heard, from: i64) -> Result<(Heard, i64), Fault> {
    let (said, next) = control.read(from).await?;
    Ok((heard(before, said), next))
}

/// Takes in all of `said`.
fn heard(mut heard: Heard, said: Vec<Said>) -> Heard {
    for content in said.into_iter().filter_map(|said| said.content) {
        heard.hear(content);
    }
    heard
}

impl Joined {
    /// Hears what was said until now; `None` where hosts do not deploy, as isobar.toml names no key.
    ///
    /// # Errors
    /// When the topic cannot be made or read; when other hosts have a key and this one has none.
    pub async fn open(
        cluster: &Arc<Cluster>,
        kafka: &KafkaConfig,
        application: &Application,
    ) -> anyhow::Result<Option<Self>> {
        let topic = Control::topic(&application.name);
        let is_there = cluster.topics().await?.contains_key(&topic);
        let Some(key) = &kafka.control_key else {
            anyhow::ensure!(
                !is_there,
                "hosts of `{}` deploy together, by the topic `{topic}`, and [kafka] of isobar.toml names no key for it: say the \
                 `control_key_env` or `control_key_file` that the others have",
                application.name
            );
            return Ok(None);
        };
        let key = key.read().context("[kafka] `control_key`")?;
        anyhow::ensure!(
            key.len() >= FEWEST_KEY_BYTES,
            "[kafka] `control_key` has {} bytes; take {FEWEST_KEY_BYTES} or more at random, as `openssl rand -hex 32` gives them",
            key.len()
        );
        if !is_there {
            cluster.make_control(&topic).await?;
        }
        let control = cluster.control(&application.name, key.as_bytes())?;
        let (said, next) = control.read(0).await?;
        let is_foreign = said.iter().any(|said| said.content.is_none());
        let heard = heard(Heard::default(), said);
        anyhow::ensure!(
            heard.standing.is_some() || !is_foreign,
            "what stands in `{topic}` is not sealed by the `control_key` of isobar.toml: give this host the key of the others; after a \
             change of the key, stop all hosts and delete the topic"
        );
        let is_among_others = !cluster.others(application).await?.is_empty();
        Ok(Some(Joined { cluster: Arc::clone(cluster), control, heard, next, is_among_others }))
    }

    /// What runs, or ran last; nothing where nothing was ever deployed.
    ///
    /// # Errors
    /// When a component did not come whole.
    pub(in crate::deploys) fn past(&self) -> anyhow::Result<Option<Past>> {
        let Some(standing) = &self.heard.standing else { return Ok(None) };
        let mut components = BTreeMap::new();
        for name in standing.running.keys() {
            let packed = standing.components.get(name);
            let found = packed.map(|packed| component(&self.heard.pieces, packed, name)).transpose();
            match found {
                Ok(found) => components.extend(found.map(|found| (name.clone(), found))),
                // An operator's spin.toml may have it.
                Err(error) if !self.is_among_others => tracing::warn!(%error, "what ran last"),
                Err(error) => anyhow::bail!("{error}; deploy it again by a host that runs"),
            }
        }
        Ok(Some(Past { deployed: standing.deployed(), components, knowing: standing.knowing.clone() }))
    }

    /// Whether other hosts run functions of the application now.
    #[must_use]
    pub fn is_among_others(&self) -> bool {
        self.is_among_others
    }

    /// Says what this host is about to run, where that is not what ran last.
    ///
    /// # Errors
    /// When the topic cannot be written; when another host has begun with other versions at the same time.
    pub async fn settle(self, start: &Start) -> anyhow::Result<(Hosts, Listening)> {
        let Joined { cluster, control, mut heard, mut next, .. } = self;
        if heard.standing.as_ref().map(Proposal::deployed).as_ref() != Some(start.deployed()) {
            let turn = control.turn(DEPLOY).await?;
            (heard, next) = listened(&control, heard, next).await?;
            let is_so = heard.standing.as_ref().is_some_and(|standing| standing.running == start.deployed().running);
            if !is_so {
                let (before, said, proposal) = begun(&cluster, &heard, start)?;
                for record in said {
                    turn.say(vec![record]).await?;
                }
                turn.say(vec![Word::Proposal(Box::new(proposal.clone())).record()]).await?;
                let mut last = vec![Word::Activated { number: proposal.number }.record()];
                last.extend(outdated(before, &proposal, &heard.standing.map(|s| s.components).unwrap_or_default()));
                turn.say(last).await?;
                (heard, next) = listened(&control, Heard::default(), 0).await?;
            }
        }
        let standing = heard.standing.as_ref().filter(|standing| standing.running == start.deployed().running);
        let standing = standing.with_context(
            || "another host has begun with other versions at the same time; start this one again, and it goes along",
        )?;
        let mut seen = Seen { highest: heard.highest, ..Seen::default() };
        seen.follow(standing);
        cluster.reach(standing.number);
        let said = control.listen(next);
        heard.pieces.clear();
        let hosts = Hosts { cluster, control, seen: watch::Sender::new(seen), asking: tokio::sync::Mutex::default() };
        Ok((hosts, Listening { heard, said }))
    }
}

/// What is said of a start that others have to know: the number that stood before, components, and what runs.
fn begun(cluster: &Cluster, heard: &Heard, start: &Start) -> anyhow::Result<(u64, Vec<Record>, Proposal)> {
    let number = heard.highest + 1;
    let mut proposal = Proposal::new(number, &cluster.host(), start.deployed().clone());
    (proposal.who, proposal.action, proposal.at_ms) = (OPERATOR.to_owned(), "up".to_owned(), now_ms());
    let standing = heard.standing.as_ref();
    let sensitive = start.application.functions.values().filter(|f| f.reads_sensitive(&start.application));
    let sensitive: BTreeSet<String> = sensitive.map(|f| f.name.clone()).collect();
    proposal.knowing = standing.iter().flat_map(|s| s.knowing.iter().cloned()).chain(sensitive).collect();
    let mut said = Vec::new();
    for (function, component) in start.components() {
        let (packed, records) = pieces(component)?;
        proposal.components.insert(function.clone(), packed);
        said.extend(records);
    }
    Ok((standing.map_or(0, |standing| standing.number), said, proposal))
}

impl Seen {
    /// Notes that this host runs what `proposal` says.
    pub(super) fn follow(&mut self, proposal: &Proposal) {
        self.open = None;
        self.reached = proposal.number;
        self.components = proposal.components.clone();
        self.knowing = proposal.knowing.clone();
    }
}
