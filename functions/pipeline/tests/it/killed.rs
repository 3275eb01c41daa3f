//! The tables after twenty kills are those of an undisturbed run, to the byte.

use std::time::Duration;

use dwd_mirror::{Mirror, Options};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::host::{Host, TABLES};
use local_services::say;

const KILLS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_leave_the_tables_of_an_undisturbed_run() {
    let mirror = Mirror::start(Options::made_up(4, 12.0)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let undisturbed = Host {
        manifest: None,
        config: None,
        data_dir: &dir.path().join("undisturbed"),
        url: mirror.url(),
        station_ids: "all",
    };
    let killed = Host {
        manifest: None,
        config: None,
        data_dir: &dir.path().join("killed"),
        url: mirror.url(),
        station_ids: "all",
    };
    tokio::task::block_in_place(|| {
        undisturbed.until_idle();
        let mut random = StdRng::seed_from_u64(7);
        let mut ended = 0;
        for _ in 0..KILLS {
            let mut host = killed.up(&["--until-idle"]);
            std::thread::sleep(Duration::from_millis(random.random_range(80..400)));
            ended += i32::from(host.try_wait().unwrap().is_some());
            host.kill().unwrap();
            host.wait().unwrap();
        }
        say!("{} of {KILLS} kills came before the run was through", KILLS as i32 - ended);
        assert!(ended < 10, "{ended} of {KILLS} runs ended before they were killed");
        killed.until_idle();
        for table in TABLES {
            let expected = undisturbed.export(table);
            assert!(killed.export(table) == expected, "`{table}` differs from that of an undisturbed run");
            let rows = expected.lines().count();
            assert!(rows > 1 || table == "station_metadata", "`{table}` is empty");
        }
        let verified = killed.command(&["verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    });
    mirror.stop().await.unwrap();
}
