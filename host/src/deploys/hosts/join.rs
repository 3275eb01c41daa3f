//! A host that starts: what runs on the others, or, where nobody runs, what ran last and what its spin.toml makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};

use super::words::{Heard, Packed, Proposal, Word};
use super::{DEPLOY, Hosts, Seen, component, outdated};
use crate::clock::now_ms;
use crate::config::kafka::KafkaConfig;
use crate::deploys::DeployError;
use crate::deploys::start::{OPERATOR, Past, Start};
use crate::embedded::versions::Look;
use crate::kafka::control::{Control, Said};
use crate::kafka::{Cluster, Fault};
use crate::manifest::{self, Application};

/// How often a host that starts tries to say what it is about to run, and how long between.
const MOST_TRIES: u32 = 5;
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Bytes of the shortest key.
const FEWEST_KEY_BYTES: usize = 16;

/// What a host knows of deploys before it runs anything.
pub struct Joined {
    cluster: Arc<Cluster>,
    control: Control,
    read: Read,
    next: i64,
    /// The deploy that stood when this host began.
    stood: u64,
    /// Whether other hosts run functions of the application.
    is_among_others: bool,
}

/// What the topic holds.
#[derive(Default)]
struct Read {
    heard: Heard,
    /// Records that are not by the key.
    foreign: u64,
}

/// Hears what is said from then on.
pub struct Listening {
    pub(super) heard: Heard,
    /// Records that were not by the key.
    pub(super) foreign: u64,
    pub(super) said: mpsc::Receiver<Said>,
}

/// Takes in all that was said from `from` on; gives where that ends, too.
async fn listened(control: &Control, before: Read, from: i64) -> Result<(Read, i64), Fault> {
    let hear = |read: &mut Read, said: Said| match said.content {
        Some(content) => drop(read.heard.hear(content)),
        None => read.foreign += 1,
    };
    control.read(from, before, hear).await
}

/// A component that was said once and is not held any more.
pub(super) async fn said_again(control: &Control, packed: &Packed, function: &str) -> Result<Arc<[u8]>, DeployError> {
    let (read, _) = listened(control, Read::default(), 0).await?;
    component(&read.heard.pieces, packed, function)
}

