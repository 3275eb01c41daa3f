//! Which outbox it is: topics that were made anew have other records at the same offsets, and stores have to know it. The first
//! host that needs it writes a random number into the attempts' topic, under the empty key; all hosts read it there.

use std::sync::Arc;
use std::time::Duration;

use super::alone::Alone;
use super::reader::walk;
use super::transaction::Outgoing;
use super::{Cluster, Fault, Names, blocking};
use crate::clock::now_ms;
use crate::delivery::Records;
use crate::manifest::Application;

/// The partition that holds it.
const PARTITION: u32 = 0;
/// How often other hosts may be in the way.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(250);

impl Cluster {
    /// The lineage of the outbox of `function`.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn lineage(self: &Arc<Self>, application: &Application, function: &str) -> Result<Arc<str>, Fault> {
        let (cluster, names) = (Arc::clone(self), Self::names(application, function));
        blocking(move || agreed(&cluster, &names)).await
    }
}

fn agreed(cluster: &Arc<Cluster>, names: &Names) -> Result<Arc<str>, Fault> {
    let mut fault = Fault::Away("other hosts are in the way".to_owned());
    for _ in 0..TRIES {
        if let Some(lineage) = written(cluster, names)? {
            return Ok(lineage);
        }
        match write(cluster, names) {
            Ok(lineage) => return Ok(lineage),
            Err(error) => fault = error,
        }
        std::thread::sleep(WAIT);
    }
    Err(fault)
}

fn written(cluster: &Arc<Cluster>, names: &Names) -> Result<Option<Arc<str>>, Fault> {
    let mut found = None;
    walk(cluster, &names.attempts, PARTITION, 0, |key, value, _| {
        if key == Some(b"") {
            found = value.and_then(|value| std::str::from_utf8(value).ok()).map(Arc::from);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Writes a new one, unless there is one by now.
fn write(cluster: &Arc<Cluster>, names: &Names) -> Result<Arc<str>, Fault> {
    let alone = Alone::take(cluster, &format!("{}.lineage", names.group))?;
    if let Some(lineage) = written(cluster, names)? {
        return Ok(lineage);
    }
    let lineage = format!("{:032x}", rand::random::<u128>());
    let records = Records {
        keys: [Some(&b""[..])].into_iter().collect(),
        values: [Some(lineage.as_bytes())].into_iter().collect(),
        offsets: vec![0],
        timestamps: vec![now_ms()],
        headers: Vec::new(),
    };
    alone.commit(&[Outgoing { topic: Arc::clone(&names.attempts), partition: PARTITION, records }])?;
    Ok(lineage.into())
}
