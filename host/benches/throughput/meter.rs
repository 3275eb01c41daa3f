//! CPU time and peak memory, from `/proc`.

use std::fs;

/// Ticks of `/proc/*/stat` in a second: `USER_HZ`, 100 on every architecture that Linux runs this on.
const TICKS: f64 = 100.0;

/// CPU seconds of this process, and of its ended children.
pub(crate) fn cpu() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / TICKS;
    (ticks(11) + ticks(12), ticks(13) + ticks(14))
}

/// The largest resident memory of a process so far, in MB; `None` once it has ended.
pub(crate) fn peak_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0 / 1e6)
}
