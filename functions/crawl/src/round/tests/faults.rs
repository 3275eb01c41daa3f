//! Servers that fail: nothing is lost, nothing is made up, the rest goes on, and the reason is told by a run that fails.

use super::server::{Fault, VARIABLES, World, days, slots};
use super::{JUNE, NEWER, NOW, OLDER, RECENT, full};
use crate::round::Next;
use crate::settings::Variables;

/// One fault is met by the first crawl, the others are drained, the reason is told; the fault passes, and all is there.
fn fault_passes(path: &str, fault: Fault, missing: usize, reason: &str) {
    let mut world = full();
    world.faults.insert(path.to_owned(), fault);
    let reasons = world.drain();
    assert!(reasons.first().unwrap().contains(reason), "{reasons:?}");
    assert!(reasons.first().unwrap().contains(path), "{reasons:?}");
    assert!(world.said.iter().any(|line| line.contains(reason)), "{:?}", world.said);
    let all = 60 + (12 + 31 + 200) * 144;
    assert_eq!(world.temperatures(0).len(), all - missing, "the others are published");
    world.faults.clear();
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!(world.temperatures(0).len(), all, "what was missing is published, and nothing twice");
}

#[test]
fn an_archive_that_answers_500_stops_no_other() {
    fault_passes(NEWER, Fault::Status(500), 31 * 144, "answers with status 500");
}

#[test]
fn a_listed_archive_that_is_not_there_is_no_drained_one() {
    fault_passes(RECENT, Fault::Status(404), 12 * 144, "answers with status 404");
}

#[test]
fn a_cut_body_is_noticed_by_its_length() {
    fault_passes(OLDER, Fault::Cuts(1000), 200 * 144, "1000 bytes instead of the");
}

#[test]
fn a_server_that_hangs_up_is_told_by_name() {
    fault_passes(NOW, Fault::Refuses("connection reset"), 60, "cannot be read: connection reset");
}

#[test]
fn a_folder_page_that_fails_stops_no_other_folder() {
    fault_passes("recent/", Fault::Status(503), 12 * 144, "answers with status 503");
    fault_passes("recent/", Fault::Page("<h1>Maintenance</h1>"), 12 * 144, "no whole folder page");
}

#[test]
fn a_zip_cut_on_the_server_and_one_with_a_wrong_checksum_are_refused_whole() {
    for damage in [
        |body: &mut Vec<u8>| body.truncate(body.len() / 2),
        |body: &mut Vec<u8>| {
            let central = body.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
            body[central + 16] ^= 0xff;
        },
    ] {
        let mut world = full();
        damage(&mut world.files.get_mut(NEWER).unwrap().body);
        let reasons = world.drain();
        assert!(reasons.first().unwrap().contains("the zip is damaged"), "{reasons:?}");
        assert!(!world.temperatures(0).iter().any(|message| message.contains("\"measurement_date\":2023")));
        world.serve(NEWER, JUNE, &days((2023, 12, 1), 31, 0));
        assert_eq!(world.drain(), [""; 0]);
        assert_eq!(world.temperatures(0).len(), 60 + 243 * 144);
    }
}

#[test]
fn an_archive_of_another_size_than_listed_is_refused_unless_it_is_newer_than_the_page() {
    let mut world = full();
    world.files.get_mut(RECENT).unwrap().listed_size = Some(77);
    let reasons = world.drain();
    assert!(reasons.first().unwrap().contains("instead of the 77 that the folder page says"), "{reasons:?}");

    let mut world = full();
    let page =
        "<h1>Index of /</h1><pre><a href=\"10minutenwerte_TU_00003_now.zip\">x</a> 31-May-2024 23:50:00 77</pre>";
    world.faults.insert("now/".to_owned(), Fault::Page(page));
    assert_eq!(world.drain(), [""; 0], "`now` was written anew after the page was");
    assert_eq!(world.temperatures(0).len(), 60 + 243 * 144);
}

#[test]
fn an_older_version_of_an_archive_never_replaces_a_newer_one() {
    let mut world = full();
    world.drain();
    let sent = world.sent.len();
    world.serve(RECENT, JUNE - 5_000, &days((2024, 5, 20), 2, 7));
    assert_eq!(world.drain(), [""; 0], "a page that lags behind is no news");
    let page = "<h1>Index of /</h1><pre><a href=\"10minutenwerte_TU_00003_akt.zip\">x</a> 02-Jun-2024 00:00:00 -</pre>";
    world.faults.insert("recent/".to_owned(), Fault::Page(page));
    let reasons = world.drain();
    assert!(reasons.first().unwrap().contains("older than the version that was read before"), "{reasons:?}");
    assert_eq!(world.sent.len(), sent);
}

#[test]
fn a_folder_that_is_missing_from_the_start_counts_as_drained_and_is_reported_once() {
    let mut world = World::default();
    world.serve(RECENT, JUNE, &days((2024, 5, 20), 1, 0));
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!(world.temperatures(0).len(), 144);
    let reported =
        |world: &World| world.said.iter().filter(|line| line.contains("is missing: nothing is read")).count();
    assert_eq!(reported(&world), 2);
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!(reported(&world), 2);
    world.serve(NOW, JUNE, &slots((2024, 6, 1), 1));
    assert_eq!(world.drain(), [""; 0], "it may come later");
    assert_eq!(world.temperatures(0).len(), 145);
}

