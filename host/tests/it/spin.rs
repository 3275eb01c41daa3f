//! The trigger of Spin, with the test in Spin's place: it writes the lock, makes the hidden calls, sends the signals, and dies.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::crash::{application, build, check, sources, with_store};

const LONGEST: Duration = Duration::from_secs(60);

/// Spin's side: a folder with the plugin, the lock and the state.
struct Spin {
    dir: tempfile::TempDir,
}

impl Spin {
    fn new(change: impl Fn(&mut Value)) -> Self {
        build();
        let dir = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_isobar"), dir.path().join("trigger-isobar")).unwrap();
        let mut lock = locked();
        change(&mut lock);
        fs::write(dir.path().join("spin.lock"), lock.to_string()).unwrap();
        Spin { dir }
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("state/isobar")
    }

    /// The plugin as `spin up` starts it.
    fn trigger(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.dir.path().join("trigger-isobar"));
        command.args(words).env("SPIN_LOCAL_APP_DIR", "").env("SPIN_VERSION", "4.1.0").current_dir(self.dir.path());
        command.env("SPIN_LOCKED_URL", format!("file://{}", self.dir.path().join("spin.lock").display()));
        command
    }

    fn up(&self, words: &[&str]) -> Child {
        let state = self.dir.path().join("state");
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = self.trigger(&["--listen", "127.0.0.1:0", "--state-dir"]);
        command.arg(state).args(words).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

/// The lock that Spin makes of the counting functions' manifest.
fn locked() -> Value {
    let text = fs::read_to_string(application()).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let manifest = serde_json::to_value(&manifest).unwrap();
    let root = application().parent().unwrap().canonicalize().unwrap();
    let triggers = manifest["trigger"]["isobar"].as_array().unwrap().iter().map(|trigger| {
        let mut config = trigger.clone();
        let named = config.as_object_mut().unwrap().remove("id");
        let id = named.unwrap_or_else(|| json!(format!("{}-isobar-trigger", config["component"].as_str().unwrap())));
        json!({ "id": id, "trigger_type": "isobar", "trigger_config": config })
    });
    let components = manifest["component"].as_object().unwrap().iter().map(|(id, component)| {
        let path = root.join(component["source"].as_str().unwrap()).canonicalize().unwrap();
        json!({ "id": id, "source": { "content_type": "application/wasm", "source": format!("file://{}", path.display()) } })
    });
    json!({
        "spin_lock_version": 1,
        "metadata": {
            "name": manifest["application"]["name"],
            "origin": format!("file://{}", root.join("spin.toml").display()),
            "triggers": { "isobar": manifest["application"]["trigger"]["isobar"] },
        },
        "triggers": triggers.collect::<Vec<_>>(),
        "components": components.collect::<Vec<_>>(),
    })
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// Waits until some records are counted.
fn until_counted(data_dir: &Path) {
    let started = Instant::now();
    let is_counted = |s: &Value| s["function"] == "counting" && s["records"].as_u64() > Some(1_000);
    while !sources(data_dir).iter().any(is_counted) {
        assert!(started.elapsed() < LONGEST, "nothing is counted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(host: &mut Child) -> std::process::ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = host.try_wait().unwrap() {
            return status;
        }
        assert!(started.elapsed() < LONGEST, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn hidden_calls_are_answered_without_a_lock() {
    let spin = Spin::new(|_| {});
    for locked in [None, Some("")] {
        let call = |word: &str| {
            let mut command = spin.trigger(&[word]);
            match locked {
                Some(empty) => command.env("SPIN_LOCKED_URL", empty),
                None => command.env_remove("SPIN_LOCKED_URL"),
            };
            command.output().unwrap()
        };
        let help = call("--help-args-only");
        let (shown, told) = text(&help);
        assert!(help.status.success() && told.is_empty(), "{told}");
        for flag in
            ["-L, --log-dir <FOLDER>", "-q, --quiet", "--follow", "--state-dir", "--runtime-config-file", "--variable"]
        {
            assert!(shown.contains(flag), "{flag}: {shown}");
        }
        assert!(!shown.contains("only") || !shown.contains("--help-args-only"), "{shown}");
        let metadata = call("--launch-metadata-only");
        let (shown, told) = text(&metadata);
        assert!(metadata.status.success() && shown.is_empty(), "{shown}");
        let flags: Value = serde_json::from_str(&told).unwrap();
        let flags = flags["all_flags"].as_array().unwrap();
        assert!(flags.contains(&json!({ "long": "--quiet", "short": "-q" })), "{told}");
        assert!(flags.contains(&json!({ "long": "--until-idle" })), "{told}");
        let run = call("--until-idle");
        assert_eq!(run.status.code(), Some(3));
        assert!(text(&run).1.contains("`spin up` starts this program"), "{}", text(&run).1);
    }
}

#[test]
fn what_spin_runs_ends_in_order_and_isobar_goes_on_with_it() {
    let spin = Spin::new(|_| {});
    let mut host = spin.up(&[]);
    until_counted(&spin.data_dir());
    // As a terminal and Spin send them for one Ctrl-C.
    signal(host.id(), "-INT");
    signal(host.id(), "-TERM");
    assert!(ended(&mut host).success(), "{}", spin.log());
    assert!(spin.log().contains("stopping: running batches are committed first"), "{}", spin.log());

    let mut isobar = Command::new(env!("CARGO_BIN_EXE_isobar"));
    isobar.args(["up", "--until-idle", "--listen", "127.0.0.1:0", "--manifest"]).arg(application());
    let went_on = isobar.arg("--data-dir").arg(spin.data_dir()).output().unwrap();
    let told = text(&went_on).1;
    assert!(went_on.status.success() && !told.contains("has changed in spin.toml"), "{told}");
    with_store(&spin.data_dir(), |store| async move {
        check(&store).await;
        let started = store.audit_log(10).await.unwrap();
        assert_eq!(started.len(), 2, "both ways of starting run the same versions: {started:?}");
    });
}

#[test]
fn what_is_left_alone_ends_and_loses_nothing() {
    let spin = Spin::new(|_| {});
    let script = "\"$0\" --listen 127.0.0.1:0 --state-dir state & echo $! > trigger.pid; wait";
    let trigger = spin.trigger(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(trigger.get_program()).current_dir(spin.dir.path());
    shell.envs(trigger.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut shell = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_counted(&spin.data_dir());
    shell.kill().unwrap();
    shell.wait().unwrap();
    let process = fs::read_to_string(spin.dir.path().join("trigger.pid")).unwrap();
    let alive = Path::new("/proc").join(process.trim());
    let started = Instant::now();
    while alive.exists() && !fs::read_to_string(alive.join("stat")).unwrap_or_default().contains(") Z ") {
        assert!(started.elapsed() < LONGEST, "it goes on without Spin");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(ended(&mut spin.up(&["--until-idle"])).success(), "{}", spin.log());
    with_store(&spin.data_dir(), |store| async move { check(&store).await });
}

#[test]
fn a_lock_that_cannot_run_is_refused_with_what_is_wrong() {
    for (pointer, value, told) in [
        ("/components/0/source/digest", json!("sha256:00"), "is not the one of the lock"),
        ("/components/0/source/source", json!("file:///nowhere.wasm"), "the component of `counting` is missing"),
        ("/triggers/1/trigger_config/topic", json!("inputs"), "did you mean `input`?"),
        ("/metadata/triggers/isobar/grants/counting/state", json!(false), "imports `isobar:platform/state@0.1.1"),
        ("/spin_lock_version", json!(7), "version 7"),
    ] {
        let spin = Spin::new(|lock| match pointer.strip_suffix("/digest") {
            Some(source) => lock.pointer_mut(source).unwrap()["digest"] = value.clone(),
            None => *lock.pointer_mut(pointer).unwrap() = value.clone(),
        });
        assert_eq!(ended(&mut spin.up(&["--until-idle"])).code(), Some(3), "{pointer}");
        assert!(spin.log().contains(told), "{pointer}: {}", spin.log());
    }
}

#[test]
fn the_plugin_is_installed_where_spin_looks_and_packed_as_spin_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let isobar = |words: &[&str]| {
        let done =
            Command::new(env!("CARGO_BIN_EXE_isobar")).args(words).env("SPIN_DATA_DIR", dir.path()).output().unwrap();
        assert!(done.status.success(), "{}", text(&done).1);
    };
    isobar(&["plugin", "install"]);
    let plugins = dir.path().join("plugins");
    let program = plugins.join("trigger-isobar/trigger-isobar");
    let help = Command::new(&program).arg("--help-args-only").output().unwrap();
    assert!(text(&help).0.contains("--state-dir"));
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let manifest = read(&plugins.join("manifests/trigger-isobar.json"));
    assert_eq!((&manifest["name"], &manifest["license"]), (&json!("trigger-isobar"), &json!("Apache-2.0")));

    let packed = dir.path().join("packed");
    isobar(&["plugin", "package", "--output", packed.to_str().unwrap()]);
    let manifest = read(&packed.join("trigger-isobar.json"));
    let package = &manifest["packages"][0];
    let archive = package["url"].as_str().unwrap().strip_prefix("file://").unwrap();
    let digest: String = Sha256::digest(fs::read(archive).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(package["sha256"], json!(digest));
    let unpacked = Command::new("tar").args(["-xzf", archive, "-C"]).arg(&packed).status().unwrap();
    assert!(unpacked.success());
    let program = packed.join("trigger-isobar");
    assert_eq!(program.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read(program).unwrap(), fs::read(env!("CARGO_BIN_EXE_isobar")).unwrap());
}
