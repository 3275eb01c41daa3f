//! A function whose log is in Kafka: partitions become this host's and go to others, and for each that it has there is a worker and
//! what applies its outbox. Should nothing be committed any more, all of it begins anew from what the broker says.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as threads};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::log::Log;
use super::worker::Worker;
use super::{Shared, TRIM_EVERY, outbox};
use crate::delivery::retry;
use crate::embedded::Note;
use crate::kafka::{Cluster, Event, Group, Owned};
use crate::manifest::{DATA_FOLDER, Table, TriggerSource};
use crate::registry::Registered;

/// The wait before something is tried the second time, in milliseconds; doubled for each time after.
const BACKOFF_MS: u32 = 250;
const MOST_DOUBLINGS: u32 = 6;
/// A membership that went well for so long has nothing to do with the trouble before it.
const LONG_ENOUGH: Duration = Duration::from_secs(60);
/// How often it is looked whether a table was loaded by way of another host.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A partition at work.
struct Running {
    /// Ends it at once, whatever it does.
    kill: CancellationToken,
    task: JoinHandle<()>,
}

/// How work on a function ends.
pub(super) struct Ends {
    /// After what is under way.
    pub(super) stop: CancellationToken,
    /// At once.
    pub(super) kill: CancellationToken,
}

/// What all partitions of a function know.
struct Function {
    shared: Arc<Shared>,
    registered: Arc<Registered>,
    cluster: Arc<Cluster>,
    /// The topic, or the id of the schedule's trigger.
    source: Arc<str>,
    outbox: Arc<str>,
}

/// Works on the partitions of a function that are this host's, until it is told to stop.
pub(super) async fn run(shared: Arc<Shared>, registered: Arc<Registered>, cluster: Arc<Cluster>, ends: Ends) {
    let Ends { stop, kill } = ends;
    let version = registered.version.load_full();
    let source = version.function.triggers.first().map(|trigger| match &trigger.source {
        TriggerSource::Topic(topic) => topic.as_str().into(),
        TriggerSource::Cron(_) => trigger.id.as_str().into(),
    });
    let outbox = version.function.outbox_topic(&shared.store.application().name).into();
    let Some(source) = source else { return shared.progress.joining(&registered.name, false) };
    let function = Arc::new(Function { shared, registered, cluster, source, outbox });
    let mut tries = 0;
    while !stop.is_cancelled() {
        let began = tokio::time::Instant::now();
        function.shared.progress.joining(&function.registered.name, true);
        if let Err(error) = session(&function, &stop, &kill).await {
            if began.elapsed() > LONG_ENOUGH {
                tries = 0;
            }
            tries = (tries + 1).min(MOST_DOUBLINGS);
            warn!(function = %function.registered.name, %error, "beginning anew");
            let wait = retry::backoff(BACKOFF_MS, tries + 1);
            let _ = tokio::time::timeout(wait, stop.cancelled()).await;
        }
    }
}

/// One membership of the function's group.
async fn session(function: &Arc<Function>, stop: &CancellationToken, kill: &CancellationToken) -> anyhow::Result<()> {
    let store = &function.shared.store;
    let version = function.registered.version.load_full();
    let name = &function.registered.name;
    // Joining goes on while it is asked which outbox it is.
    let mut group = Group::join(&function.cluster, store, &version.function)?;
    let stored = store.application().connections_of(name).into_iter().any(|connection| connection != DATA_FOLDER);
    let lineage = match stored {
        true => function.cluster.lineage(&store.application(), name).await,
        false => Ok(Arc::from("")),
    };
    let lineage = match lineage {
        Ok(lineage) => lineage,
        Err(fault) => {
            group.leave().await;
            return Err(fault.into());
        }
    };
    let mut running: BTreeMap<u32, Running> = BTreeMap::new();
    let ended = loop {
        let event = tokio::select! {
            biased;
            () = kill.cancelled() => break Err(anyhow::anyhow!("its calls were given up")),
            () = stop.cancelled() => break Ok(()),
            event = group.events.recv() => event,
        };
        match event {
            Some(Event::Assigned(partitions)) => {
                if let Err(error) = alone(function).await {
                    break Err(error);
                }
                for owned in partitions {
                    running.insert(owned.partition(), start(function, owned, &lineage, stop));
                }
                function.shared.progress.joining(name, false);
            }
            Some(Event::Revoked(partitions, done)) => revoke(function, &group, &mut running, partitions, done).await,
            Some(Event::Ended(fault)) => break Err(anyhow::Error::new(fault)),
            None => break Err(anyhow::anyhow!("the thread that polls ended")),
        }
    };
    if ended.is_err() {
        running.values().for_each(|partition| partition.kill.cancel());
    }
    let partitions: Vec<u32> = running.keys().copied().collect();
    for (_, partition) in running {
        // A panic of a worker has ended it, too.
        let _ = partition.task.await;
    }
    if !stop.is_cancelled() {
        function.shared.progress.joining(name, true);
    }
    partitions.iter().for_each(|partition| function.shared.progress.forget(name, &function.outbox, *partition));
    group.end(partitions).await;
    group.leave().await;
    ended
}