impl Joined {
    /// Hears what was said until now; `None` where hosts do not deploy, as isobar.toml names no key.
    ///
    /// # Errors
    /// When the topic cannot be made or read; when other hosts have a key and this one has none or another one.
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
        let control = cluster.control(&cluster.id().await?, &application.name, key.as_bytes())?;
        let (read, next) = listened(&control, Read::default(), 0).await?;
        anyhow::ensure!(
            read.heard.standing.is_some() || read.foreign == 0,
            "what stands in `{topic}` is not sealed by the `control_key` of isobar.toml: give this host the key of the others; after a \
             change of the key, stop all hosts and delete the topic"
        );
        let is_among_others = are_there_others(cluster, &read.heard, application).await?;
        anyhow::ensure!(
            read.heard.standing.is_some() || !is_among_others,
            "other hosts run functions of `{}`, and `{topic}` does not say which versions: were they started without a `control_key`? \
             Stop them first",
            application.name
        );
        let stood = read.heard.standing.as_ref().map_or(0, |standing| standing.number);
        Ok(Some(Joined { cluster: Arc::clone(cluster), control, read, next, stood, is_among_others }))
    }

    /// What runs, or ran last; nothing where nothing was ever deployed. What did not come whole may be in the data folder.
    ///
    /// # Errors
    /// When a component cannot be had, and other hosts run it.
    pub(in crate::deploys) async fn past(&self, look: &mut Option<Look>) -> anyhow::Result<Option<Past>> {
        let Some(standing) = &self.read.heard.standing else { return Ok(None) };
        let mut components = BTreeMap::new();
        for name in standing.running.keys() {
            let Some(packed) = standing.components.get(name) else { continue };
            let kept = match look {
                Some(look) => look.component(&packed.digest).await.ok().flatten().map(Arc::from),
                None => None,
            };
            match kept.map_or_else(|| component(&self.read.heard.pieces, packed, name), Ok) {
                Ok(found) => drop(components.insert(name.clone(), found)),
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
    pub async fn settle(mut self, start: &Start) -> anyhow::Result<(Hosts, Listening)> {
        for tries in 1.. {
            if self.read.heard.standing.as_ref().map(Proposal::deployed).as_ref() == Some(start.deployed()) {
                break;
            }
            match self.say(start).await {
                Ok(()) => {}
                Err(error) if tries >= MOST_TRIES => return Err(error),
                // Another host that begins may have taken the right, perhaps to say the same.
                Err(error) => {
                    tracing::debug!(%error, "what is about to run is said again");
                    tokio::time::sleep(TRY_EVERY).await;
                }
            }
            let (read, from) = (std::mem::take(&mut self.read), self.next);
            (self.read, self.next) = listened(&self.control, read, from).await?;
        }
        let Joined { cluster, control, read: Read { mut heard, foreign }, next, .. } = self;
        let standing = heard.standing.as_ref().context("what is about to run was said and not heard")?;
        let mut seen = Seen { highest: heard.highest, next, ..Seen::default() };
        seen.follow(standing);
        cluster.reach(standing.number);
        let said = control.listen(next)?;
        heard.forget(None);
        let hosts = Hosts { cluster, control, seen: watch::Sender::new(seen), asking: tokio::sync::Mutex::default() };
        Ok((hosts, Listening { heard, foreign, said }))
    }

    /// Says it, unless another host has said something meanwhile.
    async fn say(&mut self, start: &Start) -> anyhow::Result<()> {
        let turn = self.control.turn(DEPLOY).await?;
        // Should that fail, all of it is read the next time.
        let (read, before) = (std::mem::take(&mut self.read), std::mem::take(&mut self.next));
        (self.read, self.next) = listened(&self.control, read, before).await?;
        let heard = &self.read.heard;
        if heard.standing.as_ref().map(Proposal::deployed).as_ref() == Some(start.deployed()) {
            return Ok(());
        }
        // Who runs by now was not asked, and would have to follow.
        let stands = heard.standing.as_ref().map_or(0, |standing| standing.number);
        anyhow::ensure!(
            stands == self.stood && !are_there_others(&self.cluster, heard, &start.application).await?,
            "another host has begun with other versions at the same time; start this one again, and it goes along"
        );
        let before = heard.standing.as_ref();
        let number = heard.next_number(now_ms());
        let mut proposal = Proposal::new(number, &self.cluster.host(), (OPERATOR, "up"), start.deployed().clone());
        // All of it is said anew: what stands may not be whole.
        let knowing = before.map(|before| before.knowing.clone()).unwrap_or_default();
        let said = proposal.bring(&start.application, start.components(), BTreeMap::new(), knowing)?;
        for record in said.into_iter().chain([Word::Proposal(Box::new(proposal.clone())).record()]) {
            turn.say(vec![record]).await?;
        }
        let mut last = vec![Word::Activated { number }.record()];
        last.extend(before.into_iter().flat_map(|b| outdated(b.number, &proposal, &b.components)));
        Ok(turn.say(last).await?)
    }
}

/// Whether other hosts run what stands, or functions of `application`.
async fn are_there_others(cluster: &Arc<Cluster>, heard: &Heard, application: &Application) -> anyhow::Result<bool> {
    if !cluster.others(application).await?.is_empty() {
        return Ok(true);
    }
    match heard.standing.as_ref().and_then(|standing| manifest::parse(&standing.manifest).ok()) {
        Some(standing) => Ok(!cluster.others(&standing).await?.is_empty()),
        None => Ok(false),
    }
}

impl Seen {
    /// Notes that this host runs what `proposal` says.
    pub(super) fn follow(&mut self, proposal: &Proposal) {
        (self.open, self.behind) = (None, None);
        (self.standing, self.reached) = (proposal.number, proposal.number);
        self.components = proposal.components.clone();
        self.knowing = proposal.knowing.clone();
    }
}
