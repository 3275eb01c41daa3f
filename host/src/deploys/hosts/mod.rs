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

use super::decide::Way;
use super::{Ask, DeployError, Deploys, Taken};
use crate::embedded::Store;
use crate::kafka::control::{Control, Record, Turn};
use crate::kafka::{Cluster, Fault};
use crate::manifest::{Application, Function};
use words::{Packed, Pieces, Proposal, Word, taken_away};

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

    /// Takes topics as they are in the cluster; refuses what hosts cannot do while they run, unless versions are only compared.
    pub(super) async fn fit(
        &self,
        store: &Store,
        running: &Application,
        application: &mut Application,
        compares: bool,
    ) -> Result<(), DeployError> {
        let refused = |error: anyhow::Error| DeployError::Refused { message: format!("{error:#}"), hint: None };
        let found = self.cluster.topics().await.map_err(DeployError::failed)?;
        Cluster::fit(application, &found).map_err(refused)?;
        Cluster::missing(application, &found).map_err(refused)?;
        if compares {
            return Ok(());
        }
        // It would be found out when it is too late: all hosts follow what is activated.
        for function in application.functions.values().filter(|function| function.grants.state) {
            let (name, wanted) = (&function.name, function.grants.state_version);
            if let Some(stored) = store.state_version(name).await?.filter(|stored| *stored != wanted) {
                return Err(DeployError::refused(
                    format!(
                        "the state of `{name}` is of version {stored}, and by spin.toml it would be taken for version {wanted}"
                    ),
                    format!(
                        "where the log is in Kafka, state keeps its form: leave `state_version = {stored}`, or deploy it under another name"
                    ),
                ));
            }
        }
        for (name, function) in &application.functions {
            let Some(before) = running.functions.get(name) else { continue };
            if sources(before) != sources(function) {
                return Err(DeployError::refused(
                    format!(
                        "`{name}` would read another topic or have a schedule of another `id`, by which hosts agree who does what"
                    ),
                    "stop all hosts and start them with the new spin.toml, or deploy it under another name",
                ));
            }
        }
        Ok(())
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

    /// Waits until all of `application`'s hosts are as `is_so` wants them; gives those that are not after `longest`, or once `is_over`.
    async fn wanting(
        &self,
        application: &Application,
        longest: Duration,
        is_so: impl Fn(&Seen, &str) -> bool,
        is_over: impl Fn(&Seen) -> bool,
    ) -> Result<BTreeSet<String>, DeployError> {
        let give_up = Instant::now() + longest;
        let mut heard = self.seen.subscribe();
        loop {
            let mut all = self.others(application).await?;
            all.insert(self.cluster.host());
            let is_over = {
                let seen = self.seen.borrow();
                all.retain(|host| !is_so(&seen, host));
                is_over(&seen)
            };
            if all.is_empty() || is_over || Instant::now() > give_up {
                return Ok(all);
            }
            let _ = tokio::time::timeout(LOOK_EVERY, heard.changed()).await;
        }
    }

    /// Waits for the answers of all hosts that there are.
    async fn agreed(&self, number: u64, application: &Application) -> Result<(), DeployError> {
        let answered = |seen: &Seen, host: &str| seen.answers.get(host).is_some_and(|(to, _)| *to == number);
        let refusal = |seen: &Seen| {
            let mut refused = seen.answers.iter().filter(|(_, (to, _))| *to == number);
            refused.find_map(|(host, (_, refused))| Some((host.clone(), refused.clone()?)))
        };
        let is_over = |seen: &Seen| seen.highest != number || refusal(seen).is_some();
        let left = self.wanting(application, LONGEST_ANSWER, answered, is_over).await?;
        let seen = self.seen.borrow();
        if let Some((host, refused)) = refusal(&seen) {
            let at = if host == self.cluster.host() { String::new() } else { format!(" (at host {host})") };
            return Err(DeployError::Refused { message: format!("{refused}{at}"), hint: None });
        }
        if seen.highest != number {
            return Err(DeployError::refused("another host deploys, too", "try again when it is done"));
        }
        if left.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = left.into_iter().collect();
        Err(DeployError::refused(
            format!("no answer came from {} within {} s", left.join(", "), LONGEST_ANSWER.as_secs()),
            "the versions in charge go on; is each host of the application started with the same `control_key`, and does it answer?",
        ))
    }

    /// Waits a while until all hosts run what was activated: who asked for it may rely on that.
    async fn all_follow(&self, number: u64, application: &Application) {
        let follows = |seen: &Seen, host: &str| seen.followed.get(host).is_some_and(|followed| *followed >= number);
        match self.wanting(application, LONGEST_FOLLOW, follows, |_| false).await {
            Ok(left) if left.is_empty() => {}
            Ok(left) => {
                let left: Vec<String> = left.into_iter().collect();
                tracing::warn!(number, hosts = left.join(", "), "these do not run what was deployed yet");
            }
            Err(error) => tracing::warn!(number, %error, "which hosts run what was deployed is not known"),
        }
    }

    /// Whether another host asks for a deploy now. One that is gone does not, and this one asks for one at a time.
    async fn is_busy(&self, application: &Application) -> Result<bool, DeployError> {
        let asks = self.seen.borrow().open.clone().filter(|(_, since)| since.elapsed() < LONGEST_ANSWER);
        let Some((host, _)) = asks else { return Ok(false) };
        Ok(self.others(application).await?.contains(&host))
    }

    async fn others(&self, application: &Application) -> Result<BTreeSet<String>, DeployError> {
        self.cluster.others(application).await.map_err(DeployError::failed)
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
        if !decided.changes_something() {
            return self.goes_on(decided).await;
        }
        let (turn, number) = hosts.turn(reached, &decided.application).await?;
        let before = hosts.seen.borrow().components.clone();
        let knowing = hosts.seen.borrow().knowing.clone();
        let mut proposal = Proposal::new(number, &hosts.cluster.host(), (who, action), decided.deployed.clone());
        let said = proposal.bring(&decided.application, &ask.components, before.clone(), knowing);
        let said = said.map_err(|error| DeployError::Failed(error.to_string()))?;
        if let Err(error) = self.ask_all(hosts, &turn, (&proposal, said), &decided.application).await {
            hosts.abandon(&turn, number, &proposal).await;
            return Err(error);
        }
        let mut last = vec![Word::Activated { number }.record()];
        last.extend(outdated(reached, &proposal, &before));
        let said = turn.say(last).await;
        let is_over = |seen: &Seen| seen.reached >= number || seen.highest > number || seen.behind.is_some();
        let heard = hosts.until(is_over).await;
        let (is_reached, behind) = {
            let seen = hosts.seen.borrow();
            (seen.reached >= number, seen.behind.clone())
        };
        match (said, behind) {
            // Whatever the broker answered: it is heard.
            _ if is_reached => {
                hosts.all_follow(number, &decided.application).await;
                Ok(decided.taken)
            }
            (Err(fault), _) => Err(DeployError::Failed(format!(
                "{fault}; whether deploy {number} was activated is not known: `isobar versions` says what runs"
            ))),
            (Ok(()), Some(reason)) => {
                Err(DeployError::Failed(format!("it was activated, and does not go at this host: {reason}")))
            }
            (Ok(()), None) => heard.map(|()| decided.taken),
        }
    }

    /// Says what is to run, and waits until all hosts have answered that they can.
    async fn ask_all(
        &self,
        hosts: &Hosts,
        turn: &Turn,
        (proposal, said): (&Proposal, Vec<Record>),
        application: &Application,
    ) -> Result<(), DeployError> {
        for record in said.into_iter().chain([Word::Proposal(Box::new(proposal.clone())).record()]) {
            turn.say(vec![record]).await.map_err(|fault| {
                let hint = "another host may deploy, too, or Kafka is away: try again";
                DeployError::refused(format!("the other hosts could not be asked ({fault})"), hint)
            })?;
        }
        hosts.until(|seen| seen.highest >= proposal.number).await?;
        hosts.agreed(proposal.number, application).await?;
        self.make_topics(hosts, application).await
    }

    async fn make_topics(&self, hosts: &Hosts, application: &Application) -> Result<(), DeployError> {
        let made = async { hosts.cluster.make(application, &hosts.cluster.topics().await?).await };
        made.await.map_err(DeployError::failed)
    }
}

/// What a function's positions stand under: its topic, or the id of its schedule.
fn sources(function: &Function) -> Vec<&str> {
    function.triggers.iter().map(|trigger| trigger.source.topic().unwrap_or(&trigger.id)).collect()
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
