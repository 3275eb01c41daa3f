//! A disk that is full and has room again: what could not be committed is done once, and nobody has to start anew.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::crash::{application, build, check, sources, with_store};

/// A limit on the size of any file stands for the disk, in blocks of 512 bytes: the log reaches it within a second, the
/// compiled components stay below it.
const FULL_AT_BLOCKS: u32 = 12_000;
/// Far longer than either half of the run takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `isobar up` under the limit; the signal that would end it is ignored, so that writing fails instead.
fn up(data_dir: &Path) -> Child {
    Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; ulimit -S -f {FULL_AT_BLOCKS}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_isobar"))
        .args(["up", "--until-idle", "--listen", "127.0.0.1:0", "--manifest"])
        .arg(application())
        .arg("--data-dir")
        .arg(data_dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the status says of sources that wait.
fn waiting(data_dir: &Path) -> Option<String> {
    let reason = |source: &serde_json::Value| {
        let standing = &source["standing"];
        Some(standing["reason"].as_str().filter(|_| standing["state"] == "waiting")?.to_owned())
    };
    sources(data_dir).iter().find_map(reason)
}

#[test]
fn a_full_disk_costs_time_and_nothing_else() {
    build();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let mut host = up(&data_dir);
    let started = Instant::now();
    let reason = loop {
        assert!(host.try_wait().unwrap().is_none(), "isobar ended before the disk was full");
        assert!(started.elapsed() < PATIENCE, "the disk never became full");
        match waiting(&data_dir) {
            Some(reason) => break reason,
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    assert!(reason.contains("full") || reason.contains("I/O"), "{reason}");
    let lifted = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &host.id().to_string()]).status().unwrap();
    assert!(lifted.success(), "the limit could not be lifted");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = host.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            host.kill().unwrap();
            panic!("isobar did not go on once there was room: {:?}", waiting(&data_dir));
        }
        std::thread::sleep(LOOK_EVERY);
    };
    assert!(status.success(), "{status}");
    with_store(&data_dir, |store| async move { check(&store).await });
}
