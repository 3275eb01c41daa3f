//! What a component could do to hurt the host. A trick that works writes `escaped` into its panic.
//!
//! `super::bindings` names the table `seen` and the topic `echo`, of whatever application.

use std::hint::black_box;
use std::time::Duration;

use isobar_guest::events::{Failure, Rejection};
use isobar_guest::{PackedBuilder, state};

use super::bindings::{echo, seen};

pub(super) fn perform(key: &str, trick: &str) -> Result<(), Failure> {
    match trick {
        "count" => count(key)?,
        "panic" => {
            hold_everything()?;
            panic!("the trick panics");
        }
        "trap in the middle of a table write" => {
            hold_everything()?;
            core::arch::wasm32::unreachable();
        }
        "exit" => {
            hold_everything()?;
            std::process::exit(0);
        }
        "loop" => loop {
            black_box(());
        },
        "sleep" => std::thread::sleep(Duration::from_secs(1 << 40)),
        "memory" => drop(black_box(vec![1_u8; 1 << 30])),
        "stack" => drop(black_box(dive(0))),
        "allocating stack" => drop(black_box(dive_with_boxes(0))),
        "flood stderr" => (0..100).for_each(|_| eprintln!("{}", "flood ".repeat(100_000))),
        "huge reason" => return Err(Failure::Retry("reason ".repeat(1_000_000))),
        "huge panic" => panic!("{}", "panic ".repeat(1_000_000)),
        "million records" => publish(1_000_000, 1)?,
        "long records" => publish(30, 1 << 20)?,
        "long value" => state::put("bomb", &vec![7; 1 << 20]),
        "many values" => (0..60).for_each(|n| state::put(&format!("bomb {n}"), &vec![7; 900 << 10])),
        "many entries" => {
            for from in (0..10_000_000).step_by(10_000) {
                let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
                for n in from..from + 10_000 {
                    keys.push(format!("{n}").as_bytes());
                    values.push(b"");
                }
                state::put_many(&keys.build(), &values.build());
            }
        }
        "empty sends" => {
            let nothing = PackedBuilder::default().build();
            loop {
                echo::send(&nothing, &nothing)?;
            }
        }
        "fill" => state::put(key, &vec![7; 100_000]),
        "nul keys" => {
            for n in 0..100 {
                state::put(&format!("\0{key}{n:01000}"), b"");
            }
        }
        "publish noise" => publish_noise(key, 100_000)?,
        "long key" => state::put(&"k".repeat(10_000), b"v"),
        "many rows" => upsert(1_000_000)?,
        "long rows" => {
            for n in 0..100 {
                seen::upsert(&[seen::Row { name: format!("{n} {}", "long ".repeat(100_000)), records: 1 }])?;
            }
        }
        "read many rows" => {
            let key = |n: usize| seen::Key { name: format!("row {n}") };
            for from in (0..1_000_000).step_by(10_000) {
                seen::get(&(from..from + 10_000).map(key).collect::<Vec<_>>())?;
            }
        }
        "read one value often" => {
            state::put("large", &vec![7; 900 << 10]);
            let mut keys = PackedBuilder::default();
            (0..10_000).for_each(|_| keys.push(b"large"));
            drop(black_box(state::get_many(&keys.build())));
        }
        "read many values" => {
            for from in (0..1_000_000).step_by(10_000) {
                let mut keys = PackedBuilder::default();
                (from..from + 10_000).for_each(|n| keys.push(format!("value {n}").as_bytes()));
                drop(black_box(state::get_many(&keys.build())));
            }
        }
        "lying index" => return Err(Failure::Reject(vec![Rejection { at: 1 << 30, reason: "lie".to_owned() }])),
        "nul" => seen::upsert(&[seen::Row { name: "a\0b".to_owned(), records: 1 }])?,
        "empty key" => seen::upsert(&[seen::Row { name: String::new(), records: 1 }])?,
        "uneven" => echo::send(&PackedBuilder::default().build(), &one_item())?,
        "broken ends" => {
            let mut keys = one_item();
            keys.ends = vec![u32::MAX];
            echo::send(&keys, &one_item())?;
        }
        "look around" => look_around(),
        other => panic!("there is no trick `{other}`"),
    }
    Ok(())
}

fn count(key: &str) -> Result<(), Failure> {
    let before = state::get(key).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes);
    state::put(key, &(before + 1).to_le_bytes());
    seen::upsert(&[seen::Row { name: key.to_owned(), records: before + 1 }])?;
    Ok(())
}

/// Effects that must not outlive the call.
fn hold_everything() -> Result<(), Failure> {
    state::put("stolen", b"1");
    publish(10, 10)?;
    seen::upsert(&[seen::Row { name: "stolen".to_owned(), records: 1 }])?;
    Ok(())
}

fn one_item() -> isobar_guest::types::Packed {
    let mut items = PackedBuilder::default();
    items.push(b"x");
    items.build()
}

fn publish(records: usize, bytes: usize) -> Result<(), Failure> {
    let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
    let value = vec![b'v'; bytes];
    for _ in 0..records {
        keys.push(b"k");
        values.push(&value);
    }
    echo::send(&keys.build(), &values.build())?;
    Ok(())
}

/// What cannot be compressed, another for each key.
fn publish_noise(key: &str, bytes: u64) -> Result<(), Failure> {
    let (mut keys, mut values) = (PackedBuilder::default(), PackedBuilder::default());
    let mut last = key.bytes().fold(0x9e37_79b9_7f4a_7c15, |last: u64, byte| last.rotate_left(9) ^ u64::from(byte));
    let mut noise = || {
        last ^= last << 13;
        last ^= last >> 7;
        last ^= last << 17;
        last as u8
    };
    keys.push(b"k");
    values.push(&(0..bytes).map(|_| noise()).collect::<Vec<u8>>());
    echo::send(&keys.build(), &values.build())?;
    Ok(())
}

fn upsert(rows: usize) -> Result<(), Failure> {
    let row = |n: usize| seen::Row { name: format!("row {n}"), records: 1 };
    for from in (0..rows).step_by(10_000) {
        seen::upsert(&(from..from + 10_000).map(row).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn dive(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { 0 } else { black_box(dive(depth + 1)) + 1 }
}

fn dive_with_boxes(depth: u64) -> Box<u64> {
    let held = black_box(Box::new([depth; 16]));
    if held[0] == u64::MAX {
        return Box::new(0);
    }
    let below = dive_with_boxes(depth + 1);
    Box::new(*below + held[0])
}

/// None of this is granted to anybody.
fn look_around() {
    assert!(std::env::vars().next().is_none(), "escaped: there is an environment");
    assert!(std::env::args().next().is_none(), "escaped: there are arguments");
    for path in ["/", "/etc/passwd", "spin.toml", "."] {
        assert!(std::fs::metadata(path).is_err(), "escaped: `{path}` can be seen");
    }
    assert!(std::fs::write("written", b"x").is_err(), "escaped: a file was written");
    for address in ["127.0.0.1:1", "127.0.0.1:80", "[::1]:80", "192.0.2.1:80"] {
        assert!(std::net::TcpStream::connect(address).is_err(), "escaped: `{address}` answers");
    }
    assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_err(), "escaped: a socket is bound");
    assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err(), "escaped: a listener is bound");
}
