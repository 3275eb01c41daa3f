//! `isobar plugin`: this program as a plugin of Spin.

use super::Outcome;
use crate::cli::{PackageArgs, PluginCommand};
use crate::spin::plugin;
use crate::ui;

/// Installs or packs it.
///
/// # Errors
/// When files cannot be read or written.
pub fn run(command: &PluginCommand) -> anyhow::Result<Outcome> {
    match command {
        PluginCommand::Install => {
            let place = plugin::install()?;
            ui::say(format_args!("`{}`: `spin up` runs triggers of type `isobar` by it", place.display()));
        }
        PluginCommand::Package(PackageArgs { output, url }) => {
            let package = plugin::package(output, url.as_deref())?;
            ui::say(format_args!("`{}` is the archive", package.archive.display()));
            ui::say(format_args!(
                "`{0}` is its manifest: `spin plugins install --file {0} --yes`",
                package.manifest.display()
            ));
        }
    }
    Ok(Outcome::Done)
}
