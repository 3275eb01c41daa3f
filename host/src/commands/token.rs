//! `isobar token`: what programs show to the API.

use super::Outcome;
use super::reach::Reach;
use crate::cli::{ReadArgs, TokenCommand, TokenCreateArgs, TokenRevokeArgs};
use crate::console::answers::TokenAsk;
use crate::embedded::tokens::Token;
use crate::ui;

/// Makes, lists or takes away.
///
/// # Errors
/// When there are no data, or what is asked for cannot be done.
pub async fn run(command: &TokenCommand) -> anyhow::Result<Outcome> {
    match command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::List(args) => list(args).await,
        TokenCommand::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: &TokenCreateArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let ask = TokenAsk { name: args.name.clone(), scopes: args.may.clone(), days: args.days };
    let made = reach.create_token(&ask).await;
    reach.close().await;
    let made = made?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&made)?)?;
        return Ok(Outcome::Done);
    }
    ui::line(&made.secret)?;
    let Token { name, scopes, expires_ms, .. } = &made.token;
    ui::say(format_args!("token `{name}` may {} until {}", scopes.join(", "), ui::time(*expires_ms)));
    ui::hint(
        "it is shown this once; programs send it as `Authorization: Bearer …`, `isobar` takes it from `ISOBAR_TOKEN`",
    );
    Ok(Outcome::Done)
}

async fn list(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let tokens = reach.tokens().await;
    reach.close().await;
    let tokens = tokens?;
    if args.json {
        ui::line(serde_json::to_string_pretty(&tokens)?)?;
        return Ok(Outcome::Done);
    }
    let row = |token: &Token| {
        let expires = ui::time(token.expires_ms);
        [token.name.clone(), token.scopes.join(", "), ui::time(token.created_ms), expires]
    };
    ui::line(ui::table(["NAME", "MAY", "MADE", "GOOD UNTIL"], tokens.iter().map(row)))?;
    Ok(Outcome::Done)
}

async fn revoke(args: &TokenRevokeArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let revoked = reach.revoke_token(&args.name).await;
    reach.close().await;
    revoked?;
    ui::say(format_args!("token `{}` is not taken any more", args.name));
    Ok(Outcome::Done)
}
