//! The web page that the host serves: files that are built from `console/` and kept in `host/page`, whoever asks; what they show
//! comes from the API, which asks who it is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use include_dir::{Dir, include_dir};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/page");
/// The page, which finds by its address what to show.
const INDEX: &str = "index.html";
/// Files whose names tell what is in them: they never change.
const LASTING: &str = "assets/";
/// What the page may do: nothing but to show what this host says.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file as it goes out.
struct File {
    plain: Bytes,
    packed: Bytes,
    kind: &'static str,
    lasts: bool,
}

static PAGE: LazyLock<BTreeMap<String, File>> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    collect(&FILES, &mut files);
    files
});

fn collect(dir: &Dir<'static>, files: &mut BTreeMap<String, File>) {
    for file in dir.files() {
        let name = file.path().to_string_lossy().into_owned();
        let plain = Bytes::from_static(file.contents());
        let (packed, kind, lasts) = (packed(&plain), kind(&name), name.starts_with(LASTING));
        files.insert(name, File { plain, packed, kind, lasts });
    }
    dir.dirs().for_each(|dir| collect(dir, files));
}

fn packed(plain: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    // Nothing but memory is written to.
    let _ = packer.write_all(plain);
    packer.finish().unwrap_or_default().into()
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

/// Answers with a file of the page, or with the page itself where the address is one of its own.
pub(super) async fn serve(request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let file = match PAGE.get(path) {
        Some(file) => Some(file),
        None if path.starts_with(LASTING) => None,
        None => PAGE.get(INDEX),
    };
    match file {
        Some(file) => answer(file, request.headers()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Packs the files, so that the first who asks need not wait for it.
pub(super) fn pack() {
    LazyLock::force(&PAGE);
}

fn answer(file: &File, asked: &HeaderMap) -> Response {
    let takes = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_packed = takes.split(',').any(is_gzip);
    let body = if is_packed { &file.packed } else { &file.plain };
    let mut response = Response::new(Body::from(body.clone()));
    let headers = response.headers_mut();
    let lasts = if file.lasts { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(lasts));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether one of the codings that are accepted is gzip; with the weight 0 it is named to be refused.
fn is_gzip(coding: &str) -> bool {
    let (name, weight) = coding.split_once(';').map_or((coding, None), |(name, weight)| (name, Some(weight)));
    let weight = weight.and_then(|weight| weight.trim().strip_prefix("q=")?.parse::<f32>().ok());
    name.trim() == "gzip" && weight != Some(0.0)
}

/// Says to browsers what they may make of any answer of this host.
pub(super) fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
