//! The control topic: what the hosts of an application tell each other of deploys, in one order. Each record is sealed by a key that
//! the operator gave to all hosts, so that who may write to topics cannot deploy by it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset};
use sha2::Sha256;
use tokio::sync::mpsc;

use super::alone::Alone;
use super::client::{Context, list};
use super::reader::{is_passing, walk};
use super::transaction::Outgoing;
use super::{Cluster, Fault, blocking};
use crate::clock::now_ms;
use crate::delivery::Records;

/// One order of everything.
const PARTITION: u32 = 0;
/// Bytes of a seal, which stands before what it seals.
const SEAL_BYTES: usize = 32;
/// How long the thread that listens waits for records before it looks whether it is still wanted.
const LISTEN: Duration = Duration::from_millis(200);
/// The wait before a listener whose client failed has a new one.
const BACKOFF: Duration = Duration::from_secs(1);
/// Records that wait for who listens.
const MOST_WAITING: usize = 8;
/// The topic's last name.
const CONTROL: &str = "control";

/// A record of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Where it stands.
    pub offset: i64,
    /// What it is; `None` where its seal is not by the key.
    pub content: Option<Content>,
}

/// What a host said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What it is about; of several with one key only the last may be kept.
    pub key: String,
    /// What it says; `None` where what was said is taken away.
    pub value: Option<Vec<u8>>,
}

/// What is said under a key; `None` takes away what was said there.
pub type Record = (String, Option<Vec<u8>>);

/// The topic, for one who has the key.
#[derive(Clone)]
pub struct Control {
    cluster: Arc<Cluster>,
    topic: Arc<str>,
    /// What seals are made with: it holds the key.
    mac: Hmac<Sha256>,
}

/// The right to say something, until another host takes it.
pub struct Turn {
    alone: Arc<Alone>,
    control: Control,
}

impl Control {
    /// The name of the topic of `application`.
    #[must_use]
    pub fn topic(application: &str) -> String {
        format!("{application}.{CONTROL}")
    }

    /// # Errors
    /// When the key cannot be one.
    pub(super) fn new(cluster: &Arc<Cluster>, id: &str, application: &str, key: &[u8]) -> anyhow::Result<Self> {
        let mut mac = Hmac::new_from_slice(key)?;
        // What is said in one cluster is not said in another that has the same key.
        add(&mut mac, id.as_bytes());
        Ok(Control { cluster: Arc::clone(cluster), topic: Self::topic(application).into(), mac })
    }

    /// Hands everything from `from` on that is decided now to `each`, with what it came to before; gives what it came to, and where that
    /// ends.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        from: i64,
        mut all: T,
        each: fn(&mut T, Said),
    ) -> Result<(T, i64), Fault> {
        let control = self.clone();
        blocking(move || {
            let next = walk(&control.cluster, &control.topic, PARTITION, from, |key, value, offset| {
                each(&mut all, control.said(key, value, offset));
                Ok(())
            })?;
            Ok((all, next))
        })
        .await
    }

    /// Records from `from` on, as they come, until nobody takes them any more.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn listen(&self, from: i64) -> std::io::Result<mpsc::Receiver<Said>> {
        let (heard, listening) = mpsc::channel(MOST_WAITING);
        let control = self.clone();
        thread::Builder::new().name("kafka-control".to_owned()).spawn(move || control.poll(from, &heard))?;
        Ok(listening)
    }

    fn poll(&self, mut from: i64, heard: &mpsc::Sender<Said>) {
        while !heard.is_closed() {
            if let Err(fault) = self.session(&mut from, heard) {
                tracing::warn!(topic = %self.topic, %fault, "what other hosts say of deploys cannot be heard; it is tried again");
                thread::sleep(BACKOFF);
            }
        }
    }

    /// Reads with one client until it fails or nobody takes anything any more.
    fn session(&self, from: &mut i64, heard: &mpsc::Sender<Said>) -> Result<(), Fault> {
        let consumer: BaseConsumer<Context> = self.cluster.clients.listener().create_with_context(Context::default())?;
        let at = if *from == 0 { Offset::Beginning } else { Offset::Offset(*from) };
        consumer.assign(&list(&[(&self.topic, PARTITION, at)])?)?;
        while !heard.is_closed() {
            match consumer.poll(LISTEN) {
                Some(Ok(message)) => {
                    let said = self.said(message.key(), message.payload(), message.offset());
                    *from = message.offset() + 1;
                    if heard.blocking_send(said).is_err() {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(error.into()),
            }
            if let Some(reason) = consumer.client().context().fatal() {
                return Err(Fault::Away(reason));
            }
        }
        Ok(())
    }

    /// Takes the right to say something under `name`: whoever had it before has said all that he will.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn turn(&self, name: &str) -> Result<Turn, Fault> {
        let (control, id) = (self.clone(), format!("{}.{name}", self.topic));
        let alone = blocking(move || Alone::take(&control.cluster, &id)).await?;
        Ok(Turn { alone: Arc::new(alone), control: self.clone() })
    }

    /// What a record says. One that takes another away has no seal: who may write could as well let the topic forget.
    fn said(&self, key: Option<&[u8]>, value: Option<&[u8]>, offset: i64) -> Said {
        let content = key.and_then(|key| {
            let name = String::from_utf8(key.to_vec()).ok()?;
            let Some(sealed) = value else { return Some(Content { key: name, value: None }) };
            let (seal, value) = sealed.split_at_checked(SEAL_BYTES)?;
            self.mac(key, value).verify_slice(seal).ok()?;
            Some(Content { key: name, value: Some(value.to_vec()) })
        });
        Said { offset, content }
    }

    fn sealed(&self, key: &str, value: &[u8]) -> Vec<u8> {
        let seal = self.mac(key.as_bytes(), value).finalize().into_bytes();
        [&seal[..], value].concat()
    }

    fn mac(&self, key: &[u8], value: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        add(&mut mac, self.topic.as_bytes());
        add(&mut mac, key);
        mac.update(value);
        mac
    }
}

/// Adds a part with its length, so that no two lists of parts are the same bytes.
fn add(mac: &mut Hmac<Sha256>, part: &[u8]) {
    mac.update(&(part.len() as u64).to_be_bytes());
    mac.update(part);
}

impl Turn {
    /// Says all of it, or nothing when another host has taken the right.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn say(&self, all: Vec<Record>) -> Result<(), Fault> {
        let mut records = Records::default();
        for (key, value) in &all {
            let sealed = value.as_deref().map(|value| self.control.sealed(key, value));
            records.offsets.push(records.len() as i64);
            records.keys.push(Some(key.as_bytes()));
            records.values.push(sealed.as_deref());
            records.timestamps.push(now_ms());
        }
        let outgoing = [Outgoing { topic: Arc::clone(&self.control.topic), partition: PARTITION, records }];
        let alone = Arc::clone(&self.alone);
        blocking(move || alone.commit(&outgoing)).await
    }
}
