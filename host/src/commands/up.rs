//! `isobar up`: opens the data, starts the functions, serves the API, and ends in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{build, given, rendered};
use crate::app::{self, App, Plan, Prepared};
use crate::bindings::tables::load;
use crate::cli::UpArgs;
use crate::console::dashboard;
use crate::console::view::View;
use crate::console::{self, Listening};
use crate::deploys::Settings;
use crate::dispatch::{Progress, rereads};
use crate::embedded::{Folder, Kind};
use crate::manifest::Demo;
use crate::manifest::variables::resolve;
use crate::{demo, ui};

/// How often `--until-idle` looks whether everything has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often the state of things is told while nobody looks at a terminal's spinner.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The demo's own folder, below the data folder.
const DEMO_FOLDER: &str = "demo-files";

/// Runs the application until it is told to stop, or with `--until-idle` until there is nothing left to do.
///
/// # Errors
/// Whatever keeps it from running.
pub async fn run(args: UpArgs) -> anyhow::Result<()> {
    let manifest = super::manifest_text(&args.manifest.manifest)?;
    let (application, root) = super::manifest(&args.manifest.manifest)?;
    let config = super::config(args.config.config.as_deref())?;
    if args.build {
        build::build(&application, &root)?;
    }
    let data_dir = args.data.folder();
    let kind = if args.data.demo { Kind::MadeUp } else { Kind::Real };
    let mut cron = BTreeMap::new();
    let mut values = given(&application, &args.variables.variables);
    let declared = application.demo.clone().filter(|_| args.data.demo);
    anyhow::ensure!(
        !args.data.demo || declared.is_some(),
        "`{}` declares no demo; add [application.trigger.isobar.demo], or leave `--demo` out",
        args.manifest.manifest.display()
    );
    let running = match &declared {
        Some(declared) => {
            // Before the demo writes into it: it may be another host's, or hold real data. A new one becomes private.
            let _held = Folder::take(&data_dir, kind)?;
            Some(start_demo(declared, &root, &data_dir, args.build).await?)
        }
        None => None,
    };
    if let (Some(declared), Some(running)) = (&declared, &running) {
        cron.clone_from(&declared.cron);
        for (name, value) in &declared.variables {
            values.entry(name.clone()).or_insert_with(|| running.fill(value));
        }
    }
    // Said with the lines of the file; what runs may be another manifest.
    resolve(&application, &values)
        .map_err(|problems| anyhow::anyhow!(rendered(&problems, &args.manifest.manifest).join("\n")))?;
    let settings = Settings { values, cron, config, ..Settings::default() };
    let prepared = app::prepare(Plan { manifest, root, data_dir, kind, settings }).await?;
    if let (Some(declared), Some(running)) = (&declared, &running) {
        load_files(&prepared, declared, running).await?;
    }
    let ended = run_prepared(prepared, args.listen, args.until_idle, std::future::pending()).await;
    if let Some(running) = running {
        running.stop().await;
    }
    ended
}

/// Runs what was prepared, until it is told to stop, `gone` ends, or there is nothing left to do where that is `wanted_idle`.
///
/// # Errors
/// Whatever keeps it from running.
pub(crate) async fn run_prepared(
    mut prepared: Prepared,
    listen: Option<SocketAddr>,
    wanted_idle: bool,
    gone: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let root = prepared.root().to_owned();
    std::mem::take(&mut prepared.news).into_iter().for_each(ui::say);
    let listening = Listening { here: listen, console: prepared.console().clone(), ..Listening::default() };
    console::check(&prepared.store, &listening.console).await?;
    let app = prepared.start().await?;
    let ended = serve(&app, &root, listening, wanted_idle, gone).await;
    app.stop().await;
    ended
}

async fn start_demo(demo: &Demo, root: &Path, data_dir: &Path, with_build: bool) -> anyhow::Result<demo::Running> {
    if let Some(command) = demo.build.as_ref().filter(|_| with_build) {
        build::shell("the demo", command, root)?;
    }
    ui::warn("this is a demo: its data are made up");
    demo::Running::start(demo, root, &data_dir.join(DEMO_FOLDER)).await
}

async fn load_files(prepared: &Prepared, declared: &Demo, running: &demo::Running) -> anyhow::Result<()> {
    for (name, file) in &declared.load {
        let path = PathBuf::from(running.fill(file));
        let application = prepared.store.application();
        let table = application.tables.get(name).with_context(|| format!("the demo loads unknown table `{name}`"))?;
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let rows = load::read(table, &bytes).map_err(|e| anyhow::anyhow!("`{}`: {e}", path.display()))?;
        rereads::load(&prepared.store, prepared.cluster.as_ref(), name, rows).await?;
    }
    Ok(())
}

async fn serve(
    app: &App,
    root: &Path,
    listening: Listening,
    wanted_idle: bool,
    gone: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let progress = Arc::clone(app.dispatcher.progress());
    let view = View::new(Arc::clone(&app.store), Some(app.running())).with_log(app.cluster.clone());
    let dashboard = dashboard::read(root, &view.application()).unwrap_or_else(|error| {
        ui::warn(format_args!("{error:#}"));
        None
    });
    let view = Arc::new(view.with_dashboard(dashboard));
    let serving = console::serve(view, listening, shutdown.clone()).await?;
    ui::say(format_args!(
        "isobar is up: http://{}  (data in `{}`)",
        serving.address,
        app.store.folder().path().display()
    ));
    if let Some(public) = serving.public {
        ui::say(format_args!("others reach it at {public}"));
    }
    if let Some(warning) = &serving.warning {
        ui::warn(warning);
    }
    // What is not shown to a person is kept somewhere, and the link lets whoever reads it in.
    match ui::is_talking_to_a_person() {
        true => ui::say(format_args!("open it, once: {}", serving.link)),
        false => ui::say("`isobar open` prints a link that signs a browser in"),
    }
    let ended = tokio::select! {
        told = told_to_stop() => told,
        ended = until_idle(&progress, wanted_idle) => ended,
        () = gone => Ok(()),
        () = tell(&progress) => Ok(()),
    };
    shutdown.cancel();
    serving.task.await.context("the API ended badly")?;
    ended
}

async fn told_to_stop() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    ui::say("stopping: running batches are committed first");
    Ok(())
}

async fn until_idle(progress: &Progress, wanted: bool) -> anyhow::Result<()> {
    if !wanted {
        return std::future::pending().await;
    }
    while !progress.idle() {
        if let Some(reasons) = progress.stuck() {
            anyhow::bail!(reasons);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    ui::say(summary(progress));
    Ok(())
}

/// Tells a person now and then how far things are; never ends.
async fn tell(progress: &Progress) {
    if !ui::is_talking_to_a_person() {
        return std::future::pending().await;
    }
    let mut last = String::new();
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let now = summary(progress);
        if now != last {
            ui::say(&now);
            last = now;
        }
    }
}

fn summary(progress: &Progress) -> String {
    let mut records: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    for source in progress.sources().into_iter().filter(|s| !s.scheduled) {
        let (handled, lag) = records.entry(source.function).or_default();
        *handled += source.records;
        *lag += source.lag;
    }
    let told = records.iter().map(|(function, (handled, lag))| format!("{function} {handled} (lag {lag})"));
    format!("records handled: {}", told.collect::<Vec<_>>().join(", "))
}
