//! Cron expressions and command lines.

use std::time::Duration;

use clap::Parser as _;
use isobar::cli::Cli;
use isobar::triggers::schedule::Schedule;
use mutate::Target;

use super::kind;

#[test]
fn cron_expressions() {
    let seeds = [
        "0 */10 * * * *",
        "0 0 0 1 1 *",
        "30 15 10-12 L * MON#2,FRI",
        "* * * * * *",
        "0 0 12 29 FEB SUN",
        "5/7 1,2,3 */4 15W JAN-MAR ?",
    ];
    let words = ["*/", "L", "W", "#5", "MON-FRI", "31 2", "@yearly", ",", "-", "?", "0 0 0 30 2 *", "LW", "L-3"];
    // It is asked for the next time after every run. One that never comes is looked for through thousands of years.
    let target = Target::new("cron").seeds(seeds).words(words).longest(1024);
    target.time(Duration::from_secs(20), Duration::ZERO).run(|input| {
        let text = String::from_utf8_lossy(input);
        let schedule = match Schedule::parse(&text) {
            Ok(schedule) => schedule,
            Err(error) => return (0, kind(&error.to_string())),
        };
        let mut times = 0;
        for from in [0, 1_700_000_000_123, -1, i64::MIN, i64::MAX, 253_402_300_799_000] {
            if let Some(next) = schedule.next_after(from) {
                assert!(next > from, "after {from} comes {next}");
                times += 1;
            }
        }
        // A host that was down for a week.
        let due = schedule.due(Some((1_700_000_000_000, false)), i64::MIN, 1_700_600_000_000).expect("it is due");
        assert!((1_700_000_000_000..=1_700_600_000_000).contains(&due.due_ms), "{due:?}");
        (times + 1, String::new())
    });
}

#[test]
fn command_lines() {
    let seeds = [
        "up\n--demo\n--listen\n127.0.0.1:0\n--variable\na=b\n--until-idle",
        "table\nquery\ncustomers\n--where\nid = '1'\n--columns\nid,name\n--limit\n5\n--json",
        "table\nexport\ncustomers\n--format\nparquet\n--output\nx",
        "topic\nshow\norders\n--partition\n1\n--from\n-5",
        "inspect\nx.wasm\n--json",
        "status\n--data-dir\n/x\n--json",
        "completions\nfish",
    ];
    let words = ["--help", "--", "-", "=", "\n", "--limit", "--sensitive", "4294967296", "-1", "a=b=c", "[::1]:0"];
    Target::new("command-line").seeds(seeds).words(words).longest(2048).memory(8 << 20, 200).run(|input| {
        let text = String::from_utf8_lossy(input);
        match Cli::try_parse_from(std::iter::once("isobar").chain(text.split('\n'))) {
            Ok(cli) => format!("{:?}", cli.command).split('(').next().unwrap_or_default().to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    });
}
