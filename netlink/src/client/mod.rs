//! The client: one connection, many requests at once.

mod admin;
mod data;
mod link;
mod show;
mod subscription;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use self::link::Link;
use crate::address::Address;
use crate::attr::{Fault, Reader, Writer};
use crate::conn::client::{Answer, family_lookup, read_family};
use crate::error::Error;
use crate::family::{self, Command, control};
use crate::transport::{End, MemoryEnd, NetlinkEnd, UnixEnd};

pub use subscription::{Feed, Subscription};

/// Where decoded messages go, a line each; keys are shown by their length only.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// Time-out of a request unless another is set.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// How often a dump is asked for anew when the table changed under it.
const DUMP_ATTEMPTS_MAX: usize = 4;

/// A connection to a server. Clones share it; any number of requests may be under way. The connection ends when the
/// last clone and the last subscription are dropped.
///
/// # Cancel safety
/// Every call may be dropped at any time. A request that was sent may still be carried out.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    family: u16,
    epoch: u32,
    timeout: Duration,
}

struct Shared {
    link: Arc<Link>,
    reader: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("epoch", &self.epoch).field("closed", &self.is_closed()).finish()
    }
}

impl Client {
    /// Connects, resolves the family and learns the epoch.
    ///
    /// # Errors
    /// [`Error::NoServer`] when nobody answers there, [`Error::Version`] when it speaks another version.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        Self::connect_with(address, TIMEOUT_DEFAULT, None).await
    }

    /// The same with a time-out of one's own, and with a trace that sees the very first message.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with(
        address: &Address,
        timeout: Duration,
        trace: Option<Trace>,
    ) -> Result<Self, Error> {
        let no_server = |reason: String| Error::NoServer { address: address.to_string(), reason };
        let end = match address {
            Address::Unix(path) => {
                UnixEnd::connect(path).map(End::Unix).map_err(|error| no_server(error.to_string()))
            }
            Address::Netlink(port) => {
                NetlinkEnd::connect(*port).map(End::Netlink).map_err(|error| no_server(error.to_string()))
            }
            Address::Memory | Address::Embedded => {
                Err(no_server("a runtime in this process is reached through its own end".to_owned()))
            }
        }?;
        match Self::start(end, timeout, trace).await {
            Err(Error::Closed { .. }) => Err(no_server(
                match address {
                    Address::Netlink(_) => {
                        "whoever has the port is gone, or is of a user who is neither root nor you"
                    }
                    _ => "it closed the connection at once",
                }
                .to_owned(),
            )),
            connected => connected,
        }
    }

    /// The same over a connection in memory.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn over(end: MemoryEnd) -> Result<Self, Error> {
        Self::start(End::Memory(end), TIMEOUT_DEFAULT, None).await
    }

    async fn start(end: End, timeout: Duration, trace: Option<Trace>) -> Result<Self, Error> {
        let link = Arc::new(Link::new(end, trace));
        let reading = Arc::clone(&link);
        let reader = tokio::spawn(async move { reading.read().await }).abort_handle();
        let mut client =
            Self { shared: Arc::new(Shared { link, reader }), family: family::ID, epoch: 0, timeout };
        let answer = client.exchange(control::ID, control::GET_FAMILY, false, family_lookup(), false).await?;
        client.family = read_family(&answer)?;
        let pong =
            client.exchange(client.family, Command::ServerPing as u8, false, Writer::new(), false).await?;
        client.epoch = pong.parts.first().ok_or_else(no_answer)?.attributes.u32(family::EPOCH)?;
        Ok(client)
    }

    /// This client with another time-out.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends every message of the connection from now on, in words, to `trace`.
    pub fn with_trace(self, trace: Trace) -> Self {
        self.shared.link.set_trace(trace);
        self
    }

    /// The server's epoch: new at each start of the server.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.link.is_closed()
    }

    /// Waits until the connection is gone.
    pub async fn closed(&self) {
        self.shared.link.closed().await;
    }

    /// Asks for an acknowledgement only.
    async fn done(&self, command: Command, body: Writer) -> Result<(), Error> {
        self.ask(command, false, body).await.map(drop)
    }

    /// Asks for one answer.
    async fn one(&self, command: Command, body: Writer) -> Result<Reader, Error> {
        let answer = self.ask(command, false, body).await?;
        answer.parts.into_iter().next().map(|part| part.attributes).ok_or_else(no_answer)
    }

    /// Asks for many.
    async fn many<T>(
        &self,
        command: Command,
        body: impl Fn() -> Writer,
        mut read: impl FnMut(&Reader) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Error> {
        let mut attempt = 1;
        let answer = loop {
            let answer = self.ask(command, true, body()).await?;
            if !answer.interrupted || attempt == DUMP_ATTEMPTS_MAX {
                break answer;
            }
            attempt += 1;
        };
        answer.parts.iter().map(|part| read(&part.attributes).map_err(Error::from)).collect()
    }

    async fn ask(&self, command: Command, dump: bool, body: Writer) -> Result<Answer, Error> {
        let answer = self.exchange(self.family, command as u8, dump, body, command.spec().changes).await?;
        for part in &answer.parts {
            let epoch = part.attributes.u32(family::EPOCH)?;
            if epoch != self.epoch {
                return Err(Error::Malformed(format!(
                    "answer of epoch {epoch:x} on a connection of {:x}",
                    self.epoch
                )));
            }
        }
        Ok(answer)
    }

    async fn exchange(
        &self,
        kind: u16,
        command: u8,
        dump: bool,
        body: Writer,
        changes: bool,
    ) -> Result<Answer, Error> {
        let link = &self.shared.link;
        let mut ticket = link.ticket(kind, command, dump, body)?;
        link.show("->", &ticket.datagram);
        let mut sent = false;
        let exchange = async {
            link.end.send(&ticket.datagram).await.map_err(|_| Error::Closed { sent_change: false })?;
            sent = true;
            (&mut ticket.outcome).await.unwrap_or(Err(Error::Closed { sent_change: changes }))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Timeout { sent_change: sent && changes }),
        }
    }
}

fn no_answer() -> Error {
    Error::Malformed("acknowledgement without an answer".to_owned())
}
