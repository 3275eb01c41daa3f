//! Deploys where several hosts share a log in Kafka: all of them find out whether they can, and then all do, or none.
//!
//! Who is asked to deploy says what is to run (a proposal, with components in pieces before it), and each host that runs functions
//! answers. If all can, it is activated by one more record, and each host puts the versions in charge when it hears that. What is
//! heard has one order, so that hosts come by the same way. Who was not there starts with what was activated last, and a partition
//! that was handled under a later deploy than a host knows of waits until it knows.

mod follow;
mod join;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::decide::{Decided, Way};
use super::{Ask, DeployError, Deploys, Taken};
use crate::clock::now_ms;
use crate::embedded::Store;
use crate::embedded::versions::digest_of;
use crate::kafka::control::{Control, Record, Turn};
use crate::kafka::{Cluster, Fault};
use crate::manifest::{Application, Function};
use words::{Packed, Pieces, Proposal, Word, pieces, taken_away};

pub use join::{Joined, Listening};

/// How long hosts may take to find out whether they can: compiling takes some seconds on a machine that is busy.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);
/// How long this host may take to hear and to do what it said itself.
const LONGEST_OWN: Duration = Duration::from_secs(60);
/// How long hosts may take to do what was activated before the others are told that it is done.
const LONGEST_FOLLOW: Duration = Duration::from_secs(20);
/// How often it is asked which hosts there are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Deploys that came to nothing since the last one that was activated, as far as they are taken away from the topic.
const MOST_OUTDATED: u64 = 1_000;
/// Whose turn it is to deploy.
const DEPLOY: &str = "deploy";

/// What this host has heard and done.
#[derive(Debug, Default)]
struct Seen {
    /// The highest number of a proposal.
    highest: u64,
    /// Who asked for the one that is open, and when this host heard it.
    open: Option<(String, Instant)>,
    /// What hosts have answered last: to which proposal, and why they cannot, if so.
    answers: BTreeMap<String, (u64, Option<String>)>,
    /// Up to where this host has heard and done everything.
    next: i64,
    /// The deploy that was activated last.
    standing: u64,
    /// Why this host cannot follow it, where it was tried.
    behind: Option<String>,
    /// The deploy that this host has followed.
    reached: u64,
    /// The last deploy that each host said to have followed.
    followed: BTreeMap<String, u64>,
    /// Components of what stands, by function.
    components: BTreeMap<String, Packed>,
    /// Functions of which some version could read what is sensitive.
    knowing: BTreeSet<String>,
}

/// The other hosts of an application, for one that deploys with them.
pub struct Hosts {
    cluster: Arc<Cluster>,
    control: Control,
    seen: watch::Sender<Seen>,
    /// One deploy of this host's at a time.
    asking: tokio::sync::Mutex<()>,
}

impl From<Fault> for DeployError {
    fn from(fault: Fault) -> Self {
        DeployError::Failed(fault.to_string())
    }
}

impl Hosts {
    /// Functions of which some version could read what is sensitive, on whatever host.
    pub(super) fn knowing(&self) -> BTreeSet<String> {
        self.seen.borrow().knowing.clone()
    }

    /// Takes topics as they are in the cluster; refuses what hosts cannot do while they run.
    pub(super) async fn fit(
        &self,
        store: &Store,
        running: &Application,
        application: &mut Application,
    ) -> Result<(), DeployError> {
        let refused = |error: anyhow::Error| DeployError::Refused { message: format!("{error:#}"), hint: None };
        let found = self.cluster.topics().await.map_err(|error| DeployError::Failed(format!("{error:#}")))?;
        Cluster::fit(application, &found).map_err(refused)?;
        Cluster::missing(application, &found).map_err(refused)?;
        // It would be found out when it is too late: all hosts follow what is activated.
        store.hold_states(application).await?;
        for (name, function) in &application.functions {
            let Some(before) = running.functions.get(name) else { continue };
            let sources =
                |f: &Function| f.triggers.iter().map(|t| t.source.topic().map(str::to_owned)).collect::<Vec<_>>();
            if sources(before) != sources(function) {
                return Err(DeployError::refused(
                    format!(
                        "`{name}` would read another topic, and which host has which of its partitions is agreed by topic"
                    ),
                    "stop all hosts and start them with the new spin.toml, or deploy it under another name",
                ));
            }
        }
        Ok(())
    }

    /// What a host has answered to a proposal, if it has.
    fn answered(&self, host: &str, number: u64) -> Option<Option<String>> {
        let seen = self.seen.borrow();
        seen.answers.get(host).filter(|(to, _)| *to == number).map(|(_, refused)| refused.clone())
    }

    /// Waits until what this host has heard is as `is_so` wants it.
    async fn until(&self, is_so: impl FnMut(&Seen) -> bool) -> Result<(), DeployError> {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(LONGEST_OWN, seen.wait_for(is_so)).await;
        let heard = waited.is_ok_and(|heard| heard.is_ok());
        let message = || format!("this host does not hear what is said of deploys for {} s", LONGEST_OWN.as_secs());
        heard.then_some(()).ok_or_else(|| DeployError::Failed(message()))
    }

