//! Real stores for tests: started once per test process by `infra/services`, on free ports and in a folder of their own, and
//! wiped when the process ends, however that comes.

mod campaign;
mod process;
mod proxy;

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

pub use campaign::campaign;
pub use process::Process;
pub use proxy::{Line, Proxy};

/// The variable of the environment that asks for them, with the value `1`.
pub const ASKED_BY: &str = "ISOBAR_SERVICES";
/// Cassandra and Kafka take a second port, so much above the first.
const SECOND_PORT: u16 = 10;
/// A broker's port and its controller's are the first one's and as much more as there are brokers before it.
const MOST_BROKERS: u16 = 3;
/// Who may do everything in a Kafka that asks for logins.
const ADMIN: &str = "admin";
/// How often free ports are looked for.
const PORT_TRIES: usize = 100;

/// The services of this process.
pub struct Services {
    dir: PathBuf,
    cassandra: u16,
    postgres: u16,
    kafka: u16,
    /// Of the Kafka that was started last.
    brokers: AtomicU16,
    disturbed: Mutex<()>,
}

/// The services, if the environment asks for them; else says on stderr that `what` is not tried.
///
/// # Panics
/// When they do not start: what was asked for cannot be skipped.
pub fn services(what: &str) -> Option<&'static Services> {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    if std::env::var_os(ASKED_BY).is_none_or(|said| said != "1") {
        say!("SKIPPED: {what}: set {ASKED_BY}=1 to try it with real stores");
        return None;
    }
    Some(SERVICES.get_or_init(Services::start))
}

impl Services {
    fn start() -> Self {
        // Postgres runs as a user of its own, who has to get there.
        let dir =
            tempfile::Builder::new().prefix("isobar-services-").permissions(Permissions::from_mode(0o755)).tempdir();
        let dir = dir.unwrap_or_else(|error| panic!("no folder for the services: {error}")).keep();
        let (cassandra, postgres, kafka) = (free_ports(1), free_ports(1), free_ports(MOST_BROKERS));
        let brokers = AtomicU16::new(1);
        let services = Services { dir, cassandra, postgres, kafka, brokers, disturbed: Mutex::new(()) };
        services.wipe_in_the_end();
        services.up(&["cassandra", "postgres"]);
        services
    }

    /// `host:port` of Cassandra.
    #[must_use]
    pub fn cassandra(&self) -> String {
        format!("127.0.0.1:{}", self.cassandra)
    }

