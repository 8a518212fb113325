//! The server itself.

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
