//! The main queue and the device queues.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::{device_queue as row, queue as a};

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

impl DeviceQueue {
    /// Adds one row of the dump `queue-get`.
    pub fn write(&self, out: &mut Writer) {
        out.nest(a::DEVICE, |nest| {
            nest.string(row::NAME, &self.name)
                .u32(row::STATE, self.state as u32)
                .u64(row::QUEUED_OPS, self.queued_ops)
                .u64(row::IN_FLIGHT_OPS, self.in_flight_ops)
                .u64(row::QUEUE_MAX_OPS, self.queue_max_ops);
        });
    }

    fn read(from: &Reader) -> Result<Self, Fault> {
        Ok(Self {
            name: from.string(row::NAME)?,
            state: from.token(row::STATE, DeviceState::from_number)?,
            queued_ops: from.u64(row::QUEUED_OPS)?,
            in_flight_ops: from.u64(row::IN_FLIGHT_OPS)?,
            queue_max_ops: from.u64(row::QUEUE_MAX_OPS)?,
        })
    }
}

impl QueueInfo {
    /// Adds the first row of the dump `queue-get`: the main queue.
    pub fn write_main(&self, out: &mut Writer) {
        out.u64(a::MAIN_QUEUE_OPS, self.main_queue_ops)
            .u64(a::MAIN_QUEUE_MAX_OPS, self.main_queue_max_ops)
            .u64s(a::WAITING_OPS_BY_PRIORITY, &self.waiting_ops_by_priority);
    }

    /// Takes in one row of the dump.
    pub fn read_row(&mut self, from: &Reader) -> Result<(), Fault> {
        if from.has(a::MAIN_QUEUE_OPS) {
            self.main_queue_ops = from.u64(a::MAIN_QUEUE_OPS)?;
            self.main_queue_max_ops = from.u64(a::MAIN_QUEUE_MAX_OPS)?;
            self.waiting_ops_by_priority =
                from.u64s(a::WAITING_OPS_BY_PRIORITY).try_into().map_err(|_| {
                    from.fault(a::WAITING_OPS_BY_PRIORITY, "'waiting-ops-by-priority' has not 8 numbers")
                })?;
        }
        if let Some(nest) = from.nest_if(a::DEVICE)? {
            self.devices.push(DeviceQueue::read(&nest)?);
        }
        Ok(())
    }
}
