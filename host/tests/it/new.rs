//! Functions to begin with: each template passes its own tests, builds, and does what it says.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use local_services::say;

/// Records of a batch, batches of a long run, and runs of which the fastest counts.
const BATCH: usize = 4096;
const BATCHES: usize = 64;
const RUNS: usize = 5;

struct Folder(tempfile::TempDir);

impl Folder {
    fn run(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.0.path()).output().unwrap()
    }

    fn isobar(&self, args: &[&str]) -> Result<String, String> {
        let done = self.run(env!("CARGO_BIN_EXE_isobar"), args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    /// Microseconds of a record by `isobar test`: what many batches take beyond one, in runs that take turns.
    fn cost_of_records(&self, functions: [&str; 2]) -> [f64; 2] {
        let mut fastest = [[f64::INFINITY; 2]; 2];
        for _ in 0..RUNS {
            for (function, fastest) in functions.iter().zip(&mut fastest) {
                for (batches, fastest) in [1, BATCHES].into_iter().zip(fastest) {
                    let began = Instant::now();
                    self.isobar(&[["test", function].as_slice(), &vec!["batch.jsonl"; batches]].concat()).unwrap();
                    *fastest = fastest.min(began.elapsed().as_secs_f64());
                }
            }
        }
        fastest.map(|[one, many]| (many - one) * 1e6 / (BATCH * (BATCHES - 1)) as f64)
    }
}

#[test]
fn each_template_passes_its_tests_builds_and_works() {
    let folder = Folder(tempfile::Builder::new().prefix("corner-shop").tempdir().unwrap());
    folder.isobar(&["new", "tally"]).unwrap();
    folder.isobar(&["new", "label", "--template", "enrich"]).unwrap();
    folder.isobar(&["new", "heart-beat", "--template", "scheduled"]).unwrap();
    // The crates that this repository is built with.
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"), folder.0.path().join("Cargo.lock"))
        .unwrap();
    let tested = folder.run(env!("CARGO"), &["test", "--workspace"]);
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{said}{}", String::from_utf8_lossy(&tested.stderr));
    assert!(["tests::runs_are", "tests::a_name", "tests::the_order"].iter().all(|test| said.contains(test)), "{said}");
    folder.isobar(&["build"]).unwrap();
    folder.isobar(&["wit", "--check"]).unwrap();
    folder.isobar(&["check"]).unwrap();

    let tallied = folder.isobar(&["test", "tally", "functions/tally/example.jsonl"]).unwrap();
    let row =
        r#"{"row":{"table":"tally_totals","cells":{"count":"2","greatest":"3","key":"a","least":"-1","sum":"2"}}}"#;
    assert!(tallied.contains(row) && tallied.contains("`many` is no whole number"), "{tallied}");
    let names = "label_names=functions/label/names.csv";
    let labelled = folder.isobar(&["test", "label", "functions/label/example.jsonl", "--table", names]).unwrap();
    assert!(labelled.contains("North Sea: 12") && labelled.contains("nothing is called `nowhere`"), "{labelled}");
    folder.isobar(&["up", "--until-idle", "--listen", "127.0.0.1:0"]).unwrap();
    let beats = folder.isobar(&["topic", "read", "heart-beat-out"]).unwrap();
    assert!(beats.contains("run 1, due at"), "{beats}");
}

/// With `ISOBAR_PYTHON` naming a `componentize-py` of the release that the template names.
#[test]
fn the_template_in_python_passes_its_tests_builds_and_works() {
    let folder = Folder(tempfile::Builder::new().prefix("corner-shop").tempdir().unwrap());
    folder.isobar(&["new", "tally", "--template", "python"]).unwrap();
    let Some(tool) = std::env::var_os("ISOBAR_PYTHON") else {
        say!("SKIPPED: a component in Python: set ISOBAR_PYTHON to a componentize-py to build it");
        return;
    };
    let tested = folder.run("python3", &["-m", "unittest", "discover", "-s", "python/tally"]);
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let manifest = folder.0.path().join("spin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(
        &manifest,
        text.replace("command = \"componentize-py", &format!("command = \"{}", tool.to_str().unwrap())),
    )
    .unwrap();
    folder.isobar(&["build"]).unwrap();
    folder.isobar(&["check"]).unwrap();
    let tallied = folder.isobar(&["test", "tally", "python/tally/example.jsonl"]).unwrap();
    let row =
        r#"{"row":{"table":"tally_totals","cells":{"count":"2","greatest":"3","key":"a","least":"-1","sum":"2"}}}"#;
    assert!(tallied.contains(row) && tallied.contains("`many` is no whole number"), "{tallied}");

    if std::env::var_os("ISOBAR_HOLD_TIMES").is_some() {
        compare_costs(&folder);
    }
}

/// Says what a record costs in the function in Python, and in the same one in Rust. Beside other tests that is noise.
fn compare_costs(folder: &Folder) {
    folder.isobar(&["new", "counted"]).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"), folder.0.path().join("Cargo.lock"))
        .unwrap();
    folder.isobar(&["build"]).unwrap();
    let line = |number: usize| format!("{{\"key\":\"k{}\",\"value\":\"{number}\"}}\n", number % 23);
    std::fs::write(folder.0.path().join("batch.jsonl"), (0..BATCH).map(line).collect::<String>()).unwrap();
    let [python, rust] = folder.cost_of_records(["tally", "counted"]);
    say!("a record costs {python:.2} µs in Python and {rust:.2} µs in Rust, reading it from a file among it");
    assert!(python > rust, "it was not measured");
}

#[test]
fn what_is_there_stays_and_names_that_do_not_fit_are_refused() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.isobar(&["new", "tally"]).unwrap();
    let path = folder.0.path();
    let manifest = || std::fs::read_to_string(path.join("spin.toml")).unwrap();
    let before = manifest();
    for (name, wanted) in [
        ("tally", "there is a function `tally` already"),
        ("Tally", "is no name of a function"),
        ("a--b", "is no name of a function"),
        ("../out", "is no name of a function"),
    ] {
        let refused = folder.isobar(&["new", name]).unwrap_err();
        assert!(refused.contains(wanted), "{refused}");
    }
    std::fs::create_dir(path.join("functions/other")).unwrap();
    let refused = folder.isobar(&["new", "other"]).unwrap_err();
    assert!(refused.contains("is there already"), "{refused}");
    std::fs::write(path.join("Cargo.toml"), "[workspace]\nmembers = [\"isobar-guest\"]\n").unwrap();
    let refused = folder.isobar(&["new", "third"]).unwrap_err();
    assert!(refused.contains("workspace.members") && refused.contains("functions/*"), "{refused}");
    assert_eq!(manifest(), before);
    assert!(!path.join("functions/third").exists());
}
