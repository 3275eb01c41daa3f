//! `isobar open`: a link that signs a browser in at the running host, once.

use super::Outcome;
use super::reach::Reach;
use crate::cli::ReadArgs;
use crate::ui;

/// Prints it.
///
/// # Errors
/// When no host runs, or it cannot be asked.
pub async fn run(args: &ReadArgs) -> anyhow::Result<Outcome> {
    let reach = Reach::open(&args.place).await?;
    let made = reach.link().await;
    reach.close().await;
    let link = made?;
    match args.json {
        true => ui::line(serde_json::json!({ "link": link }))?,
        false => ui::line(link)?,
    }
    Ok(Outcome::Done)
}
