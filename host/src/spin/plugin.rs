//! The trigger as a plugin of Spin: packed into an archive with its manifest, and put where `spin` looks.

use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use url::Url;

use super::NAME;
use crate::embedded::versions::digest_of;

/// Versions of Spin whose protocol this is.
const SPIN: &str = ">=3.0";
const EXECUTABLE: u32 = 0o755;

/// An archive and the manifest that names it.
#[derive(Debug)]
pub struct Package {
    /// The archive.
    pub archive: PathBuf,
    /// The manifest, for `spin plugins install --file`.
    pub manifest: PathBuf,
}

/// Packs this program as a plugin into `folder`; `url` is where the archive will be had, else where it is.
///
/// # Errors
/// When this program cannot be read, or the folder cannot be written.
pub fn package(folder: &Path, url: Option<&str>) -> anyhow::Result<Package> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("cannot find `{}`", folder.display()))?;
    let version = env!("CARGO_PKG_VERSION");
    let archive = folder.join(format!("{NAME}-{version}-{OS}-{}.tar.gz", arch()));
    pack(&archive).with_context(|| format!("cannot write `{}`", archive.display()))?;
    let packed = fs::read(&archive).with_context(|| format!("cannot read `{}`", archive.display()))?;
    let here = Url::from_file_path(&archive).map_err(|()| anyhow::anyhow!("`{}` is no path", archive.display()))?;
    let url = url.map_or_else(|| here.to_string(), str::to_owned);
    let manifest = folder.join(format!("{NAME}.json"));
    write(&manifest, &described(&url, &digest_of(&packed)))?;
    Ok(Package { archive, manifest })
}

/// Puts this program where Spin looks for plugins; gives where that is.
///
/// # Errors
/// When this program cannot be read, or Spin's folder cannot be written.
pub fn install() -> anyhow::Result<PathBuf> {
    let root = plugins().context("there is no home folder; set `SPIN_DATA_DIR` to Spin's folder")?;
    let (folder, manifests) = (root.join(NAME), root.join("manifests"));
    for made in [&folder, &manifests] {
        fs::create_dir_all(made).with_context(|| format!("cannot make `{}`", made.display()))?;
    }
    let (program, place) = (program()?, folder.join(NAME));
    // Whole or not at all, and also while the old one runs.
    let unfinished = folder.join(format!("{NAME}.unfinished"));
    fs::copy(&program, &unfinished)
        .and_then(|_| fs::rename(&unfinished, &place))
        .with_context(|| format!("cannot write `{}`", place.display()))?;
    let here = Url::from_file_path(&place).map_err(|()| anyhow::anyhow!("`{}` is no path", place.display()))?;
    let bytes = fs::read(&place).with_context(|| format!("cannot read `{}`", place.display()))?;
    write(&manifests.join(format!("{NAME}.json")), &described(here.as_str(), &digest_of(&bytes)))?;
    Ok(place)
}

fn pack(archive: &Path) -> anyhow::Result<()> {
    let file = File::options().create(true).truncate(true).write(true).mode(0o644).open(archive)?;
    let mut files = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let mut program = File::open(program()?)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(program.metadata()?.len());
    header.set_mode(EXECUTABLE);
    files.append_data(&mut header, NAME, &mut program)?;
    files.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// A plugin's manifest as Spin reads it.
fn described(url: &str, sha256: &str) -> Value {
    json!({
        "name": NAME,
        "description": "Runs WebAssembly components as functions on event streams and schedules; a batch is a transaction.",
        "version": env!("CARGO_PKG_VERSION"),
        "spinCompatibility": SPIN,
        "license": "Apache-2.0",
        "packages": [{ "os": OS, "arch": arch(), "url": url, "sha256": sha256 }],
    })
}

fn write(path: &Path, manifest: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(manifest)?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write `{}`", path.display()))
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program cannot be found")
}

/// Where Spin keeps plugins.
fn plugins() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_user = || set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let root = set("SPIN_DATA_DIR").or_else(|| Some(of_user()?.join("spin")))?;
    Some(root.join("plugins"))
}

/// The processor as Spin names it.
fn arch() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}
