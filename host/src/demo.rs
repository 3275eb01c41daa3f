//! What `up --demo` starts besides the application: the manifest's command, its variables and its files.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};

use crate::manifest::Demo;

/// How long the command may take until it answers on its port.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The demo's command at work; it ends when this is dropped, and when this process ends, because its standard input
/// closes then.
pub struct Running {
    child: Child,
    _stdin: Option<ChildStdin>,
    port: u16,
    folder: PathBuf,
}

impl Running {
    /// Starts the command and waits until it answers. `folder` is the demo's own.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time.
    pub async fn start(demo: &Demo, root: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let folder = std::path::absolute(folder)?;
        let port = free_port().await?;
        let mut words = demo.command.split_whitespace().map(|word| fill(word, port, &folder));
        let program = words.next().context("the demo's `command` is empty")?;
        let path = if program.contains('/') { root.join(&program) } else { PathBuf::from(&program) };
        let mut child = Command::new(&path)
            .args(words)
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start the demo's command `{}`; build it first with `isobar up --build --demo`",
                    path.display()
                )
            })?;
        let stdin = child.stdin.take();
        let mut running = Running { child, _stdin: stdin, port, folder };
        running.answer().await?;
        Ok(running)
    }

    /// A text of the manifest with `{port}` and `{demo_dir}` filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        fill(text, self.port, &self.folder)
    }

    /// Ends the command.
    pub async fn stop(mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill().await;
    }

    async fn answer(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the demo's command ended ({status}) before it answered");
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        anyhow::bail!("the demo's command did not answer on port {} within {} s", self.port, READY_WITHIN.as_secs())
    }
}

async fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

fn fill(text: &str, port: u16, folder: &Path) -> String {
    text.replace("{port}", &port.to_string()).replace("{demo_dir}", &folder.display().to_string())
}
