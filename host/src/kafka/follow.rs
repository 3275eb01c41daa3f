//! What follows in the data folder from what Kafka has committed, in its order: copies of state, position and ledger. It is tried
//! again until it is done; should this host end before, the next one that takes the partition has it from the topics.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::group::Member;
use super::transaction::Outgoing;
use crate::embedded::{Attempt, Commit, Note, WriteError};

/// Commits that are written to the data folder at one time.
const MOST_AT_ONCE: usize = 32;
/// The wait after trouble with the data folder.
const BACKOFF: Duration = Duration::from_millis(500);

/// What is to be noted.
#[derive(Clone)]
pub(super) enum Local {
    Commit(Box<Commit>),
    Attempt(Box<Attempt>),
    Nothing,
}

/// What the follower is told.
pub(super) enum Follow {
    Committed {
        note: Note,
        outgoing: Vec<Outgoing>,
        local: Local,
        answer: oneshot::Sender<Result<(), WriteError>>,
    },
    /// Answered when everything before is noted.
    End(oneshot::Sender<()>),
}

/// Works until nothing can follow any more.
pub(super) async fn follow(member: Arc<Member>, mut queue: mpsc::UnboundedReceiver<Follow>) {
    let mut waiting = Vec::with_capacity(MOST_AT_ONCE);
    while queue.recv_many(&mut waiting, MOST_AT_ONCE).await > 0 {
        let mut locals = Vec::with_capacity(waiting.len());
        let mut answers = Vec::with_capacity(waiting.len());
        let mut ends = Vec::new();
        for follow in waiting.drain(..) {
            match follow {
                Follow::Committed { note, outgoing, mut local, answer } => {
                    announce(&member, &note, &outgoing, &mut local);
                    locals.push(local);
                    answers.push(answer);
                }
                Follow::End(done) => ends.push(done),
            }
        }
        let is_noted = noted(&member, locals).await;
        for answer in answers {
            // Who went away no longer waits for an answer.
            let _ = answer.send(if is_noted { Ok(()) } else { Err(WriteError::Stopped) });
        }
        for done in ends {
            let _ = done.send(());
        }
    }
}

/// Tells readers on this host what was committed.
fn announce(member: &Member, note: &Note, outgoing: &[Outgoing], local: &mut Local) {
    for Outgoing { topic, partition, records } in outgoing {
        let Some(next) = records.offsets.last().map(|last| last + 1) else { continue };
        if *topic == member.names.outbox {
            member.tails(note.partition).iter().for_each(|tail| tail.push(records));
        }
        if *topic == member.names.state
            && let Local::Commit(commit) = local
        {
            commit.changelog = Some(next);
        }
        member.store.ends().advance(topic, *partition, next);
    }
}

/// Writes all of it, in order; `false` when the host is stopping.
async fn noted(member: &Member, locals: Vec<Local>) -> bool {
    let mut from = 0;
    while let Some(left) = locals.get(from..).filter(|left| !left.is_empty()) {
        let mut results = Vec::with_capacity(left.len());
        for local in left {
            results.push(match local.clone() {
                Local::Commit(commit) => member.store.queue_commit(*commit).await.map(|done| done.boxed()),
                Local::Attempt(attempt) => member.store.queue_attempt(*attempt).await.map(|done| done.boxed()),
                Local::Nothing => Ok(std::future::ready(Ok(())).boxed()),
            });
        }
        let (mut through, mut failed) = (0, None);
        for result in results {
            let ended = match result {
                Ok(written) => written.await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) if failed.is_none() => through += 1,
                // What comes behind one that failed is written again after it.
                Ok(()) => {}
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        from += through;
        match failed {
            None => {}
            Some(WriteError::Stopped) => return false,
            Some(error) => {
                tracing::warn!(%error, function = %member.function, "what is committed cannot be noted in the data folder; it is tried again");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
    true
}
