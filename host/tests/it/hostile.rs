//! Components that try to hurt the host: each trick costs its own record and nothing else.

use std::sync::Arc;

use isobar::console::answers::LogsAsk;
use isobar::console::view::View;
use isobar::delivery::Allowance;

use crate::stage::{COUNT, counted, letters, start, until, write};

/// Tricks, and what the dead letter says of each.
const TRICKS: [(&str, &str); 27] = [
    ("panic", "the trick panics"),
    ("trap in the middle of a table write", "wasm `unreachable`"),
    ("exit", "exit"),
    ("loop", "it ran longer than its `timeout_ms` of 400; raise it in [application.trigger.isobar.limits.hostile]"),
    ("sleep", "it ran longer than its `timeout_ms` of 400"),
    ("memory", "it needs more memory than its `memory_mb` of 128; raise it in"),
    ("stack", "its calls are nested deeper than the stack of 512 KiB that a function has"),
    ("allocating stack", ""),
    ("huge reason", "reason reason"),
    ("huge panic", "panic panic"),
    ("million records", "it published more records than its `publish_records` of 200000; raise it in"),
    ("long records", "it published more bytes than its `publish_bytes` of"),
    ("long value", "it put a longer value of state than its `state_value_bytes` of 921600; raise it in"),
    ("many values", "it holds more bytes until it commits than its `held_bytes` of"),
    ("many entries", "it holds more bytes until it commits than its `held_bytes` of"),
    ("empty sends", "it ran longer than its `timeout_ms` of 400"),
    ("long key", "it used a key of state of 10000 bytes"),
    ("many rows", "it wrote more rows than its `write_rows` of 100000; raise it in"),
    ("long rows", "it wrote more bytes to tables than its `write_bytes` of 25165824; raise it in"),
    ("read many rows", "it read more rows or values than its `read_rows` of 100000; raise it in"),
    ("read many values", "it read more rows or values than its `read_rows` of 100000; raise it in"),
    ("read one value often", "it read more bytes of state and tables than its `read_bytes` of 33554432; raise it in"),
    ("lying index", "it rejects record 1073741824 of a batch of"),
    ("nul", "NUL"),
    ("empty key", "empty"),
    ("uneven", "send got 0 keys and 1 values"),
    ("broken ends", "`keys` is not packed right"),
];
/// Tricks that a function may try as long as it likes.
const HARMLESS: [&str; 2] = ["flood stderr", "look around"];
#[tokio::test(flavor = "multi_thread")]
async fn every_trick_costs_its_own_record() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    let store = Arc::clone(&app.store);
    let mut script = Vec::new();
    for trick in TRICKS.iter().map(|(trick, _)| *trick).chain(HARMLESS) {
        script.push((trick, trick));
        script.push(("good", COUNT));
    }
    write(&store, "tricks", &script).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end of the tricks", || progress.idle()).await;

    let letters = letters(&store, "hostile").await;
    let tricks: Vec<&str> = letters.iter().map(|(value, _)| value.as_str()).collect();
    assert_eq!(tricks, TRICKS.map(|(trick, _)| trick), "each trick dies alone, in order");
    for ((trick, letter), (_, says)) in letters.iter().zip(TRICKS) {
        assert!(letter.reason.contains(says), "`{trick}`: {}", letter.reason);
        assert!(!letter.reason.contains("escaped"), "`{trick}`: {}", letter.reason);
        assert!(letter.reason.len() < 10_000, "`{trick}` has a reason of {} bytes", letter.reason.len());
        assert_eq!((letter.function.as_str(), letter.topic.as_str()), ("hostile", "tricks"));
        assert_eq!(script[letter.offset as usize].1, trick.as_str());
        assert!(letter.attempts >= 2, "`{trick}` was delivered {} times", letter.attempts);
    }
    let panic = &letters[0].1;
    assert!(
        panic.reason.starts_with("panicked at host/tests/hostile/guest/src/component/tricks.rs:"),
        "{}",
        panic.reason
    );
    assert!(!panic.frames.iter().any(|f| f.starts_with("std::") || f.starts_with("core::")), "{:?}", panic.frames);
    assert!(panic.frames.iter().any(|f| f.contains("guest_hostile::component::tricks::perform")), "{:?}", panic.frames);

    let good = script.iter().filter(|(_, value)| *value == COUNT).count();
    assert_eq!(counted(&store, "good").await, Some(good as i64), "each other record counts once");
    assert_eq!(counted(&store, "stolen").await, None, "nothing is left of a call that failed");
    let state = store.state("hostile", 0, &["stolen", "bomb", "bomb 0"], &mut Allowance::unlimited()).await.unwrap();
    assert!(state.is_empty(), "{state:?}");
    assert_eq!(store.ends().of("echo", 0), 0);
    let report = store.verify().await.unwrap();
    assert_eq!((report.findings, report.records_read), (vec![], report.records));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_go_round_end() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    write(&app.store, "echo", &[("a", "1"), ("b", "2")]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end of the rounds", || progress.idle()).await;
    assert_eq!(app.store.ends().of("echo", 0), 2 * 4, "written once, and gone round three times");
    let letters = letters(&app.store, "looping").await;
    assert_eq!(letters.len(), 2);
    assert!(letters[0].1.reason.contains("more often in a row than its `rounds` of 3"), "{}", letters[0].1.reason);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_functions_write_is_shown_but_for_those_that_read_what_is_sensitive() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(&dir.path().join("data"), str::to_owned).await;
    write(&app.store, "tricks", &[("k", "flood stderr")]).await;
    write(&app.store, "ways", &[("k", "stdout"), ("k", "stderr")]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end of the tricks", || progress.idle()).await;
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let ask = |function: Option<&str>, after| LogsAsk { function: function.map(str::to_owned), after, limit: Some(5) };
    let page = view.logs(&ask(Some("hostile"), None)).await.unwrap();
    let says = |what: &str| page.lines.iter().any(|line| line.line.contains(what));
    assert!(says("flood") && says("more bytes were cut"), "{} lines", page.lines.len());
    assert!(page.lines.iter().all(|line| line.function == "hostile"));
    assert_eq!(view.logs(&ask(None, Some(page.last))).await.unwrap().lines, []);
    assert_eq!(view.logs(&ask(Some("spy"), None)).await.unwrap().lines, [], "it may have read what nobody else may");
    let refused = view.logs(&ask(Some("hostil"), None)).await.unwrap_err().to_string();
    assert!(refused.contains("did you mean `hostile`"), "{refused}");
    drop(view);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_of_a_secret_variable_is_in_no_word_of_its_function() {
    let dir = tempfile::tempdir().unwrap();
    // What the tricks say anyway.
    let secrets = "\n[variables]\none = { default = \"the trick panics\", secret = true }\n\
        two = { default = \"flood flood\", secret = true }\n[component.hostile.variables]\n\
        one = \"{{ one }}\"\ntwo = \"{{ two }}!\"\n";
    let app = start(&dir.path().join("data"), |text| format!("{text}{secrets}")).await;
    write(&app.store, "tricks", &[("k", "panic"), ("k", "flood stderr")]).await;
    let progress = Arc::clone(app.dispatcher.progress());
    until("an end of the tricks", || progress.idle()).await;
    let (_, letter) = letters(&app.store, "hostile").await.remove(0);
    let told = format!("{letter:?}");
    assert!(told.contains("[secret]") && !told.contains("the trick panics"), "{told}");
    let view = View::new(Arc::clone(&app.store), Some(app.running()));
    let page = view.logs(&LogsAsk { function: None, after: None, limit: Some(10_000) }).await.unwrap();
    assert!(page.lines.iter().any(|line| line.line.contains("[secret] [secret]")));
    for secret in ["the trick panics", "flood flood"] {
        assert!(page.lines.iter().all(|line| !line.line.contains(secret)), "{secret}");
    }
    drop(view);
    app.stop().await;
}
