//! Whole rounds against a made-up server: what is published, what is fetched, and what comes of a server's faults.

mod faults;
mod fuzz;
mod server;

use super::Next;
use crate::outside::Topic;
use crate::settings::Variables;
use server::{VARIABLES, World, days, slots};

const NOW: &str = "now/10minutenwerte_TU_00003_now.zip";
const RECENT: &str = "recent/10minutenwerte_TU_00003_akt.zip";
const OLDER: &str = "historical/10minutenwerte_TU_00003_20100101_20191231_hist.zip";
const NEWER: &str = "historical/10minutenwerte_TU_00003_20200101_20231231_hist.zip";
/// 2024-06-01 00:00 UTC.
const JUNE: u64 = 1_717_200_000;

/// Station 3 in all three folders.
fn full() -> World {
    let mut world = World::default();
    world.serve(NOW, JUNE, &slots((2024, 6, 1), 60));
    world.serve(RECENT, JUNE - 1_000, &days((2024, 5, 20), 12, 0));
    world.serve(NEWER, JUNE - 9_000, &days((2023, 12, 1), 31, 0));
    world.serve(OLDER, JUNE - 8_000, &days((2010, 1, 1), 200, 0));
    world
}

fn dates(messages: &[&str]) -> Vec<String> {
    messages.iter().map(|message| message.get(20..32).unwrap().to_owned()).collect()
}

#[test]
fn everything_is_published_once_now_first_and_history_from_the_newest() {
    let mut world = full();
    assert_eq!(world.drain(), [""; 0]);
    let temperatures = world.temperatures(0);
    assert_eq!(temperatures.len(), 60 + (12 + 31 + 200) * 144);
    assert_eq!(world.sent.len(), 2 * temperatures.len());
    let firsts = [0, 60, 60 + 12 * 144, 60 + 43 * 144].map(|at| temperatures[at].get(20..32).unwrap());
    assert_eq!(firsts, ["202406010000", "202405200000", "202312010000", "201001010000"]);
    let order: Vec<&String> = world.asked.iter().filter(|path| path.ends_with(".zip")).collect();
    assert_eq!(order, [NOW, RECENT, NEWER, OLDER]);
    let others = &world.sent.iter().find(|(topic, _)| *topic == Topic::Others).unwrap().1;
    assert_eq!(
        others,
        "{\"measurement_date\":202406010000,\"station_id\":\"00003\",\"pressure\":-999.0,\"humidity\":80.0,\
         \"dewpoint\":1.0,\"quality\":3,\"product\":\"now\",\"revision\":1717200000}"
    );
    assert!(world.said.last().unwrap().starts_with("drained: 4 archives, 35052 readings published, 0 bad lines"));
}

#[test]
fn a_second_round_asks_for_the_pages_alone_and_publishes_nothing() {
    let mut world = full();
    world.drain();
    let (sent, asked) = (world.sent.len(), world.asked.len());
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!(world.sent.len(), sent);
    assert_eq!(world.asked[asked..], ["now/", "recent/", "historical/"]);
    let left: Vec<String> = world.state.values().keys().map(|key| String::from_utf8(key.clone()).unwrap()).collect();
    assert!(!left.iter().any(|key| key.starts_with("piece/") || key == "round" || key == "plan"), "{left:?}");
}

#[test]
fn an_archive_of_many_runs_is_fetched_once_and_no_run_publishes_too_much() {
    let mut world = World::default();
    world.serve(OLDER, JUNE, &days((2010, 1, 1), 1000, 0));
    let mut runs = 0;
    loop {
        let before = world.sent.len();
        let next = world.run(1, VARIABLES).unwrap();
        assert!(world.sent.len() - before <= 2 * 16_384);
        runs += 1;
        if next == Next::Done {
            break;
        }
    }
    assert_eq!((world.archives_asked(), world.temperatures(0).len()), (1, 144_000));
    assert!(runs >= 9, "{runs}");
}

#[test]
fn a_crash_before_any_commit_changes_nothing_that_is_published() {
    let mut undisturbed = full();
    undisturbed.drain();
    let mut crashing = full();
    crashing.now_ms += 600_000;
    loop {
        let before = crashing.clone();
        crashing.run(1, VARIABLES).unwrap();
        crashing = before;
        if crashing.run(2, VARIABLES).unwrap() == Next::Done {
            break;
        }
    }
    assert!(crashing.sent == undisturbed.sent);
    assert_eq!(crashing.state.values(), undisturbed.state.values());
}

#[test]
fn of_a_changed_archive_only_the_changed_days_are_published_again() {
    let mut world = full();
    world.drain();
    let sent = world.sent.len();
    let before = days((2024, 5, 20), 12, 0);
    let changed = before.replace("202405231200;    3;", "202405231200;    2;");
    assert_ne!(before, changed);
    world.serve(RECENT, JUNE + 86_400, &(changed + days((2024, 6, 1), 1, 0).split_once('\n').unwrap().1));
    assert_eq!(world.drain(), [""; 0]);
    let again = world.temperatures(sent);
    assert_eq!(again.len(), 2 * 144);
    assert!(dates(&again[..144]).iter().all(|date| date.starts_with("20240523")));
    assert!(dates(&again[144..]).iter().all(|date| date.starts_with("20240601")));
    assert!(again.iter().all(|message| message.ends_with(&format!("\"revision\":{}}}", JUNE + 86_400))));
}

#[test]
fn an_archive_that_was_only_written_anew_publishes_nothing() {
    let mut world = full();
    world.drain();
    let sent = world.sent.len();
    world.serve(NEWER, JUNE + 86_400, &days((2023, 12, 1), 31, 0));
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!((world.sent.len(), world.archives_asked()), (sent, 5));
}