    /// The certificate by which Cassandra can be known.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("cassandra/certificate.pem")
    }

    /// `host:port` of each broker of Kafka, with commas between; they run once [`Services::new_kafka`] was called.
    #[must_use]
    pub fn kafka(&self) -> String {
        let ports = self.kafka..self.kafka + self.brokers.load(Ordering::Relaxed);
        ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Starts a Kafka that holds nothing, of one broker or, with three copies of everything, of three: `kafka-1` to `kafka-3`. What
    /// the one before it held is gone. To be called by who holds [`Services::undisturbed`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn new_kafka(&self, brokers: u16) {
        assert!((1..=MOST_BROKERS).contains(&brokers), "at most {MOST_BROKERS} brokers have their ports");
        self.begin_kafka(brokers, &[]);
    }

    /// As [`Services::new_kafka`], of one broker that asks for a login and lets it do what it has the right to: none of `logins`
    /// has any. The password is [`Services::password`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn new_guarded_kafka(&self, logins: &[&str]) {
        let users: String =
            logins.iter().chain([&ADMIN]).map(|l| format!(" user_{l}=\"{}\"", Self::password(l))).collect();
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let settings = [
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
            // Its own requests come by a line that asks for no login.
            format!("super.users=User:{ADMIN};User:ANONYMOUS"),
            "listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            "sasl.enabled.mechanisms=PLAIN".to_owned(),
            "sasl.mechanism.inter.broker.protocol=PLAIN".to_owned(),
            format!("listener.name.clients.plain.sasl.jaas.config={plain} {}{users};", Self::as_admin()),
        ];
        let settings: Vec<String> = settings.iter().map(|setting| format!("kafka.{setting}")).collect();
        self.begin_kafka(1, &settings.iter().flat_map(|setting| ["--set", setting]).collect::<Vec<_>>());
    }

    /// The password of a login to [`Services::new_guarded_kafka`].
    #[must_use]
    pub fn password(login: &str) -> String {
        format!("{login}-secret")
    }

    /// Lets the login `isobar` do what `infra/roles/kafka.sh` gives it, for `application` with its `topics`.
    ///
    /// # Panics
    /// When the rights cannot be given.
    pub fn give_rights(&self, application: &str, topics: &[&str]) {
        let login = self.dir.join("admin.properties");
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let text = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={plain} {};\n",
            Self::as_admin()
        );
        std::fs::write(&login, text).unwrap_or_else(|error| panic!("{}: {error}", login.display()));
        let acls = format!(
            "{} kafka-acls --bootstrap-server {} --command-config {}",
            script().display(),
            self.kafka(),
            login.display()
        );
        let roles = script().with_file_name("roles/kafka.sh");
        let done = Command::new(roles).arg(application).args(topics).env("KAFKA_ACLS", acls).output();
        let done = done.unwrap_or_else(|error| panic!("`infra/roles/kafka.sh` cannot be run: {error}"));
        assert!(done.status.success(), "no rights: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn as_admin() -> String {
        format!("username=\"{ADMIN}\" password=\"{}\"", Self::password(ADMIN))
    }

    fn begin_kafka(&self, brokers: u16, settings: &[&str]) {
        self.script(&["down", "kafka", "--kill"]);
        self.script(&["wipe", "kafka"]);
        self.brokers.store(brokers, Ordering::Relaxed);
        self.up(&[&["kafka"], settings].concat());
    }

    /// `host:port` of Postgres, whose user `postgres` needs no password.
    #[must_use]
    pub fn postgres(&self) -> String {
        format!("127.0.0.1:{}", self.postgres)
    }

    /// To be held by whoever starts and stops services, and by whoever cannot bear that.
    ///
    /// # Panics
    /// When what a test that failed has stopped does not start.
    pub fn undisturbed(&self) -> MutexGuard<'_, ()> {
        self.disturbed.lock().unwrap_or_else(|failed| {
            self.up(&["cassandra", "postgres"]);
            failed.into_inner()
        })
    }

    /// Starts those of `names` that do not run, which may be followed by flags of `infra/services`; returns when they are ready.
    ///
    /// # Panics
    /// When one does not start.
    pub fn up(&self, names: &[&str]) {
        let brokers = self.brokers.load(Ordering::Relaxed);
        let [cassandra, postgres, kafka, brokers] =
            [self.cassandra, self.postgres, self.kafka, brokers].map(|number| number.to_string());
        let ports = [
            "--cassandra-port",
            &cassandra,
            "--postgres-port",
            &postgres,
            "--kafka-port",
            &kafka,
            "--brokers",
            &brokers,
        ];
        self.script(&[&["up"], names, &ports].concat());
    }

    /// Stops the service `name`: in order, or as a fault would.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn down(&self, name: &str, kill: bool) {
        let words = ["down", name, "--kill"];
        self.script(words.get(..2 + usize::from(kill)).unwrap_or_default());
    }

    /// What `psql` prints as `user` when it is given `words`, and whether it succeeds.
    ///
    /// # Panics
    /// When there is no `psql`.
    #[must_use]
    pub fn psql(&self, user: &str, words: &[&str]) -> (bool, String) {
        let port = self.postgres.to_string();
        let login = ["-X", "-h", "127.0.0.1", "-p", &port, "-U", user, "-d", "postgres"];
        let done = Command::new("psql").args(login).args(words).output();
        let done = done.unwrap_or_else(|error| panic!("`psql` cannot be run: {error}"));
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    }

    fn script(&self, words: &[&str]) {
        let done = Command::new(script()).args(words).arg("--dir").arg(&self.dir).output();
        let done = done.unwrap_or_else(|error| panic!("`infra/services` cannot be run: {error}"));
        assert!(done.status.success(), "{words:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts a process that waits for the end of its standard input, which this process holds as long as it lives.
    fn wipe_in_the_end(&self) {
        let end = "cat >/dev/null; \"$1\" down --kill --dir \"$2\"; exec \"$1\" wipe --dir \"$2\"";
        let watch = Command::new("bash")
            .args(["-c", end, "end"])
            .arg(script())
            .arg(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What interrupts the tests does not interrupt it.
            .process_group(0)
            .spawn();
        std::mem::forget(watch.unwrap_or_else(|error| panic!("no process watches the services: {error}")));
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services")
}

/// The first of `count` ports in a row that are free, as are those which Cassandra and Kafka take besides.
fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|taken| taken.local_addr()).ok();
    let row = || {
        let first = free(0)?.port();
        let last = first.checked_add(SECOND_PORT + count - 1)?;
        let mut wanted = (first..first + count).chain(last + 1 - count..=last);
        wanted.all(|port| free(port).is_some()).then_some(first)
    };
    std::iter::repeat_with(row).take(PORT_TRIES).flatten().next().unwrap_or_else(|| panic!("no free ports"))
}
