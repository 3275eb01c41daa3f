//! The mirror as a program: reads the flags, writes the station file, says where it listens, serves until told to end.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};
use dwd_mirror::{DEFAULT_START, Options, Source};
use jiff::Timestamp;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A mirror of DWD's 10-minute air temperature: real archives from a folder, or made-up stations.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    #[command(flatten)]
    source: From,
    /// Years of data before the clock's start.
    #[arg(long, default_value_t = 2.0, conflicts_with = "tree")]
    years: f64,
    /// Another seed gives other weather.
    #[arg(long, default_value_t = 1, conflicts_with = "tree")]
    seed: u64,
    /// Of a thousand readings, how many `recent` corrects after `now` had them.
    #[arg(long, default_value_t = 4, conflicts_with = "tree", value_name = "PER_MILLE")]
    revisions: u32,
    /// Write the stations' metadata here before serving.
    #[arg(long, conflicts_with = "tree", value_name = "PATH")]
    stations_csv: Option<PathBuf>,
    /// Last-Modified of every file; without it the file's own time.
    #[arg(long, requires = "tree", value_name = "INSTANT")]
    modified: Option<Timestamp>,
    /// What the mirror's clock shows at the start.
    #[arg(long, default_value = DEFAULT_START, value_name = "INSTANT")]
    now_at: Timestamp,
    /// Days of the mirror's clock in a second; 0 lets it stand still.
    #[arg(long, default_value_t = 0.0, value_name = "DAYS_PER_SECOND")]
    speed: f64,
    /// Days between two versions of `recent` [default: daily, and at most every 30 seconds of real time].
    #[arg(long, value_name = "DAYS")]
    recent_every: Option<u32>,
    /// End when standard input closes, as it does when whoever started the mirror ends, however that came.
    #[arg(long)]
    until_stdin_closes: bool,
    /// Port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Serve real archives: the folder that holds `10_minutes/air_temperature/`.
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Make up this many stations.
    #[arg(long, value_name = "N")]
    stations: Option<u32>,
}

impl Flags {
    fn options(&self) -> Options {
        let mut options = match (&self.source.tree, self.source.stations) {
            (Some(folder), _) => Options::tree(folder),
            (None, stations) => Options::made_up(stations.unwrap_or_default(), self.years).seed(self.seed),
        };
        match &mut options.source {
            Source::Tree { modified, .. } => *modified = self.modified,
            Source::MadeUp(made_up) => made_up.revised_per_mille = self.revisions,
        }
        options.recent_every_days = self.recent_every;
        options.starting_at(self.now_at).speed(self.speed)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    let options = flags.options();
    options.check()?;
    if let Some(path) = &flags.stations_csv {
        write_stations(path, &options)?;
    }
    let shutdown = told_to_end()?;
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("cannot listen on `{}`: give another `--listen`, or port 0 for any", flags.listen))?;
    let address = listener.local_addr()?;
    let serving = dwd_mirror::serve(options, listener, std::future::pending());
    tokio::pin!(serving);
    // The first poll opens the source: a folder that is not there is an error before any word of being ready.
    tokio::select! {
        biased;
        ended = &mut serving => return ended,
        () = std::future::ready(()) => println!("listening on {}", dwd_mirror::url(address)),
    }
    tokio::select! {
        ended = serving => ended,
        () = shutdown => Ok(()),
        () = stdin_closes(), if flags.until_stdin_closes => Ok(()),
    }
}

fn write_stations(path: &Path, options: &Options) -> Result<()> {
    let Source::MadeUp(made_up) = &options.source else {
        bail!("`--stations-csv` describes made-up stations: add `--stations N`");
    };
    let remedy = || format!("cannot write `{}`: make its folder, or give another `--stations-csv`", path.display());
    std::fs::write(path, dwd_mirror::stations_csv(made_up)).with_context(remedy)
}

/// Done at SIGINT or SIGTERM. Requests under way are not waited for.
fn told_to_end() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Done when standard input is at its end. A thread waits for it, since such a read cannot be given up; it ends with the
/// process.
async fn stdin_closes() {
    let (closed, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read is as good as closed, and nobody may be left to be told.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    // The thread always answers.
    let _ = told.await;
}
