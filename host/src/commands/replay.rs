//! `isobar replay` and `isobar deploy --rebuild`: a version runs over the past again, beside what was made of it, and takes over
//! with what it made where that is meant.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Outcome;
use super::deploy::{send, told};
use super::reach::Reach;
use super::shadow;
use crate::cli::ReplayArgs;
use crate::console::answers::{DeployWay, PromoteAsk, ReplayAsk, ShadowAsk};
use crate::delivery::outcome::{PUBLISHED, is_own};
use crate::deploys::Taken;
use crate::embedded::past::Part;
use crate::registry::short;
use crate::shadows::Comparison;
use crate::ui;

/// How often it is looked how far a replay has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long it may take for what came while it was on its way.
const LONGEST_PRESENT: Duration = Duration::from_secs(30);

/// What is to be done with what a replay makes.
pub(super) struct Wish {
    /// Whether it is to take over.
    pub(super) applies: bool,
    /// Whether that is not asked any more.
    pub(super) is_sure: bool,
    /// How it is shown.
    pub(super) shown: ShadowAsk,
    /// As JSON.
    pub(super) json: bool,
}

/// Runs a version over the past again.
///
/// # Errors
/// Why it cannot be done; nothing has changed then.
pub async fn run(args: &ReplayArgs) -> anyhow::Result<Outcome> {
    let shown = ShadowAsk { differences: Some(args.differences), sensitive: args.sensitive, brief: false };
    can_ask(args.apply, args.yes)?;
    let wish = Wish { applies: args.apply, is_sure: args.yes, shown, json: args.json };
    let sent = match args.candidate {
        true => {
            let way = DeployWay::Compare(Part { from: args.from, to: args.to });
            send(&args.of.place, &BTreeSet::from([args.of.function.clone()]), false, way).await?.into_iter().next()
        }
        false => None,
    };
    let reach = Reach::open(&args.of.place).await?;
    let ask = ReplayAsk { version: args.version.clone(), from: args.from, to: args.to, apply: args.apply };
    let done = async {
        let taken = match sent {
            Some(taken) => taken,
            None => reach.replay(&args.of.function, &ask).await?,
        };
        see_through(&reach, &taken, &wish).await
    };
    let done = done.await;
    reach.close().await;
    done
}

/// Waits until a replay that has begun has come to the present, says what it made, and lets it take over or ends it.
pub(super) async fn see_through(reach: &Reach, taken: &Taken, wish: &Wish) -> anyhow::Result<Outcome> {
    let seen = decide(reach, taken, wish).await;
    if seen.is_err() {
        // What went wrong counts; where there is no host any more, there is nothing to end.
        let _ = reach.drop_shadow(&taken.function).await;
    }
    seen
}

/// Refuses to begin where nobody could be asked in the end.
pub(super) fn can_ask(applies: bool, is_sure: bool) -> anyhow::Result<()> {
    anyhow::ensure!(
        !applies || is_sure || ui::can_ask(),
        "nobody can be asked here\n  hint: say `--yes` if it is to be done in any case"
    );
    Ok(())
}

async fn decide(reach: &Reach, taken: &Taken, wish: &Wish) -> anyhow::Result<Outcome> {
    let function = &taken.function;
    wait(reach, function).await?;
    let comparison = reach.shadow(function, &wish.shown).await?;
    if wish.json {
        ui::line(serde_json::to_string_pretty(&comparison)?)?;
    } else {
        for line in shadow::told(&comparison) {
            ui::line(line)?;
        }
        judge(&comparison);
    }
    let version = short(&taken.version);
    let agreed = wish.applies && (wish.is_sure || ui::confirm(&question(&comparison, version))?);
    anyhow::ensure!(agreed || !wish.applies, "nothing was changed");
    if !agreed {
        reach.drop_shadow(function).await?;
        return Ok(Outcome::Done);
    }
    let taken = reach.promote(function, &PromoteAsk { allow_differences: None }).await?;
    if !wish.json {
        match taken.before.as_ref() == Some(&taken.version) {
            true => ui::say(format_args!("`{function}`: what version {version} makes of the past has been written")),
            false => ui::say(told(&taken)),
        }
    }
    Ok(Outcome::Done)
}

async fn wait(reach: &Reach, function: &str) -> anyhow::Result<()> {
    let ask = ShadowAsk { brief: true, ..ShadowAsk::default() };
    let (mut all, mut arrived) = (0, None);
    let bar = ui::records(format!("replaying `{function}`"));
    loop {
        let Comparison { behind, past, ended, .. } = reach.shadow(function, &ask).await?;
        if let Some(reason) = ended {
            anyhow::bail!("the replay of `{function}` has ended: {reason}");
        }
        // While it goes on, more may come.
        all = all.max(behind);
        bar.set_length(all);
        bar.set_position(all - behind);
        let present = (!past).then(|| *arrived.get_or_insert_with(Instant::now));
        // Where more comes all the time, it need not come to the end of it.
        if behind == 0 || present.is_some_and(|since| since.elapsed() > LONGEST_PRESENT) {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Says what differences may come from.
fn judge(comparison: &Comparison) {
    if comparison.differing == 0 {
        ui::say("everything that it made is as it was made before");
    } else if comparison.of_part {
        ui::hint(
            "it knows nothing of records before and after the part: what is made of those, too, differs by that alone",
        );
    } else if comparison.beside_others {
        ui::hint(
            "other hosts went on while the tables were read: rows and records that they wrote meanwhile differ by that alone",
        );
    } else if comparison.reads_others {
        ui::hint("it reads tables that others write, as they are now: what it read may have changed");
    } else if comparison.same_version {
        ui::warn("the same version made something else of the same records: it does not depend on them alone");
    }
    if comparison.tables.iter().any(|table| table.hidden) {
        ui::hint("values that are sensitive are left out; `--sensitive` shows them");
    }
}

fn question(comparison: &Comparison, version: &str) -> String {
    let rows = || comparison.tables.iter().filter(|table| !is_own(&table.table));
    let added: u64 = rows().map(|table| table.only_shadow).sum();
    let gone: u64 = rows().map(|table| table.only_charge).sum();
    let changed = rows().map(|table| table.differing).sum::<u64>() - added - gone;
    let published = comparison.tables.iter().filter(|table| table.table == PUBLISHED);
    let published: u64 = published.map(|table| table.differing - table.only_charge).sum();
    format!(
        "put version {version} of `{}` in charge with what it made: add {}, change {changed}, delete {gone}, publish {}?",
        comparison.function,
        ui::count(added, "row"),
        ui::count(published, "record"),
    )
}
