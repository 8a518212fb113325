//! The main queue and the device queues.

use super::DeviceState;

/// Queue of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceQueue {
    /// The device's name.
    pub name: String,
    /// Its state.
    pub state: DeviceState,
    /// Operations that wait in it.
    pub queued_ops: u64,
    /// Operations it works on.
    pub in_flight_ops: u64,
    /// Most operations it holds.
    pub queue_max_ops: u64,
}

/// Every queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueInfo {
    /// Operations accepted and not completed.
    pub main_queue_ops: u64,
    /// The limit.
    pub main_queue_max_ops: u64,
    /// Operations no device has, by priority (index 7 is the highest).
    pub waiting_ops_by_priority: [u64; 8],
    /// One per device.
    pub devices: Vec<DeviceQueue>,
}
