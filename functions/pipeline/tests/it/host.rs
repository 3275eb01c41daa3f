//! Starting the program on the application's manifest, and reading what it left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;

/// The five tables, and the one that they are joined with.
pub(crate) const TABLES: [&str; 6] =
    ["daily_temp_data", "daily_othe_data", "yearly_data_temp", "overall_temp", "meta_data", "station_metadata"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A run of the application on `data_dir` against the mirror at `url`.
#[derive(Clone)]
pub(crate) struct Host<'d> {
    /// Another manifest than the application's own.
    pub(crate) manifest: Option<&'d Path>,
    /// The operator's file, where there is one.
    pub(crate) config: Option<&'d Path>,
    pub(crate) data_dir: &'d Path,
    pub(crate) url: String,
    pub(crate) station_ids: &'d str,
}

impl Host<'_> {
    /// Starts `isobar up`; the components are built once for all tests.
    pub(crate) fn up(&self, flags: &[&str]) -> Child {
        self.up_with(flags, &[], Stdio::piped())
    }

    /// As [`Host::up`], with these variables of the environment, and its log to `log`: one that runs for long fills a pipe
    /// that nobody reads.
    pub(crate) fn up_with(&self, flags: &[&str], variables: &[(&str, &str)], log: impl Into<Stdio>) -> Child {
        static BUILT: Once = Once::new();
        BUILT.call_once(|| {
            let built = isobar(&["build"]).output().unwrap();
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        });
        self.isobar(&["up", "--listen", "127.0.0.1:0"])
            .args(["--variable", &format!("dwd_url={}", self.url)])
            .args(["--variable", &format!("station_ids={}", self.station_ids)])
            .arg("--data-dir")
            .arg(self.data_dir)
            .args(flags)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Runs until everything has caught up.
    pub(crate) fn until_idle(&self) {
        let ended = self.up(&["--until-idle"]).wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Runs a command on the data.
    pub(crate) fn command(&self, words: &[&str]) -> Output {
        self.isobar(words).arg("--data-dir").arg(self.data_dir).output().unwrap()
    }

    /// `isobar check --connect`.
    pub(crate) fn check(&self) -> Output {
        self.isobar(&["check", "--connect"]).output().unwrap()
    }

    fn isobar(&self, words: &[&str]) -> Command {
        let mut command = isobar(words);
        if let Some(manifest) = self.manifest {
            command.arg("--manifest").arg(manifest);
        }
        if let Some(config) = self.config {
            command.arg("--config").arg(config);
        }
        command
    }

    /// A table as CSV, sensitive columns included.
    pub(crate) fn export(&self, table: &str) -> String {
        let exported = self.command(&["table", "export", table, "--format", "csv", "--sensitive"]);
        assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
        String::from_utf8(exported.stdout).unwrap()
    }
}

fn isobar(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.args(words).current_dir(root());
    command
}
