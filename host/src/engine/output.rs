//! A guest's stdout and stderr: kept for the call's report, cut at a limit instead of failing the guest.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Where a guest writes; clones share the text.
#[derive(Debug, Clone)]
pub struct Output {
    kept: Arc<Mutex<Kept>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: usize,
}

impl Output {
    /// Keeps at the most so many bytes; what is beyond is counted and dropped.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Output { kept: Arc::default(), most }
    }

    /// The text written so far, leaving none; invalid UTF-8 is replaced, and a cut is said.
    #[must_use]
    pub fn take(&self) -> String {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let mut text = String::from_utf8_lossy(&kept.bytes).into_owned();
        if kept.dropped > 0 {
            text.push_str(&format!("\n[{} more bytes were cut]", kept.dropped));
        }
        text
    }

    /// A line of the host's among the guest's, kept within the same limit.
    pub fn say(&self, line: &str) {
        self.keep(line.as_bytes());
        self.keep(b"\n");
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.most.saturating_sub(kept.bytes.len()).min(bytes.len());
        kept.bytes.extend_from_slice(bytes.get(..room).unwrap_or_default());
        kept.dropped += bytes.len() - room;
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn output_beyond_the_limit_is_cut_and_said() {
        let output = Output::new(1000);
        let mut stream = Pin::from(output.async_stream());
        stream.write_all(&vec![b'x'; 1000]).await.unwrap();
        stream.write_all(b"more").await.unwrap();
        let text = output.take();
        assert!(text.ends_with("[4 more bytes were cut]"), "{}", &text[text.len() - 40..]);
        assert_eq!(output.take(), "");
    }
}
