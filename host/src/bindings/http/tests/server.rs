//! A server that answers each request with the same pieces, then holds the connection until the client closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A pause in milliseconds, and what is sent after it.
pub(super) type Piece = (u64, String);

pub(super) struct Server {
    pub(super) port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    pieces: Vec<Piece>,
    hits: AtomicUsize,
    at_once: AtomicBool,
}

impl Server {
    pub(super) async fn start(pieces: Vec<Piece>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { pieces, hits: AtomicUsize::new(0), at_once: AtomicBool::new(false) });
        let answering = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answering.hits.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(answer(stream, Arc::clone(&answering)));
            }
        });
        Server { port, shared, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connections so far.
    pub(super) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::Relaxed)
    }

    /// From now on it answers whatever is sent, without waiting for its end.
    pub(super) fn end_at_once(&self) {
        self.shared.at_once.store(true, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A whole response with `body`.
pub(super) fn closing(body: &str) -> Vec<Piece> {
    vec![(0, format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()))]
}

/// A piece of a chunked body; an empty one ends it.
pub(super) fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut request = Vec::new();
    while !is_whole(&request) && (!shared.at_once.load(Ordering::Relaxed) || request.is_empty()) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    for (pause, piece) in &shared.pieces {
        tokio::time::sleep(Duration::from_millis(*pause)).await;
        if stream.write_all(piece.as_bytes()).await.is_err() {
            return;
        }
    }
    while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
}

/// Whether head and body have arrived.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    match head.contains("transfer-encoding: chunked") {
        true => body.ends_with("0\r\n\r\n"),
        false => body.len() >= length.unwrap_or(0),
    }
}
