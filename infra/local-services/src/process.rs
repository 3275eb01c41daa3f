//! A process that a test starts, and ends or freezes as a fault would.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// No process takes so long to end once it is told to.
const LONGEST_END: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running process; killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// Takes care of `child`.
    #[must_use]
    pub fn of(child: Child) -> Self {
        Process(child)
    }

    /// Ends it, at once or in order; returns when it has ended.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(mut self, kill: bool) {
        self.signal(if kill { "KILL" } else { "TERM" });
        let told = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            assert!(told.elapsed() < LONGEST_END, "process {} does not end", self.0.id());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Lets it stand still for so long.
    pub fn freeze(&self, time: Duration) {
        self.signal("STOP");
        std::thread::sleep(time);
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "process {} is gone", self.0.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
