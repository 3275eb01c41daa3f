//! What a command must know to speak to the running host: its address and a token, in a file that only its owner reads.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};

use crate::manifest::declaration::hex;

/// The file's name in the data folder.
const FILE: &str = "api.json";
/// Bytes of randomness in a token: beyond guessing.
const TOKEN_BYTES: usize = 32;

/// Where a host listens and what it wants to hear.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Its address.
    pub address: SocketAddr,
    /// What stands behind `Authorization: Bearer`.
    pub token: String,
}

impl Access {
    /// A new token for a host at `address`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Access { address, token: random_token()? })
    }

    /// What the data folder says; none where it says nothing that can be read.
    #[must_use]
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(data_dir)).ok()?).ok()
    }

    /// Puts it into the data folder, whole or not at all, readable to its owner only.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = path(data_dir);
        let new = path.with_extension("json.new");
        let written = self.write_new(&new).and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("cannot write `{}`", path.display()))
    }

    fn write_new(&self, path: &Path) -> std::io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())
    }

    /// Takes it out of the data folder. One that stays behind is not believed: who asks
    /// looks first whether a host holds the folder.
    pub fn remove(data_dir: &Path) {
        let _ = fs::remove_file(path(data_dir));
    }

    /// Whether `given` is the token, in a time that does not tell how much of it is right.
    #[must_use]
    pub fn is_token(&self, given: &str) -> bool {
        let differ = |d: u8, (a, b): (u8, u8)| d | (a ^ b);
        given.len() == self.token.len() && self.token.bytes().zip(given.bytes()).fold(0, differ) == 0
    }
}

/// A new token, in hex.
///
/// # Errors
/// When the system has no randomness.
pub(super) fn random_token() -> anyhow::Result<String> {
    let mut random = [0; TOKEN_BYTES];
    SysRng.try_fill_bytes(&mut random).context("the system gives no randomness for a token")?;
    Ok(hex(&random))
}

/// Whether a text looks like a token.
pub(super) fn is_token(text: &str) -> bool {
    text.len() == 2 * TOKEN_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_only_by_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let access = Access::new("127.0.0.1:3000".parse().unwrap()).unwrap();
        fs::write(dir.path().join("api.json.new"), "left over").unwrap();
        access.write(dir.path()).unwrap();
        access.write(dir.path()).unwrap();
        assert!(Access::read(dir.path()) == Some(access.clone()));
        assert_eq!(fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
        Access::remove(dir.path());
        assert!(Access::read(dir.path()).is_none());
    }

    #[test]
    fn tokens_differ_and_only_the_whole_one_is_taken() {
        let address = "127.0.0.1:3000".parse().unwrap();
        let (a, b) = (Access::new(address).unwrap(), Access::new(address).unwrap());
        assert_eq!(a.token.len(), 64);
        assert!(a.is_token(&a.token.clone()));
        assert!(!a.is_token(&b.token) && !a.is_token("") && !a.is_token(&a.token[1..]));
    }
}
