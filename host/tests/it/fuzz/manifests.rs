//! spin.toml, the values of its variables, and the hosts that it allows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use isobar::config;
use isobar::engine::inspect::Capabilities;
use isobar::manifest::{outbound, parse, variables};
use isobar::registry::gate;
use mutate::Target;

use super::kind;

const WORDS: [&str; 30] = [
    "[application.trigger.isobar.tables.x]\n",
    "[application.trigger.isobar.topics.x]\n",
    "[application.trigger.isobar.grants.total]\n",
    "[[trigger.isobar]]\n",
    "[component.total]\n",
    "tables.customers = [\"get\"]\n",
    "{ operations = [\"get\", \"scan\"], columns = [\"id\"] }",
    "publish = [\"answers\"]\n",
    "state = true\n",
    "cron_expression = \"0 0 0 1 1 *\"\n",
    "key = [\"id\", \"id\"]\n",
    "columns = { id = \"text\" }\n",
    "sensitive = true\n",
    "releases = [\"answers\"]\n",
    "batch_max_records = 0\n",
    "partitions = 4294967296\n",
    "store = \"postgres\"\n",
    "\"bigint?\"",
    "\"date\"",
    "{{ api_key }}",
    "{{ ",
    "}}",
    "\"\"\"\n",
    "'''",
    "\"\\u{0}\"",
    "1979-05-27T07:32:00Z",
    "inf",
    "[[[[[[[[",
    "a.b.c.d.e = 1\n",
    "#",
];

