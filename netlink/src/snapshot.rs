//! Everything a screen shows, taken together.

use crate::message::{BalancerInfo, DeviceInfo, LoadInfo, QueueInfo, RuntimeStats, ServerInfo, SessionInfo};

/// Most sessions in a snapshot.
pub const SNAPSHOT_SESSIONS_MAX: usize = 1024;

/// The state of a server. `stats` is one consistent reading (invariant I1); the other parts are read right after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Server time of `stats`, in nanoseconds since the server's start.
    pub taken_ns: u64,
    /// The same instant in nanoseconds since the Unix epoch.
    pub wall_ns: u64,
    /// The server.
    pub server: ServerInfo,
    /// Counters of the runtime.
    pub stats: RuntimeStats,
    /// Every device.
    pub devices: Vec<DeviceInfo>,
    /// Every balancer.
    pub balancers: Vec<BalancerInfo>,
    /// The first [`SNAPSHOT_SESSIONS_MAX`] sessions by id.
    pub sessions: Vec<SessionInfo>,
    /// How many sessions there are.
    pub sessions_total: u64,
    /// Every load.
    pub loads: Vec<LoadInfo>,
    /// Every queue.
    pub queue: QueueInfo,
}
