//! `isobar user`: people who sign in with a password.

use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;

use super::Outcome;
use super::reach::Reach;
use crate::cli::{ReadArgs, UserAddArgs, UserCommand, UserRemoveArgs};
use crate::console::answers::UserAsk;
use crate::console::passwords;
use crate::embedded::users::User;
use crate::ui;

/// Most bytes that are read as a password: far more than one may have.
const MOST_READ: u64 = 4096;

/// Adds, lists, takes away, or makes a hash.
///
/// # Errors
/// When there are no data, or what is asked for cannot be done.
pub async fn run(command: &UserCommand) -> anyhow::Result<Outcome> {
    match command {
        UserCommand::Add(args) => add(args).await,
        UserCommand::List(args) => list(args).await,
        UserCommand::Remove(args) => remove(args).await,
        UserCommand::Hash => {
            ui::line(passwords::hash(&password()?)?)?;
            Ok(Outcome::Done)
        }
    }
}

async fn add(args: &UserAddArgs) -> anyhow::Result<Outcome> {
    // While somebody types, the folder is nobody's.
    let hash = passwords::hash(&password()?)?;
    let reach = Reach::open(&args.place).await?;
    let roles = args.role.iter().map(ToString::to_string).collect();
    let added = reach.add_user(&UserAsk { name: args.name.clone(), roles, hash }).await;
    reach.close().await;
    let User { name, roles, .. } = added?;
    ui::say(format_args!("`{name}` is {} now, and signs in with the password", roles.join(", ")));
    Ok(Outcome::Done)
}

async fn list(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let users = reach.users().await;
    reach.close().await;
    let users = users?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&users)?)?;
        return Ok(Outcome::Done);
    }
    let row = |user: &User| [user.name.clone(), user.roles.join(", "), ui::time(user.created_ms)];
    ui::line(ui::table(["NAME", "ROLES", "ADDED"], users.iter().map(row)))?;
    Ok(Outcome::Done)
}

async fn remove(args: &UserRemoveArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let removed = reach.remove_user(&args.name).await;
    reach.close().await;
    removed?;
    ui::say(format_args!("`{}` cannot sign in any more, and is signed out", args.name));
    Ok(Outcome::Done)
}

/// A new password: typed twice where somebody sits there, else all of stdin but the end of its line.
fn password() -> anyhow::Result<String> {
    let password = match std::io::stdin().is_terminal() {
        true => typed()?,
        false => {
            let mut text = String::new();
            std::io::stdin()
                .take(MOST_READ)
                .read_to_string(&mut text)
                .context("cannot read the password from stdin")?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    passwords::fits(&password)?;
    Ok(password)
}

fn typed() -> anyhow::Result<String> {
    let ask = |prompt| rpassword::prompt_password(prompt).context("cannot ask for the password");
    let password = ask("Password: ")?;
    anyhow::ensure!(ask("Again: ")? == password, "the two passwords differ; try again");
    Ok(password)
}
