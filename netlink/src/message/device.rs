//! Devices.

use super::token::tokens;
use super::{FaultSpec, Histogram, OpKind};

tokens! {
    /// State of a device.
    DeviceState, default Up {
        /// Known answers are running after a repair.
        Selftest = 1 "selftest",
        /// Known answers came out wrong after a repair; gets no work.
        Failed = 2 "failed",
        /// In service.
        Up = 3 "up",
        /// In service, with errors below its budget.
        Degraded = 4 "degraded",
        /// Gets no work until repaired.
        Broken = 5 "broken",
        /// Repaired; gets a growing share of work.
        Probation = 6 "probation",
        /// Finishes what it has, takes nothing new.
        Draining = 7 "draining",
        /// Empty, takes nothing new.
        Drained = 8 "drained",
        /// Removed.
        Gone = 9 "gone",
    }
}

impl DeviceState {
    /// Whether a balancer may pick a device in this state.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Degraded | Self::Probation)
    }
}

/// Attempts counted by a device; `taken = finished + moved_out + abandoned + queued + in_flight` (invariant I1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Attempts lent to the device.
    pub taken_ops: u64,
    /// Attempts that ended on it.
    pub finished_ops: u64,
    /// Attempts taken away before they started.
    pub moved_out_ops: u64,
    /// Attempts given up: cancelled, expired, or lost with the device.
    pub abandoned_ops: u64,
    /// Attempts waiting in its queue now.
    pub queued_ops: u64,
    /// Attempts it works on now.
    pub in_flight_ops: u64,
}

/// One (operation, algorithm) a device can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// The operation.
    pub op: OpKind,
    /// OpenSSL's name of the algorithm.
    pub algorithm: String,
}

/// One device, all it says of itself and all that is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceInfo {
    /// Number, never used twice within one server's life.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Kind: `soft`, `null`, `sim` and so on.
    pub kind: String,
    /// State.
    pub state: DeviceState,
    /// Why it is in this state; empty if there is nothing to say.
    pub state_reason: String,
    /// Server time of the last change of state, in nanoseconds since the server's start.
    pub state_since_ns: u64,
    /// Most operations it holds (queued and in flight).
    pub queue_max_ops: u64,
    /// Attempts.
    pub counters: DeviceCounters,
    /// Attempts that failed by the device's own fault.
    pub errors_ops: u64,
    /// Bytes processed.
    pub bytes: u64,
    /// Time in its queue, in nanoseconds.
    pub queue_wait: Histogram,
    /// Time in the device, in nanoseconds.
    pub service: Histogram,
    /// Time from submission to completion of the operations it finished, in nanoseconds.
    pub total: Histogram,
    /// The fault put on it, if any.
    pub fault: Option<FaultSpec>,
    /// Share of load it gets while in probation, in percent; 100 otherwise.
    pub probation_percent: u8,
    /// User who added it.
    pub uid: u32,
    /// Parameters it was made with.
    pub parameters: Vec<(String, String)>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
}
