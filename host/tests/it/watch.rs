//! `isobar watch`: what is saved is built and takes over; what does not build changes nothing.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use isobar::console::client::Client;

use crate::crash::{build, up_by};
use crate::deploys::whole;
use crate::shadows::otherwise;

const FUNCTION: &str = "counting";
const LONGEST: Duration = Duration::from_secs(60);

/// The counting functions in a folder of their own, where the component of one is a copy of the file that `chosen` names.
fn manifest(built: &Path) -> String {
    let text = whole().replace("../../../target", built.to_str().unwrap());
    let component = built.join("wasm32-wasip2/release/guest_counting.wasm");
    let text = text.replace(component.to_str().unwrap(), "counting.wasm");
    let own = "command = \"cargo build --release --locked --target wasm32-wasip2 --package guest-counting\"";
    let copy = "command = \"cp $(cat chosen) counting.wasm\"\nwatch = [\"chos*\"]";
    assert!(text.contains(own) && text.contains("\"counting.wasm\""));
    text.replace(own, copy)
}

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < LONGEST, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_takes_over_and_what_does_not_build_changes_nothing() {
    tokio::task::block_in_place(build);
    otherwise();
    let dir = tempfile::tempdir().unwrap();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().unwrap();
    let component = |name: &str| built.join(format!("wasm32-wasip2/release/guest_{name}.wasm"));
    let (spin, chosen, said) = (dir.path().join("spin.toml"), dir.path().join("chosen"), dir.path().join("said"));
    fs::write(&spin, manifest(&built)).unwrap();
    fs::write(&chosen, component(FUNCTION).to_str().unwrap()).unwrap();
    fs::copy(component(FUNCTION), dir.path().join("counting.wasm")).unwrap();
    let data = dir.path().join("data");
    let _host = Ended(up_by(&spin, &data, &[]));
    let mut client = None;
    until("the host does not start", async || {
        client = Client::find(&data).await;
        client.is_some()
    })
    .await;
    let client = client.unwrap();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_isobar"));
    watch.args(["watch", FUNCTION, "--manifest"]).arg(&spin).arg("--data-dir").arg(&data);
    watch.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
    let _watch = Ended(watch.spawn().unwrap());
    let hears = |text: &'static str| {
        let said = said.clone();
        async move || fs::read_to_string(&said).unwrap().contains(text)
    };
    until("it does not begin", hears("Watching 1 file of `counting`")).await;
    let running = async || {
        let versions = client.versions(FUNCTION).await.unwrap();
        versions.into_iter().find(|version| version.running).unwrap().version
    };
    let first = running().await;

    fs::write(&chosen, component("otherwise").to_str().unwrap()).unwrap();
    until("what was saved does not take over", async || running().await != first).await;
    until("nobody is told", hears("has taken over from")).await;
    let second = running().await;

    fs::write(&chosen, "nowhere.wasm").unwrap();
    until("that it does not build is not told", hears("component `counting` could not be built")).await;
    until("what goes on is not told", hears("what runs goes on")).await;
    assert_eq!(running().await, second);

    fs::write(&chosen, component(FUNCTION).to_str().unwrap()).unwrap();
    until("it does not go on after a mistake", async || running().await == first).await;
}