#[test]
fn manifests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = std::fs::read_dir(folder.join("tests/manifest")).expect("the cases are readable");
    let cases = cases
        .map(|case| case.expect("a case is readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let real = ["../spin.toml", "tests/gate/spin.toml", "tests/cli/spin.toml"].map(|path| folder.join(path));
    let seeds = cases.chain(real).map(|path| std::fs::read(path).expect("a case is readable"));
    // A manifest is read once; what it may take is what a person who runs `isobar check` does not notice.
    let target = Target::new("manifest").seeds(seeds).words(WORDS).longest(32 * 1024);
    let target = target.time(Duration::from_millis(100), Duration::from_millis(10)).memory(4 << 20, 1_000);
    target.run(|input| {
        let text = String::from_utf8_lossy(input);
        let application = match parse(&text) {
            Ok(application) => application,
            Err(problems) => {
                assert!(!problems.is_empty(), "it is refused without a word");
                let lines = text.split('\n').count();
                for problem in &problems {
                    assert!(
                        problem.line.is_none_or(|line| (1..=lines).contains(&line)),
                        "{problem:?} of {lines} lines"
                    );
                    let rendered = problem.render("spin.toml");
                    assert!(!problem.hint.is_empty() && rendered.len() < 4 * text.len() + 2_000, "{rendered}");
                }
                return (problems.len().min(5), problems.first().map(|problem| kind(&problem.message)));
            }
        };
        let _ = variables::resolve(&application, &BTreeMap::new());
        for function in application.functions.values() {
            // What is accepted can be written as WIT, and that can be read: then exports are all that is missed.
            for refusal in gate::refusals(&application, function, &Capabilities::default()) {
                assert!(refusal.message.contains("does not export"), "{}", refusal.message);
            }
        }
        (usize::MAX, Some(format!("{} {}", application.functions.len().min(5), application.tables.len().min(5))))
    });
}

#[test]
fn values_of_variables() {
    let text = r#"spin_manifest_version = 2
        [application]
        name = "shop"
        [variables]
        host = { required = true }
        port = { default = "443" }
        [[trigger.isobar]]
        component = "asks"
        cron_expression = "0 0 * * * *"
        [component.asks]
        source = "asks.wasm"
        allowed_outbound_hosts = ["https://{{ host }}:{{ port }}", "http://*.{{ host }}"]
        variables = { address = "<{{ host }}>" }"#;
    let application = parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let seeds = ["example.org\n443", "127.0.0.1\n8123/x", "[::1]\n65536", "a@example.org\n0"];
    let mut accepted = 0;
    let words = ["{{ host }}", "@", "://", "[::ffff:127.0.0.1]", "http://", "*", "%2e", "\\", "#", "?"];
    Target::new("values-of-variables").seeds(seeds).words(words).longest(4096).run(|input| {
        let given = String::from_utf8_lossy(input);
        let (host, port) = given.split_once('\n').unwrap_or((&given, ""));
        let values = [("host", host), ("port", port)].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let resolved = variables::resolve(&application, &values).map_err(|problems| problems.len())?;
        accepted += 1;
        let resolved = &resolved["asks"];
        assert_eq!(resolved.variables["address"], format!("<{host}>"), "a value is no template");
        Ok::<_, usize>(format!("{:?}", resolved.allowed_outbound_hosts).len().min(300))
    });
    assert!(accepted > 0, "not even a plain name was accepted");
}

#[test]
fn outbound_hosts() {
    let seeds = [
        "https://*.example.org\nhttps://a.example.org:443/x",
        "http://[::ffff:127.0.0.1]:8080\nhttp://[::ffff:7f00:1]:8080/",
        "http://localhost\nhttp://LOCALHOST:80/?a@b",
        "https://http@example.org\nhttps://user:secret@example.org/",
    ];
    let words = ["://", "*.", "@", ":", "[", "]", "/", ".", "localhost", "127.0.0.1", "%40", "\\"];
    Target::new("outbound-hosts").seeds(seeds).words(words).longest(1024).run(|input| {
        let text = String::from_utf8_lossy(input);
        let (entry, asked) = text.split_once('\n').unwrap_or((&text, ""));
        let shown = outbound::without_userinfo(entry);
        let authority = shown.split_once("://").map_or(&*shown, |(_, rest)| rest).split(['/', '?', '#']).next();
        let userinfo = authority.and_then(|authority| authority.rsplit_once('@'));
        assert!(userinfo.is_none_or(|(userinfo, _)| userinfo == "…"), "`{shown}` shows what may be a password");
        let read = outbound::OutboundHost::parse(entry).map_err(|why| why.to_string())?;
        let uri = asked.parse().map_err(|_| "no address".to_owned())?;
        let target = outbound::Target::of(&uri).map_err(|why| why.to_string())?;
        let written = target.to_string();
        assert_eq!(written.parse().ok().and_then(|uri| outbound::Target::of(&uri).ok()).as_ref(), Some(&target));
        // What it allows is what it says, or below that.
        let allowed = read.allows(&target);
        let named = entry.replacen("*.", "", 1).parse().ok().and_then(|uri| outbound::Target::of(&uri).ok());
        let below = |named: &outbound::Target| target.host.to_string().ends_with(&format!(".{}", named.host));
        let said = |named: &outbound::Target| named.host == target.host || (entry.contains("*.") && below(named));
        assert!(!allowed || named.as_ref().is_some_and(|n| said(n) && n.port == target.port && n.tls == target.tls));
        Ok::<_, String>((allowed, written.len().min(40)))
    });
}

#[test]
fn settings() {
    let seeds = ["[disk]\nkeep_free_mb = 512\n[http]\nhttps_proxy = \"http://10.0.0.7:3128\"\n"];
    let words = [
        "[disk]\n",
        "[http]\n",
        "keep_free_mb = 4294967296\n",
        "https_proxy = ",
        "http://u:p@h:1",
        "[::1]:",
        "\"",
        "'''",
    ];
    let target =
        Target::new("settings").seeds(seeds.map(|seed| seed.as_bytes().to_vec())).words(words).longest(4 * 1024);
    let target = target.time(Duration::from_millis(100), Duration::from_millis(10)).memory(4 << 20, 1_000);
    target.run(|input| {
        let text = String::from_utf8_lossy(input);
        match config::parse(&text) {
            Ok(config) => (config.https_proxy.is_some(), None),
            Err(wrong) => {
                assert!(!wrong.is_empty() && wrong.len() < 4 * text.len() + 2_000, "{wrong}");
                (false, Some(kind(&wrong)))
            }
        }
    });
}
