//! The server itself.

use crate::attr::{Fault, Reader, Writer};
use crate::family::EPOCH;
use crate::family::attribute::server as a;

use super::token::tokens;

tokens! {
    /// What a connection may do; each class includes those before it.
    Class, default Read {
        /// Look at everything, subscribe to nothing of its own.
        Read = 1 "read",
        /// Own sessions, operations, subscriptions.
        Use = 2 "use",
        /// Devices, balancer, faults, loads, configuration, others' objects.
        Admin = 3 "admin",
    }
}

/// What the server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// User it runs as.
    pub uid: u32,
    /// New at each start; rows of different epochs must not be mixed.
    pub epoch: u32,
    /// Nanoseconds since its start.
    pub uptime_ns: u64,
    /// Addresses it listens on.
    pub listen: Vec<String>,
    /// Worker threads.
    pub workers: u32,
    /// Limit of the main queue, in operations.
    pub main_queue_max_ops: u64,
    /// Limit of a device queue, in operations.
    pub device_queue_max_ops: u64,
    /// Limit of sessions.
    pub sessions_max: u64,
    /// Number of the latest event; 0 before the first.
    pub last_event_seq: u64,
    /// What this connection may do.
    pub role: Class,
    /// Scenario it runs: empty, or `DEMO`.
    pub scenario: String,
}

impl ServerInfo {
    /// Adds the attributes of `server-get`, except the epoch, which every answer carries, and the count of sessions.
    pub fn write(&self, out: &mut Writer) {
        out.string(a::VERSION, &self.version)
            .u32(a::PID, self.pid)
            .u32(a::UID, self.uid)
            .u64(a::UPTIME_NS, self.uptime_ns);
        for address in &self.listen {
            out.string(a::LISTEN, address);
        }
        out.u32(a::WORKERS, self.workers)
            .u64(a::MAIN_QUEUE_MAX_OPS, self.main_queue_max_ops)
            .u64(a::DEVICE_QUEUE_MAX_OPS, self.device_queue_max_ops)
            .u64(a::SESSIONS_MAX, self.sessions_max)
            .u64(a::LAST_EVENT_SEQ, self.last_event_seq)
            .u32(a::ROLE, self.role as u32)
            .string(a::SCENARIO, &self.scenario);
    }

    /// Reads what `write` adds, and the epoch.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            version: from.string(a::VERSION)?,
            pid: from.u32(a::PID)?,
            uid: from.u32(a::UID)?,
            epoch: from.u32(EPOCH)?,
            uptime_ns: from.u64(a::UPTIME_NS)?,
            listen: from.strings(a::LISTEN)?,
            workers: from.u32(a::WORKERS)?,
            main_queue_max_ops: from.u64(a::MAIN_QUEUE_MAX_OPS)?,
            device_queue_max_ops: from.u64(a::DEVICE_QUEUE_MAX_OPS)?,
            sessions_max: from.u64(a::SESSIONS_MAX)?,
            last_event_seq: from.u64(a::LAST_EVENT_SEQ)?,
            role: from.token(a::ROLE, Class::from_number)?,
            scenario: from.string(a::SCENARIO)?,
        })
    }
}
