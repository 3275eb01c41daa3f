//! What crawl needs of the world beside its state: a server to ask, topics to send to, and someone to tell. The component
//! fills it in with the host's imports, the tests with a made-up server.

use isobar_guest::types::Packed;
use observation::State;

/// A GET request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The whole address.
    pub url: String,
    /// `If-None-Match`.
    pub etag: Option<String>,
    /// `If-Modified-Since`, as the server wrote it.
    pub modified_since: Option<String>,
    /// A body of more bytes is an error.
    pub limit: usize,
}

/// The answer to a request, whatever its status. The body is what came, whole or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// A topic that crawl publishes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `temperature`.
    Temperature,
    /// `others`.
    Others,
}

/// The world beside crawl. What it puts and sends takes effect only when the run succeeds.
pub trait Outside: State {
    /// Asks a server. An error says in words why there was no answer, a body cut short by the connection included.
    fn get(&mut self, request: Request) -> impl Future<Output = Result<Response, String>>;
    /// Publishes records, keyed by the station's five digits.
    ///
    /// # Errors
    /// Why the host did not take them.
    fn send(&mut self, topic: Topic, keys: &Packed, values: &Packed) -> Result<(), String>;
    /// Tells the operator something that concerns no failure of the run.
    fn say(&mut self, line: &str);
}