    /// Takes the right to deploy, and the number of the next deploy; `reached` is what it was decided by.
    async fn turn(&self, reached: u64, application: &Application) -> Result<(Turn, u64), DeployError> {
        let busy = || DeployError::refused("another deploy is under way", "try again when it is done");
        if self.is_busy(application).await? {
            return Err(busy());
        }
        let turn = self.control.turn(DEPLOY).await?;
        // Whoever had the right has said all that he will: this host has to have heard it.
        let from = self.seen.borrow().next;
        let (last, _) = self.control.read(from, None, |last, said| *last = Some(said.offset)).await?;
        self.until(|seen| last.is_none_or(|last| seen.next > last)).await?;
        let seen = self.seen.borrow();
        if let Some(reason) = &seen.behind {
            // What it would say of all functions is outdated.
            return Err(DeployError::refused(
                format!("this host does not run what was deployed last ({reason})"),
                "deploy by way of another host, and see to this one",
            ));
        }
        // What was decided is decided by what ran then.
        if seen.reached != reached || seen.standing != reached {
            return Err(busy());
        }
        Ok((turn, seen.highest + 1))
    }

    /// Says that nothing comes of a deploy, and takes away what was said of it. Who does not hear it lets go of it at the next one.
    async fn abandon(&self, turn: &Turn, number: u64, proposal: &Proposal) {
        let mut last = vec![Word::Abandoned { number }.record()];
        let standing = self.seen.borrow().components.clone();
        let stands = |packed: &&Packed| standing.values().any(|standing| standing.digest == packed.digest);
        last.extend(proposal.components.values().filter(|packed| !stands(packed)).flat_map(taken_away));
        if let Err(fault) = turn.say(last).await {
            tracing::debug!(%fault, number, "a deploy could not be abandoned");
        }
    }

    /// Whether another host asks for a deploy now. One that is gone does not, and this one asks for one at a time.
    async fn is_busy(&self, application: &Application) -> Result<bool, DeployError> {
        let asks = self.seen.borrow().open.clone().filter(|(_, since)| since.elapsed() < LONGEST_ANSWER);
        let Some((host, _)) = asks else { return Ok(false) };
        let others = self.cluster.others(application).await;
        Ok(others.map_err(|error| DeployError::Failed(format!("{error:#}")))?.contains(&host))
    }
}

impl Deploys {
    /// Puts versions in charge on all hosts, or on none.
    pub(super) async fn deploy_everywhere(
        &self,
        hosts: &Hosts,
        ask: Ask,
        who: &str,
        action: &str,
    ) -> Result<Vec<Taken>, DeployError> {
        let _asking = hosts.asking.lock().await;
        let (reached, decided) = {
            let _turn = self.turn.lock().await;
            let reached = hosts.seen.borrow().reached;
            (reached, self.decide(ask.clone(), Way::default()).await?)
        };
        if decided.arrivals.is_empty() {
            return self.goes_on(decided).await;
        }
        let (turn, number) = hosts.turn(reached, &decided.application).await?;
        let (said, proposal) = proposed(hosts, number, &decided, &ask, who, action)?;
        let before = hosts.seen.borrow().components.clone();
        for record in said.into_iter().chain([Word::Proposal(Box::new(proposal.clone())).record()]) {
            if let Err(fault) = turn.say(vec![record]).await {
                hosts.abandon(&turn, number, &proposal).await;
                let hint = "another host may deploy, too, or Kafka is away: try again";
                return Err(DeployError::refused(format!("the other hosts could not be asked ({fault})"), hint));
            }
        }
        // What was answered to this one, and not to the one before.
        hosts.until(|seen| seen.highest >= number).await?;
        let agreed = match self.agreed(hosts, number, &decided.application).await {
            Ok(()) => self.make_topics(hosts, &decided.application).await,
            refused => refused,
        };
        if let Err(error) = agreed {
            hosts.abandon(&turn, number, &proposal).await;
            return Err(error);
        }
        let mut last = vec![Word::Activated { number }.record()];
        last.extend(outdated(reached, &proposal, &before));
        let said = turn.say(last).await;
        let is_over = |seen: &Seen| seen.reached >= number || seen.highest > number || seen.behind.is_some();
        match (hosts.until(is_over).await, said) {
            // Whatever the broker answered: it is heard.
            (Ok(()), _) if hosts.seen.borrow().reached >= number => {
                self.all_follow(hosts, number, &decided.application).await;
                Ok(decided.taken)
            }
            (_, Err(fault)) => Err(DeployError::Failed(format!(
                "{fault}; whether version {number} of what runs was activated is not known: `isobar versions` says what runs"
            ))),
            (heard, Ok(())) => {
                heard?;
                let reason = hosts.seen.borrow().behind.clone();
                reason.map_or(Ok(decided.taken), |reason| {
                    let message = format!("it was activated, and does not go at this host: {reason}");
                    Err(DeployError::Failed(message))
                })
            }
        }
    }