#[test]
fn a_page_that_is_empty_after_a_full_one_closes_no_station() {
    for (fault, word) in
        [(Fault::Page("<h1>Index of /</h1><pre></pre>"), "is empty"), (Fault::Status(404), "is missing")]
    {
        let mut world = full();
        world.drain();
        let (sent, state) = (world.sent.len(), world.state.values().len());
        world.faults.insert("historical/".to_owned(), fault);
        let reasons = world.drain();
        let expected = format!("historical/` {word}, but had 2 archives");
        assert!(reasons.first().unwrap().contains(&expected), "{reasons:?}");
        world.faults.clear();
        assert_eq!(world.drain(), [""; 0]);
        assert_eq!((world.sent.len(), world.state.values().len()), (sent, state));
    }
}

#[test]
fn a_page_that_shrinks_is_told_for_two_weeks() {
    let mut world = full();
    world.drain();
    let gone = world.files.remove(OLDER).unwrap();
    let reasons = world.drain();
    assert!(reasons.first().unwrap().contains("no longer lists `00003_2010-01-01`"), "{reasons:?}");
    world.files.insert(OLDER.to_owned(), gone);
    assert_eq!(world.drain(), [""; 0], "it came back");
    world.files.remove(OLDER);
    world.drain();
    world.now_ms += 14 * 86_400_000;
    assert_eq!(world.drain(), [""; 0]);
    assert!(world.said.iter().any(|line| line.contains("no longer expected")), "{:?}", world.said);
}

#[test]
fn a_wrong_address_and_a_wrong_station_are_told_and_never_look_drained() {
    let reasons = World::default().drain();
    assert!(reasons.first().unwrap().contains("check `dwd_url`"), "{reasons:?}");
    let mut world = full();
    let reasons = world.drain_with(Variables { station_ids: "00003,12345", ..VARIABLES });
    assert!(reasons.first().unwrap().contains("station `12345` has no archive"), "{reasons:?}");
    assert_eq!(world.temperatures(0).len(), 60 + 243 * 144, "the station that exists is read");
}

#[test]
fn bad_lines_are_counted_and_named_and_the_others_published() {
    let mut world = World::default();
    let text = days((2024, 5, 20), 1, 0).replace("202405200010;", "202405200011;").replace("  80.0;", " 180.0;");
    world.serve(RECENT, JUNE, &text);
    assert_eq!(world.drain(), [""; 0]);
    assert_eq!(world.temperatures(0).len(), 143);
    let first = "`recent/10minutenwerte_TU_00003_akt.zip`, line 2: `RF_10` is `180.0`, outside of 0.0 to 110.0: this \
                 field is taken as missing";
    assert!(world.said.iter().any(|line| line == first), "{:?}", world.said);
    assert!(world.said.iter().any(|line| line.ends_with("line 3: `MESS_DATUM` is `202405200011`, left out")));
    assert!(world.said.iter().any(|line| line.ends_with("has 144 bad lines beside 143 readings")), "{:?}", world.said);
    assert!(world.said.len() < 20, "not every one of them in words");
}

#[test]
fn an_archive_without_one_good_line_is_not_drained() {
    let mut world = World::default();
    world.serve(RECENT, JUNE, &days((2024, 5, 20), 1, 0).replace("          3;", "         44;"));
    let reasons = world.drain();
    assert!(reasons.first().unwrap().contains("none of its 144 lines can be read"), "{reasons:?}");
}

#[test]
fn what_makes_a_run_break_off_is_set_aside() {
    let mut world = full();
    world.now_ms += 600_000;
    assert_eq!(world.run(3, VARIABLES), Ok(Next::Again(0)), "the page of now/ is left for later");
    let mut last = Ok(Next::Again(0));
    while last == Ok(Next::Again(0)) {
        last = world.run(1, VARIABLES);
    }
    let reason = last.unwrap_err();
    assert!(reason.contains("now/` was being fetched when the run broke off, 2 times"), "{reason}");
    assert_eq!(world.temperatures(0).len(), 243 * 144);
}

#[test]
fn a_run_that_breaks_off_after_a_round_of_trouble_is_noticed_too() {
    let mut world = full();
    world.faults.insert(NEWER.to_owned(), Fault::Status(500));
    world.drain();
    let after_breaks = |attempt, world: &mut World| {
        let said = world.said.len();
        world.run(attempt, VARIABLES).unwrap();
        world.said[said..].iter().any(|line| line.contains("broke off"))
    };
    world.now_ms += 600_000;
    assert!(!after_breaks(1, &mut world.clone()), "time has passed: the first attempt begins a round");
    assert!(after_breaks(3, &mut world), "and the third has seen two of them break off");
}

#[test]
fn a_server_that_stays_away_is_asked_ever_less_often() {
    let mut world = full();
    world.faults.insert(NEWER.to_owned(), Fault::Status(500));
    let mut asked = Vec::new();
    for _ in 0..5 {
        let before = world.asked.iter().filter(|path| *path == NEWER).count();
        world.drain();
        asked.push(world.asked.iter().filter(|path| *path == NEWER).count() - before);
    }
    assert!(asked.first() > asked.last(), "{asked:?}");
    assert!(!world.said.iter().any(|line| line.contains("broke off")), "no run did: {:?}", world.said);
    assert_eq!(asked.last(), Some(&1), "{asked:?}");
}
