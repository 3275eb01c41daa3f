//! The application's manifest with components of the tests in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use isobar::manifest::{parse, wit};

use crate::host::root;

/// The application with a function beside the others that misbehaves.
pub(crate) fn with_rowdy() -> String {
    own() + &fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hostile.toml")).unwrap()
}

/// That function without the application.
pub(crate) fn rowdy_alone() -> String {
    let topics = ["temperature", "others"].map(|topic| format!("[application.trigger.isobar.topics.{topic}]\n"));
    let added = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hostile.toml")).unwrap();
    let head = "spin_manifest_version = 2\n\n[application]\nname = \"weather\"\nversion = \"0.1.0\"\n\n";
    format!("{head}{}\n{added}", topics.concat())
}

/// The application with a traitor in the place of `enrich`: it may write only to what is sensitive.
pub(crate) fn with_traitor() -> String {
    let changes = [
        // One way out for each record.
        (
            "topic = \"station-summary\"",
            "topic = \"station-summary\"\nbatch_max_records = 1\nmax_attempts = 2\nretry_backoff_ms = 1",
        ),
        ("key = [\"station_id\"]\nnotice", "key = [\"station_id\"]\nsensitive = true\nnotice"),
        ("releases = [\"meta_data\"]", "publish = [\"whispers\"]\nstate = true"),
        (
            "release/enrich.wasm\"",
            "release/guest_traitor.wasm\"\ntool.isobar.wit = \"functions/pipeline/guests/traitor/wit\"",
        ),
    ];
    let text = changes.iter().fold(own(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "spin.toml holds `{from}` once");
        text.replace(from, to)
    });
    text + "\n[application.trigger.isobar.topics.whispers]\nsensitive = true\n\n\
            [application.trigger.isobar.limits.enrich]\nmax_dead_letters = 10000\n"
}

fn own() -> String {
    fs::read_to_string(root().join("spin.toml")).unwrap()
}

/// Writes a manifest into `folder`, its components where they are built.
pub(crate) fn written(folder: &Path, text: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--target", "wasm32-wasip2"])
            .args(["--package", "guest-rowdy", "--package", "guest-traitor"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    });
    let path = folder.join("spin.toml");
    let source = format!("source = \"{}/target/", root().display());
    fs::write(&path, text.replace("source = \"target/", &source)).unwrap();
    path
}

#[test]
fn the_wit_of_the_guests_is_what_their_grants_give() {
    let bless = std::env::var_os("ISOBAR_BLESS").is_some();
    for (function, text) in [("rowdy", with_rowdy()), ("enrich", with_traitor())] {
        let application = parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let folder = root().join(&application.functions[function].wit);
        let wanted: BTreeMap<PathBuf, String> = wit::generate(&application, &application.functions[function])
            .into_iter()
            .map(|(p, t)| (p.into(), t))
            .collect();
        for (path, text) in wanted {
            let path = folder.join(path);
            if bless {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &text).unwrap();
            }
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "{} is stale: run this test with ISOBAR_BLESS=1", path.display());
        }
    }
}
