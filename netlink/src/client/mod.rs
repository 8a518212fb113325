//! The client: one connection, many requests at once.

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::error::Error;
use crate::message::*;
use crate::snapshot::Snapshot;
use crate::transport::MemoryEnd;

/// Where decoded messages go, one line each.
pub type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// A connection to a server. Clones share it; any number of requests may be under way.
#[derive(Clone, Debug)]
pub struct Client {}

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The next event.
    Event(EventRecord),
    /// So many events were lost here because the reader was too slow.
    Lost(u64),
}

/// Events as they happen, in order, each once.
#[derive(Debug)]
pub struct Subscription {}

impl Subscription {
    /// The next event.
    pub async fn next(&mut self) -> Result<Feed, Error> {
        Err(Error::Closed { sent_change: false })
    }
}

macro_rules! signatures {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)*) => {
        impl Client { $(
            /// Asks the server.
            #[allow(unused_variables, reason = "shape only")]
            pub async fn $name(&self, $($argument: $type),*) -> Result<$output, Error> {
                Err(Error::Closed { sent_change: false })
            }
        )* }
    };
}

signatures! {
    ping() -> ();
    server_info() -> ServerInfo;
    devices() -> Vec<DeviceInfo>;
    device(name: &str) -> DeviceInfo;
    device_add(name: &str, kind: &str, parameters: &[(String, String)]) -> u32;
    device_remove(name: &str, deadline: Option<Duration>) -> ();
    device_break(name: &str, fault: Option<FaultSpec>) -> ();
    device_repair(name: &str) -> ();
    balancers() -> Vec<BalancerInfo>;
    balancer_set(name: &str, if_current: Option<&str>) -> ();
    balancer_unregister(name: &str) -> ();
    sessions(max: usize) -> Vec<SessionInfo>;
    queue() -> QueueInfo;
    stats() -> RuntimeStats;
    ops(limit: usize) -> Vec<OpInfo>;
    loads() -> Vec<LoadInfo>;
    load_start(spec: LoadSpec) -> u64;
    load_stop(id: Option<u64>) -> ();
    snapshot() -> Snapshot;
    session_new(session: SessionNew) -> u64;
    session_free(id: u64) -> ();
    op_submit(op: OpSubmit) -> OpReply;
    stream_start(session: u64, kind: OpKind, iv: &[u8]) -> u64;
    stream_next(stream: u64, data: &[u8]) -> Vec<u8>;
    stream_finish(stream: u64, data: &[u8]) -> (Vec<u8>, Vec<u8>);
    subscribe(filter: Filter, since: Option<u64>) -> Subscription;
}

impl Client {
    /// Connects, resolves the family and learns the epoch.
    pub async fn connect(address: &Address) -> Result<Client, Error> {
        Err(Error::NoServer { address: address.to_string(), reason: String::new() })
    }

    /// The same over a connection in memory.
    pub async fn over(_end: MemoryEnd) -> Result<Client, Error> {
        Err(Error::Closed { sent_change: false })
    }

    /// This client with another time-out (5 s unless said).
    pub fn with_timeout(self, _timeout: Duration) -> Self {
        self
    }

    /// Sends every message of the connection, in words, to `trace`.
    pub fn with_trace(self, _trace: Trace) -> Self {
        self
    }

    /// The server's epoch.
    pub fn epoch(&self) -> u32 {
        0
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        true
    }

    /// Waits until the connection is gone.
    pub async fn closed(&self) {}
}