/// Refuses to work beside another host where tables are in the data folder: each would have a part of them.
async fn alone(function: &Function) -> anyhow::Result<()> {
    let application = function.shared.store.application();
    if !application.tables.values().any(Table::is_in_data_folder) {
        return Ok(());
    }
    let others = function.cluster.others(&application).await?;
    anyhow::ensure!(
        others.is_empty(),
        "another host ({}) runs functions of `{}`, whose tables are in this host's data folder; stop one of them, or wait: one \
         that was killed is missed after some seconds",
        others.into_iter().collect::<Vec<_>>().join(", "),
        application.name
    );
    Ok(())
}

/// Ends the work on partitions, with what it has under way.
async fn revoke(
    function: &Function,
    group: &Group,
    running: &mut BTreeMap<u32, Running>,
    partitions: Vec<u32>,
    done: threads::SyncSender<()>,
) {
    let gone: Vec<Running> = partitions.iter().filter_map(|partition| running.remove(partition)).collect();
    gone.iter().for_each(|partition| partition.kill.cancel());
    for partition in gone {
        // A panic of a worker has ended it, too.
        let _ = partition.task.await;
    }
    group.end(partitions.clone()).await;
    let name = &function.registered.name;
    // Until the group has said what is this host's now.
    function.shared.progress.joining(name, true);
    for partition in partitions {
        function.shared.progress.forget(name, &function.outbox, partition);
        for connection in function.shared.store.application().connections_of(name) {
            // Nobody here has to wait any more for what another host applies.
            let note = Note { function: connection.into(), source: Arc::clone(&function.outbox), partition };
            let end = function.shared.store.ends().of(&function.outbox, partition);
            function.shared.store.note_applied(&note, end);
        }
    }
    // The thread that polls may have waited long enough.
    let _ = done.send(());
}

fn start(function: &Arc<Function>, owned: Arc<Owned>, lineage: &Arc<str>, stop: &CancellationToken) -> Running {
    let kill = CancellationToken::new();
    let note = Note {
        function: Arc::clone(&function.registered.name),
        source: Arc::clone(&function.source),
        partition: owned.partition(),
    };
    // It is known before it works, so that nobody takes it for done.
    function.shared.progress.update(&note, |_| {});
    let work = work(Arc::clone(function), owned, Arc::clone(lineage), stop.clone());
    let killed = kill.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            () = killed.cancelled() => {}
            () = work => {}
        }
    });
    Running { kill, task }
}

/// Restores a partition and works on it until it is told to stop.
async fn work(function: Arc<Function>, owned: Arc<Owned>, lineage: Arc<str>, stop: CancellationToken) {
    let mut tries = 0;
    while !stop.is_cancelled() {
        match begin(&function, &owned, &lineage).await {
            Ok((worker, appliers)) => {
                let applying = join_all(appliers.into_iter().map(|applier| applier.run(stop.clone())));
                tokio::select! {
                    _ = async { tokio::join!(worker.run(stop.clone()), applying) } => {}
                    () = look_for_loads(&function, &owned) => {}
                    () = trim(&owned) => {}
                }
                return;
            }
            Err(error) => {
                tries = (tries + 1).min(MOST_DOUBLINGS);
                warn!(function = %function.registered.name, partition = owned.partition(), %error,
                    "the partition cannot be taken over; it is tried again");
                let _ = tokio::time::timeout(retry::backoff(BACKOFF_MS, tries + 1), stop.cancelled()).await;
            }
        }
    }
}

/// Looks now and then whether a table was loaded that the function reads; never ends.
async fn look_for_loads(function: &Function, owned: &Owned) {
    let version = function.registered.version.load_full();
    let reads = version.function.grants.tables.values().any(|grant| grant.operations.iter().any(|o| !o.writes()));
    if !reads {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match owned.look_for_loads(&function.source).await {
            Ok(true) => function.shared.store.tell_of_load(),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "looking for loads"),
        }
    }
}

/// Lets go now and then of what the stores have; never ends.
async fn trim(owned: &Owned) {
    loop {
        tokio::time::sleep(TRIM_EVERY).await;
        if let Err(error) = owned.trim_outbox().await {
            warn!(%error, "what stores have could not be removed from the outbox; it is tried again");
        }
    }
}

async fn begin(
    function: &Function,
    owned: &Arc<Owned>,
    lineage: &Arc<str>,
) -> anyhow::Result<(Worker, Vec<outbox::Applier>)> {
    let shared = &function.shared;
    let position = owned.restore(&function.source).await?;
    shared.store.ends().advance(&function.source, owned.partition(), position);
    let log = Log::Kafka(Arc::clone(&shared.store), Arc::clone(owned));
    let registered = Arc::clone(&function.registered);
    let worker = Worker::new(Arc::clone(shared), registered, owned.partition(), &log).await?;
    let appliers = outbox::appliers_of(shared, &function.registered.name, owned, lineage).await?;
    Ok((worker, appliers))
}
