//! Questions about positions: what partitions hold, and what groups have committed.

use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{ANSWER, Context, list};
use super::reader::{LOOK_EVERY, READER};
use super::{Cluster, Fault};

/// How long a partition's leader may take to answer before a new client asks. A client (librdkafka 2.12.1) waits for a leader that is
/// gone, each time anew; and after a broker was lost, one was seen that did not know of a partition any more, for good.
const LEADER: Duration = Duration::from_secs(2);
/// How long transactions of others may keep the end of a topic open: three times what a broker lets them.
const UNDECIDED: Duration = Duration::from_secs(30);

/// What stands beside a position before the number of a deploy.
const DEPLOY: &str = "deploy ";

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first offset that is kept.
    pub(super) first: i64,
    /// The next offset.
    pub(super) next: i64,
}

/// Where a group stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    /// The next offset.
    pub(super) next: i64,
    /// The deploy under which it was committed.
    pub(super) deploy: u64,
}

/// The deploy as it stands beside a position; an older isobar wrote none.
pub(super) fn noted(deploy: u64) -> String {
    format!("{DEPLOY}{deploy}")
}

/// What a partition holds, with records whose transactions are not decided yet if `undecided`. Blocks.
pub(super) fn extent(cluster: &Cluster, topic: &str, partition: u32, undecided: bool) -> Result<Extent, Fault> {
    let extents = extents(cluster, &[(topic, partition)], undecided)?;
    extents.first().copied().ok_or_else(|| Fault::Away("no answer".to_owned()))
}

/// As [`extent`], of many partitions at one time.
pub(super) fn extents(cluster: &Cluster, partitions: &[(&str, u32)], undecided: bool) -> Result<Vec<Extent>, Fault> {
    let ask = |at: Offset| {
        let asked: Vec<_> = partitions.iter().map(|(topic, partition)| (*topic, *partition, at)).collect();
        offsets(cluster, &asked, undecided)
    };
    let (first, next) = (ask(Offset::Beginning)?, ask(Offset::End)?);
    let known =
        |at: Option<i64>| at.ok_or_else(|| Fault::Away("a broker does not know the ends of a topic".to_owned()));
    first.into_iter().zip(next).map(|(first, next)| Ok(Extent { first: known(first)?, next: known(next)? })).collect()
}

/// The offset of the first record of a partition that is not older than `at_ms`; `None` where all are. Blocks.
pub(super) fn offset_at(cluster: &Cluster, topic: &str, partition: u32, at_ms: i64) -> Result<Option<i64>, Fault> {
    Ok(offsets(cluster, &[(topic, partition, Offset::Offset(at_ms))], false)?.into_iter().next().flatten())
}

/// Where each partition has its beginning, its end, or its first record of a time in milliseconds; `None` where there is no such
/// record.
fn offsets(cluster: &Cluster, asked: &[(&str, u32, Offset)], undecided: bool) -> Result<Vec<Option<i64>>, Fault> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let list = list(asked)?;
    let ask = |client: &BaseConsumer<Context>, patience: Duration| {
        let found = client.offsets_for_times(list.clone(), patience)?;
        let offset = |at| if let Offset::Offset(at) = at { Some(at) } else { None };
        found.elements().iter().map(|element| element.error().map(|()| offset(element.offset()))).collect()
    };
    let give_up = Instant::now() + ANSWER;
    let (mut patience, mut pause) = (LEADER, LOOK_EVERY);
    loop {
        let client = cluster.client(READER, undecided)?;
        let error = match ask(&client, patience.min(give_up.saturating_duration_since(Instant::now()))) {
            Ok(offsets) => return Ok(offsets),
            Err(error) => error,
        };
        // What does not exist is believed to a client that has just looked.
        let is_known = is_refused(&error) || is_unknown(&error) && pause > LOOK_EVERY;
        if is_known || Instant::now() + pause >= give_up {
            return Err(error.into());
        }
        cluster.forget(READER, undecided, &client);
        std::thread::sleep(pause);
        // A new client has to find its brokers first, which may be far away.
        (patience, pause) = (patience * 2, pause * 2);
    }
}

/// Whether asking again cannot help.
fn is_refused(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InvalidArgument
        )
    )
}

/// Whether what was asked for does not exist.
fn is_unknown(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// Waits until everything that a partition holds now is decided; gives its extent then. Blocks.
pub(super) fn decided(cluster: &Cluster, topic: &str, partition: u32) -> Result<Extent, Fault> {
    let all = extent(cluster, topic, partition, true)?;
    let give_up = Instant::now() + UNDECIDED;
    loop {
        let decided = extent(cluster, topic, partition, false)?;
        if decided.next >= all.next {
            return Ok(decided);
        }
        if Instant::now() > give_up {
            return Err(Fault::Away(format!("a transaction of another host in `{topic}`/{partition} does not end")));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What `group` has committed of a partition, once transactions with it are decided. Blocks.
pub(super) fn committed(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    partition: u32,
) -> Result<Option<Committed>, Fault> {
    let give_up = Instant::now() + UNDECIDED;
    loop {
        match asked(cluster, group, topic, partition, false) {
            // A host that was killed has left a transaction; the broker ends it in time.
            Err(_) if Instant::now() < give_up => std::thread::sleep(LOOK_EVERY),
            answer => return answer,
        }
    }
}

/// What `group` has committed of a partition, whatever is under way. Blocks.
pub(super) fn stands(cluster: &Cluster, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>, Fault> {
    asked(cluster, group, topic, partition, true)
}

fn asked(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    partition: u32,
    undecided: bool,
) -> Result<Option<Committed>, Fault> {
    let client = cluster.client(group, undecided)?;
    let found = client.committed_offsets(list(&[(topic, partition, Offset::Invalid)])?, ANSWER)?;
    let elements = found.elements();
    let element = elements.first().ok_or_else(|| Fault::Away("no answer".to_owned()))?;
    element.error()?;
    Ok(match element.offset() {
        Offset::Offset(next) => {
            let deploy = element.metadata().strip_prefix(DEPLOY).and_then(|number| number.parse().ok());
            Some(Committed { next, deploy: deploy.unwrap_or_default() })
        }
        _ => None,
    })
}

/// Commits a position of `group`, which has no members. Blocks.
pub(super) fn commit(cluster: &Cluster, group: &str, topic: &str, partition: u32, next: i64) -> Result<(), Fault> {
    let client = cluster.client(group, false)?;
    client.commit(&list(&[(topic, partition, Offset::Offset(next))])?, CommitMode::Sync)?;
    Ok(())
}