    /// Waits for the answers of all hosts that there are.
    async fn agreed(&self, hosts: &Hosts, number: u64, application: &Application) -> Result<(), DeployError> {
        let give_up = Instant::now() + LONGEST_ANSWER;
        let own = hosts.cluster.host();
        let mut heard = hosts.seen.subscribe();
        loop {
            let mut all = hosts.cluster.others(application).await.map_err(|e| DeployError::Failed(format!("{e:#}")))?;
            all.insert(own.clone());
            for host in &all {
                if let Some(Some(refused)) = hosts.answered(host, number) {
                    let at = if *host == own { String::new() } else { format!(" (at host {host})") };
                    return Err(DeployError::Refused { message: format!("{refused}{at}"), hint: None });
                }
            }
            all.retain(|host| hosts.answered(host, number).is_none());
            if all.is_empty() {
                return Ok(());
            }
            if Instant::now() > give_up {
                let all: Vec<String> = all.into_iter().collect();
                return Err(DeployError::refused(
                    format!("no answer came from {} within {} s", all.join(", "), LONGEST_ANSWER.as_secs()),
                    "the versions in charge go on; is each host of the application started with the same `control_key`, and does it answer?",
                ));
            }
            if hosts.seen.borrow().highest != number {
                return Err(DeployError::refused("another host deploys, too", "try again when it is done"));
            }
            let _ = tokio::time::timeout(LOOK_EVERY, heard.changed()).await;
        }
    }

    /// Waits a while until all hosts run what was activated: who asked for it may rely on that.
    async fn all_follow(&self, hosts: &Hosts, number: u64, application: &Application) {
        let give_up = Instant::now() + LONGEST_FOLLOW;
        let mut heard = hosts.seen.subscribe();
        loop {
            let Ok(mut all) = hosts.cluster.others(application).await else { return };
            all.retain(|host| hosts.seen.borrow().followed.get(host).is_none_or(|followed| *followed < number));
            if all.is_empty() {
                return;
            }
            if Instant::now() > give_up {
                let all: Vec<String> = all.into_iter().collect();
                tracing::warn!(number, hosts = all.join(", "), "these do not run what was deployed yet");
                return;
            }
            let _ = tokio::time::timeout(LOOK_EVERY, heard.changed()).await;
        }
    }

    async fn make_topics(&self, hosts: &Hosts, application: &Application) -> Result<(), DeployError> {
        let made = async { hosts.cluster.make(application, &hosts.cluster.topics().await?).await };
        made.await.map_err(|error| DeployError::Failed(format!("{error:#}")))
    }
}

/// What is said of a deploy: its components in pieces, and what is to run.
fn proposed(
    hosts: &Hosts,
    number: u64,
    decided: &Decided,
    ask: &Ask,
    who: &str,
    action: &str,
) -> Result<(Vec<Record>, Proposal), DeployError> {
    let mut proposal = Proposal::new(number, &hosts.cluster.host(), decided.deployed.clone());
    (proposal.who, proposal.action, proposal.at_ms) = (who.to_owned(), action.to_owned(), now_ms());
    let sensitive = |name: &&String| {
        decided.application.functions.get(*name).is_some_and(|f| f.reads_sensitive(&decided.application))
    };
    let seen = hosts.seen.borrow();
    proposal.knowing = seen.knowing.iter().chain(ask.components.keys().filter(sensitive)).cloned().collect();
    proposal.components = seen.components.clone();
    drop(seen);
    let mut said = Vec::new();
    for (function, component) in &ask.components {
        let digest = digest_of(component);
        if proposal.components.get(function).is_some_and(|packed| packed.digest == digest) {
            continue;
        }
        let (packed, records) = pieces(component).map_err(|error| DeployError::Failed(error.to_string()))?;
        proposal.components.insert(function.clone(), packed);
        said.extend(records);
    }
    proposal.components.retain(|function, _| decided.deployed.running.contains_key(function));
    Ok((said, proposal))
}

/// What nobody needs any more once `proposal` is activated, where `reached` was before, with those components.
fn outdated(reached: u64, proposal: &Proposal, before: &BTreeMap<String, Packed>) -> Vec<Record> {
    let kept: BTreeSet<&str> = proposal.components.values().map(|packed| packed.digest.as_str()).collect();
    let gone = before.values().filter(|packed| !kept.contains(packed.digest.as_str())).flat_map(taken_away);
    let words =
        |number| [Word::Activated { number }.key(), Word::Abandoned { number }.key(), format!("proposal/{number}")];
    let recent = reached.max(proposal.number.saturating_sub(MOST_OUTDATED));
    (recent..proposal.number).flat_map(words).map(|key| (key, None)).chain(gone).collect()
}

/// A component that was said, from its pieces.
fn component(pieces: &Pieces, packed: &Packed, function: &str) -> Result<Arc<[u8]>, DeployError> {
    let found = pieces.component(packed).map(Arc::from);
    found.ok_or_else(|| DeployError::Failed(format!("the component of `{function}` did not come whole")))
}
