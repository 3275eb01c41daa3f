//! Real stores, started once for all tests by `infra/services`, and ended when the tests end, however that comes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Ports that nothing else takes by habit.
const CASSANDRA_PORT: u16 = 19_042;
const POSTGRES_PORT: u16 = 15_432;

/// Where the services are; `None` where nobody asked for them, which is said.
pub(crate) struct Services {
    pub(crate) cassandra: String,
    pub(crate) postgres: String,
}

/// The services, if `ISOBAR_SERVICES=1` asks for them.
pub(crate) fn services(what: &str) -> Option<&'static Services> {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    if std::env::var_os("ISOBAR_SERVICES").is_none_or(|said| said != "1") {
        eprintln!("SKIPPED: {what}: set ISOBAR_SERVICES=1 to try it with real stores");
        return None;
    }
    Some(SERVICES.get_or_init(start))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn start() -> Services {
    let dir = root().join("target/services");
    let (cassandra, postgres) = (CASSANDRA_PORT.to_string(), POSTGRES_PORT.to_string());
    // It waits for the end of its standard input, which this process holds as long as it lives.
    let end = "cat >/dev/null; exec infra/services down cassandra postgres --dir \"$1\" --kill >/dev/null 2>&1";
    let watch = Command::new("bash")
        .args(["-c", end, "end"])
        .arg(&dir)
        .current_dir(root())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::mem::forget(watch);
    let up = Command::new(root().join("infra/services"))
        .args(["up", "cassandra", "postgres", "--cassandra-port", &cassandra, "--postgres-port", &postgres, "--dir"])
        .arg(&dir)
        .output()
        .unwrap();
    assert!(up.status.success(), "the services do not start: {}", String::from_utf8_lossy(&up.stderr));
    Services { cassandra: format!("127.0.0.1:{cassandra}"), postgres: format!("127.0.0.1:{postgres}") }
}