#[test]
fn as_now_grows_only_its_new_readings_are_published() {
    let mut world = full();
    world.drain();
    let sent = world.sent.len();
    world.serve(NOW, JUNE + 600, &slots((2024, 6, 1), 62));
    world.drain();
    assert_eq!(dates(&world.temperatures(sent)), ["202406011000", "202406011010"]);
    let sent = world.sent.len();
    world.serve(NOW, JUNE + 86_400, &slots((2024, 6, 2), 1));
    world.drain();
    assert_eq!(dates(&world.temperatures(sent)), ["202406020000"]);
}

#[test]
fn what_recent_already_had_is_published_as_historical_once() {
    let mut world = World::default();
    let text = days((2024, 5, 20), 2, 0);
    world.serve(RECENT, JUNE, &text);
    world.drain();
    let next_year = "historical/10minutenwerte_TU_00003_20200101_20241231_hist.zip";
    world.serve(next_year, JUNE, &text);
    let sent = world.sent.len();
    world.drain();
    world.drain();
    let again = world.temperatures(sent);
    assert_eq!(again.len(), 2 * 144);
    assert!(again.iter().all(|message| message.contains("\"product\":\"historical\"")));
}

#[test]
fn the_yearly_new_name_of_an_archive_brings_only_what_is_new_in_it() {
    let mut world = full();
    world.drain();
    let sent = world.sent.len();
    world.files.remove(NEWER);
    let renamed = "historical/10minutenwerte_TU_00003_20200101_20241231_hist.zip";
    world.serve(renamed, JUNE + 86_400, &days((2023, 12, 1), 33, 0));
    assert_eq!(world.drain(), [""; 0], "the series goes on under its new name");
    assert_eq!(world.temperatures(sent).len(), 2 * 144);
}

#[test]
fn an_unchanged_archive_is_not_sent_by_the_server_again() {
    let mut world = full();
    world.drain();
    let sent = world.sent.len();
    let page =
        "<h1>Index of /</h1><pre><a href=\"10minutenwerte_TU_00003_now.zip\">x</a> 01-Jun-2024 00:07:00 SIZE</pre>";
    let size = world.files.get(NOW).unwrap().body.len().to_string();
    world.faults.insert("now/".to_owned(), server::Fault::Page(page.replace("SIZE", &size).leak()));
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!((world.sent.len(), world.archives_asked()), (sent, 5), "asked for, and answered with 304");
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!(world.archives_asked(), 5, "the page's new stamp is known from then on");
}

#[test]
fn a_pace_of_one_day_a_second_is_kept() {
    let mut world = World::default();
    world.serve(RECENT, JUNE, &days((2024, 5, 20), 3, 0));
    let paced = |streaming_speed| Variables { streaming_speed, ..VARIABLES };
    for day in 1..=3 {
        assert_eq!(world.run(1, paced("1")), Ok(Next::Again(1000)));
        assert_eq!(world.temperatures(0).len(), day * 144);
    }
    assert_eq!(world.run(1, paced("1")), Ok(Next::Done));
    world.serve(RECENT, JUNE + 1, &days((2024, 5, 20), 30, 5));
    world.now_ms += 600_000;
    assert_eq!(world.run(1, paced("50")), Ok(Next::Again(100)));
    assert_eq!(world.temperatures(3 * 288).len(), 5 * 144);
}

#[test]
fn other_stations_are_read_when_they_are_asked_for() {
    let mut world = full();
    let other = "now/10minutenwerte_TU_00044_now.zip";
    world.serve(other, JUNE, &slots((2024, 6, 1), 1).replace("          3;", "         44;"));
    world.drain();
    assert!(!world.asked.iter().any(|path| path == other));
    let sent = world.sent.len();
    assert_eq!(world.drain_with(Variables { station_ids: "all", ..VARIABLES }), [""; 0]);
    assert_eq!(world.temperatures(sent).len(), 1);
    assert!(world.temperatures(sent)[0].contains("\"station_id\":\"00044\""));
}

#[test]
fn settings_that_change_in_the_middle_begin_the_round_anew() {
    let mut world = full();
    world.run(1, VARIABLES).unwrap();
    let only_history = Variables { products: "historical", ..VARIABLES };
    assert_eq!(world.drain_with(only_history), [""; 0]);
    assert_eq!(world.drain(), [""; 0]);
    let mut dates = dates(&world.temperatures(0));
    dates.sort_unstable();
    dates.dedup();
    assert_eq!(dates.len(), 60 + 243 * 144);
    let pieces = world.state.values().keys().filter(|key| key.starts_with(b"piece/")).count();
    assert_eq!(pieces, 0);
}

#[test]
fn dwds_real_archive_is_published_whole() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/dwd/tree/10_minutes/air_temperature/recent/10minutenwerte_TU_03379_akt.zip"
    );
    let Ok(real) = std::fs::read(path) else {
        eprintln!("SKIPPED: {path} is missing, so DWD's real archive was not tried");
        return;
    };
    let mut world = World::default();
    world.put("recent/10minutenwerte_TU_03379_akt.zip", JUNE, real);
    assert_eq!(world.drain_with(Variables { station_ids: "03379", ..VARIABLES }), [""; 0]);
    assert_eq!((world.temperatures(0).len(), world.archives_asked()), (79_200, 1));
    assert!(!world.said.iter().any(|line| line.contains("bad line") && !line.contains(" 0 bad lines")));
}
