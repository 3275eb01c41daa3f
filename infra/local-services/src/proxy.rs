//! A connection between a test and a service that misbehaves when told to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How soon a connection notices that it is to behave otherwise.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const BUFFER_BYTES: usize = 16 * 1024;

/// How connections behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// As they should.
    Good,
    /// Everything takes so much longer.
    Slow(Duration),
    /// They end, and new ones end at once.
    Cut,
    /// Nothing comes through, and nobody says so.
    Silent,
}

/// Passes on what comes to its address.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

impl Proxy {
    /// One that passes everything on to `service`, `host:port`.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let line = Arc::new(Mutex::new(Line::Good));
        let (service, shared) = (service.to_owned(), Arc::clone(&line));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that is dropped sees the end of its connection.
                let Ok(server) = TcpStream::connect(&service) else { continue };
                for (from, to) in [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))] {
                    if let (Ok(from), Ok(to)) = (from, to) {
                        let line = Arc::clone(&shared);
                        std::thread::spawn(move || pump(from, to, &line));
                    }
                }
            }
        });
        Proxy { address, line }
    }

    /// `host:port` to connect to.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Says how connections behave from now on.
    pub fn set(&self, line: Line) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

/// One direction of one connection, until it ends.
fn pump(mut from: TcpStream, mut to: TcpStream, line: &Mutex<Line>) {
    let now = || *line.lock().unwrap_or_else(PoisonError::into_inner);
    let mut buffer = [0; BUFFER_BYTES];
    if from.set_read_timeout(Some(LOOK_EVERY)).is_ok() {
        loop {
            let read = from.read(&mut buffer);
            while now() == Line::Silent {
                std::thread::sleep(LOOK_EVERY);
            }
            match (now(), read) {
                (Line::Cut, _) | (_, Ok(0)) => break,
                (_, Err(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                (_, Err(_)) => break,
                (now, Ok(count)) => {
                    if let Line::Slow(wait) = now {
                        std::thread::sleep(wait);
                    }
                    if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                        break;
                    }
                }
            }
        }
    }
    // The other side may have ended before.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
