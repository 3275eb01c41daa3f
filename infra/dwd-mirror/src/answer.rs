//! How a path is answered: a listing, a file with its version and ranges, or what a rule makes of them. What there is
//! to serve comes from `shelf`.

use crate::conditional::{Part, Version};
use crate::misbehave::{self, Kind, Rule};
use crate::page::listing;
use crate::server::Server;
use crate::shelf::{File, Found};
use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use std::ops::Range;
use std::time::Duration;

/// Pieces in which a slow body drips.
const DRIPS: usize = 8;
/// Seconds by which a changed file is newer than the listing says.
const CHANGED_LATER: i64 = 60;
/// A path is a few short names; a longer one leads nowhere.
const MAX_PATH: usize = 512;

impl Server {
    pub(crate) async fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Response> {
        let Some(parts) = parts(path) else { return Ok(StatusCode::NOT_FOUND.into_response()) };
        let rule = self.rules.take(path);
        let kind = rule.as_ref().map(|rule| rule.kind);
        match kind {
            Some(Kind::Status500) => return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Some(Kind::MissingFolder) => return Ok(StatusCode::NOT_FOUND.into_response()),
            _ => {}
        }
        match self.shelf.find(&parts, self.clock.published()).await? {
            Found::Folder(entries) if path.ends_with('/') => {
                let shown = if kind == Some(Kind::EmptyListing) { &[] } else { entries.as_slice() };
                let page = Bytes::from(listing(path, shown));
                let about = [(CONTENT_TYPE, "text/html".to_owned()), (CONTENT_LENGTH, page.len().to_string())];
                Ok((about, body(page, rule.as_ref())).into_response())
            }
            Found::Folder(_) => Ok((StatusCode::MOVED_PERMANENTLY, [(LOCATION, format!("{path}/"))]).into_response()),
            Found::File(file) if !path.ends_with('/') => self.file(file, rule.as_ref(), headers).await,
            Found::File(_) | Found::Nothing => Ok(StatusCode::NOT_FOUND.into_response()),
        }
    }

    async fn file(&self, file: File, rule: Option<&Rule>, headers: &HeaderMap) -> Result<Response> {
        let offered = self.offer(file, rule.map(|rule| rule.kind)).await?;
        let version = offered.version;
        let (status, range) = match version.part(headers) {
            Part::NotModified => return Ok((StatusCode::NOT_MODIFIED, about(&version)).into_response()),
            Part::OutOfRange => {
                let size = format!("bytes */{}", version.size);
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, size)]).into_response());
            }
            Part::Whole => (StatusCode::OK, 0..version.size),
            Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        };
        let Range { start, end } = range;
        let bytes = match offered.content {
            Offer::Ready(bytes) => bytes,
            Offer::Later(file) => self.shelf.load(file).await?,
        };
        let bytes = bytes.slice(usize::try_from(start)?..usize::try_from(end)?);
        let length = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, bytes.len().to_string())];
        let mut response = (status, about(&version), length, body(bytes, rule)).into_response();
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {start}-{}/{}", end - 1, version.size);
            response.headers_mut().insert(CONTENT_RANGE, range.parse()?);
        }
        Ok(response)
    }

    /// The version to offer; a rule that spoils the bytes needs them at once, else they wait for a client that lacks
    /// them.
    async fn offer(&self, file: File, kind: Option<Kind>) -> Result<Offered> {
        let version = Version::new(file.modified, file.size);
        let spoil = match kind {
            Some(Kind::ChangedFile) => misbehave::changed,
            Some(Kind::Truncated) => misbehave::truncated,
            Some(Kind::Corrupt) => misbehave::corrupt,
            _ => return Ok(Offered { version, content: Offer::Later(file) }),
        };
        let bytes = Bytes::from(spoil(self.shelf.load(file).await?.into()));
        let size = bytes.len() as u64;
        let version = match kind {
            Some(Kind::ChangedFile) => Version::new(version.modified + CHANGED_LATER, size),
            _ => Version { size, ..version },
        };
        Ok(Offered { version, content: Offer::Ready(bytes) })
    }
}

struct Offered {
    version: Version,
    content: Offer,
}

enum Offer {
    Ready(Bytes),
    Later(File),
}

fn about(version: &Version) -> [(HeaderName, String); 3] {
    [(ETAG, version.etag.clone()), (LAST_MODIFIED, version.last_modified()), (ACCEPT_RANGES, "bytes".to_owned())]
}

/// The names of a path; None for anything but plain names, so that none leads out of a folder.
fn parts(path: &str) -> Option<Vec<&str>> {
    let is_plain = |part: &str| {
        !part.starts_with('.') && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let within = path.strip_prefix('/').filter(|_| path.len() <= MAX_PATH)?;
    let within = within.strip_suffix('/').unwrap_or(within);
    if path == "/" {
        return Some(Vec::new());
    }
    within.split('/').map(|part| Some(part).filter(|part| !part.is_empty() && is_plain(part))).collect()
}

/// The bytes as they go out: whole, cut off half way, or dripping.
fn body(bytes: Bytes, rule: Option<&Rule>) -> Body {
    match rule.map(|rule| (rule.kind, rule.ms)) {
        Some((Kind::CutBody, _)) => {
            let half = bytes.slice(..bytes.len() / 2);
            let cut = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "cut on request");
            // The pause lets the first half leave before the connection ends.
            Body::from_stream(stream::unfold(Some((half, Some(cut))), |left| async {
                match left? {
                    (half, Some(cut)) if !half.is_empty() => Some((Ok(half), Some((Bytes::new(), Some(cut))))),
                    (_, cut) => {
                        tokio::time::sleep(CUT_PAUSE).await;
                        Some((Err(cut?), None))
                    }
                }
            }))
        }
        Some((Kind::Slow, ms)) => {
            let piece = bytes.len().div_ceil(DRIPS).max(1);
            let pause = Duration::from_millis(ms) / DRIPS as u32;
            Body::from_stream(stream::unfold(bytes, move |mut left| async move {
                if left.is_empty() {
                    return None;
                }
                tokio::time::sleep(pause).await;
                let drip = left.split_to(piece.min(left.len()));
                Some((Ok::<_, std::io::Error>(drip), left))
            }))
        }
        _ => Body::from(bytes),
    }
}

/// Between the first half of a cut body and the end of its connection.
const CUT_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_lead_anywhere() {
        assert_eq!(parts("/"), Some(vec![]));
        assert_eq!(parts("/a/b.zip"), Some(vec!["a", "b.zip"]));
        assert_eq!(parts("/a/b/"), Some(vec!["a", "b"]));
        for path in ["", "a", "//", "/../a", "/a/../b", "/a//b", "/.git", "/%2e%2e/a", "/a b", "/a\\b"] {
            assert_eq!(parts(path), None, "{path}");
        }
        assert_eq!(parts(&format!("/{}", "a".repeat(MAX_PATH))), None);
    }
}
