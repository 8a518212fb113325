//! Policies that spread operations over devices.
//!
//! A balancer never sees an operation: it writes a [`Table`] of candidates and a rule for each algorithm and size
//! class, and the hot path follows the table with the depths of the moment.

use crate::algorithm::Algorithm;
use crate::device::DeviceState;
use crate::op::DeviceId;

pub(crate) mod planner;
mod round_robin;
pub(crate) mod routing;
mod simple;
pub mod table;

pub use round_robin::RoundRobin;
pub use simple::Simple;
pub use table::{Row, Rule, Table};

/// A policy.
pub trait Balancer: Send {
    /// Its name, 1 to 63 of `a-z 0-9 _`.
    fn name(&self) -> &str;

    /// Writes the whole table for the devices in view. Called on a switch and whenever a device comes, goes or changes
    /// its state; never on the way of an operation.
    fn plan(&mut self, view: &View, table: &mut Table);
}

/// What a policy plans with: a copy, so that nothing waits for it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Devices that may get work, in the order they were added.
    pub devices: Vec<DeviceView>,
}

/// One device that may get work.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// Number within the runtime.
    pub id: DeviceId,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: &'static str,
    /// State: `up`, `degraded` or `probation`.
    pub state: DeviceState,
    /// Algorithms it knows.
    pub algorithms: Vec<Algorithm>,
    /// Operations in its queue and on it, at the time of the copy.
    pub backlog_ops: usize,
}

impl View {
    /// The devices that know an algorithm.
    pub fn candidates(&self, algorithm: Algorithm) -> Vec<DeviceId> {
        self.devices
            .iter()
            .filter(|device| device.algorithms.contains(&algorithm))
            .map(|device| device.id)
            .collect()
    }
}
