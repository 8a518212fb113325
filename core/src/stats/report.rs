//! Copies of the runtime's tables, for whoever watches it.

use super::Histogram;
use crate::algorithm::{Algorithm, OpKind};
use crate::balancer::{Accuracy, Ejection, Parameter};
use crate::device::fault::FaultSpec;
use crate::device::{Capability, DeviceState};
use crate::key::Uses;
use crate::op::DeviceId;
use crate::session::Bind;

/// A device's attempts: `taken = finished + moved_out + abandoned + queued + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Attempts lent to the device.
    pub taken_ops: u64,
    /// Attempts it answered.
    pub finished_ops: u64,
    /// Attempts taken back before it began them.
    pub moved_out_ops: u64,
    /// Attempts given up: cancelled or expired.
    pub abandoned_ops: u64,
    /// Attempts in its queue.
    pub queued_ops: u64,
    /// Attempts it is working on.
    pub in_flight_ops: u64,
}

/// How far a device is on its way out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeavingStatus {
    /// Whether it is removed in the end; else it stays, drained.
    pub is_removal: bool,
    /// When what it still holds is taken away, nanoseconds of the runtime's clock.
    pub deadline_ns: u64,
    /// Operations in its queue and on it.
    pub remaining_ops: u64,
}

/// One device.
#[derive(Clone, Debug)]
pub struct DeviceStatus {
    /// Number within the runtime.
    pub id: DeviceId,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: &'static str,
    /// State.
    pub state: DeviceState,
    /// Why it is in this state.
    pub state_reason: String,
    /// Since when, nanoseconds of the runtime's clock.
    pub state_since_ns: u64,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Most operations in its queue.
    pub queue_max_ops: usize,
    /// Its attempts.
    pub counters: DeviceCounters,
    /// Attempts that failed by its own fault.
    pub errors_ops: u64,
    /// Bytes of the operations that ended on it.
    pub bytes: u64,
    /// Submission to start.
    pub queue_wait: Histogram,
    /// Start to answer.
    pub service: Histogram,
    /// Submission to answer.
    pub total: Histogram,
    /// The fault in force.
    pub fault: Option<FaultSpec>,
    /// Share of load it may get, in percent: 100 unless in probation.
    pub probation_percent: u8,
    /// Keys that calls which never returned may still use; they are wiped when those return.
    pub keys_held: usize,
    /// Known answers asked because it was idle.
    pub heartbeats_sent: u64,
    /// Of these, answered wrong or not at all.
    pub heartbeats_failed: u64,
    /// Share of its operations that is carried out once more by the software engine and held until both agree.
    pub shadow_rate: f64,
    /// Operations compared so.
    pub shadowed_ops: u64,
    /// Its way out of service: draining, drained, or being removed.
    pub leaving: Option<LeavingStatus>,
    /// User that added it.
    pub uid: u32,
    /// Parameters it was added with.
    pub parameters: Vec<(String, String)>,
}

/// The balancer in force.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancerStatus {
    /// Its name.
    pub current: String,
    /// Since when, nanoseconds of the runtime's clock.
    pub since_ns: u64,
    /// All that are registered; the built-in `simple_lb` first.
    pub available: Vec<String>,
    /// Switches so far.
    pub switches: u64,
    /// Operations moved between devices so far.
    pub moved_ops: u64,
    /// Parameters of the one in force.
    pub parameters: Vec<Parameter>,
    /// The last policy that was taken out of force by the watchdog, and why.
    pub ejection: Option<Ejection>,
    /// How far the prediction of the last switch was off, once enough has come since.
    pub accuracy: Option<Accuracy>,
}

/// The runtime's counters. `accepted_ops = completed_ops + main_queue_ops`.
#[derive(Clone, Debug, Default)]
pub struct RuntimeStats {
    /// Time of the copy, nanoseconds of the runtime's clock.
    pub now_ns: u64,
    /// The same, since the Unix epoch.
    pub wall_ns: u64,
    /// Nanoseconds since the start.
    pub uptime_ns: u64,
    /// Operations accepted.
    pub accepted_ops: u64,
    /// Operations lent to a device at least once (or given up before that).
    pub dispatched_ops: u64,
    /// Operations begun by a device at least once (or given up before that).
    pub started_ops: u64,
    /// Operations whose last attempt ended, or that were given up.
    pub finished_ops: u64,
    /// Operations handed back.
    pub completed_ops: u64,
    /// Of these, cancelled.
    pub cancelled_ops: u64,
    /// Of these, failed: wrong tag, broken, timed out.
    pub failed_ops: u64,
    /// Requests refused.
    pub refused_ops: u64,
    /// Bytes of completed operations.
    pub bytes: u64,
    /// Operations accepted and not completed.
    pub main_queue_ops: u64,
    /// Most operations in the main queue.
    pub main_queue_max_ops: u64,
    /// Of the main queue: not lent to a device.
    pub waiting_ops: u64,
    /// Of the main queue: in a device's queue.
    pub queued_ops: u64,
    /// Of the main queue: on a device, or finished and waiting for their turn in an ordered session.
    pub in_flight_ops: u64,
    /// Of these, finished: `finished_ops` less `completed_ops`.
    pub held_back_ops: u64,
    /// Age of the oldest operation in the main queue, nanoseconds.
    pub oldest_ns: u64,
    /// Completed operations by [`OpKind`], in the order of its numbers.
    pub by_kind: [u64; 7],
    /// Operations moved from one device to another.
    pub moved_ops: u64,
    /// Submission to start.
    pub queue_wait: Histogram,
    /// Start to answer.
    pub service: Histogram,
    /// Submission to answer.
    pub total: Histogram,
}

/// One session.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    /// Number within the runtime.
    pub id: u64,
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Name the owner gave it; may be empty.
    pub name: String,
    /// 0 to 7, 7 highest.
    pub priority: u8,
    /// Owner.
    pub uid: u32,
    /// Operations accepted.
    pub submitted_ops: u64,
    /// Operations handed back.
    pub completed_ops: u64,
    /// Of these, failed.
    pub failed_ops: u64,
    /// Bytes of completed operations.
    pub bytes: u64,
    /// Operations accepted and not completed.
    pub in_flight_ops: u64,
    /// When it was allocated, nanoseconds of the runtime's clock.
    pub created_ns: u64,
    /// Device it is tied to.
    pub device: Option<String>,
    /// What it is tied to.
    pub bind: Option<Bind>,
    /// Whether results are handed over in the order of submission.
    pub is_ordered: bool,
    /// Tenant it counts for.
    pub tenant: String,
    /// What may be done with it.
    pub uses: Uses,
    /// Algorithms of its stages; empty without a route.
    pub route: Vec<Algorithm>,
    /// How often its keys were replaced.
    pub rekeys: u64,
    /// Handles that hold it.
    pub handles: usize,
}

/// One device's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceQueue {
    /// The device.
    pub name: String,
    /// Its state.
    pub state: DeviceState,
    /// Attempts in its queue.
    pub queued_ops: u64,
    /// Attempts it is working on.
    pub in_flight_ops: u64,
    /// Most operations in its queue.
    pub queue_max_ops: usize,
}

/// The queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// Operations accepted and not completed.
    pub main_queue_ops: u64,
    /// Most of these.
    pub main_queue_max_ops: u64,
    /// Operations that no device has, by priority.
    pub waiting_ops_by_priority: [u64; 8],
    /// The devices' queues.
    pub devices: Vec<DeviceQueue>,
}

/// One operation of the main queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpStatus {
    /// Number, unique while the operation lives; those of a burst that are on their way together share one.
    pub id: u64,
    /// Its session.
    pub session: u64,
    /// What it does.
    pub kind: OpKind,
    /// With which algorithm.
    pub algorithm: Algorithm,
    /// Bytes of input; of those on their way together the mean.
    pub bytes: usize,
    /// `waiting`, `queued` or `running`; `moving` between two of them.
    pub state: &'static str,
    /// The device it is on.
    pub device: Option<String>,
    /// Attempts so far.
    pub attempts: u16,
    /// Nanoseconds since submission.
    pub age_ns: u64,
}

/// One tenant: whose work it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStatus {
    /// Name; `uid:N` for a user's own.
    pub name: String,
    /// Weight of its share.
    pub weight: u32,
    /// Most operations on their way; 0 for no limit of its own.
    pub limit_ops: u64,
    /// Open sessions.
    pub sessions: usize,
    /// Operations accepted.
    pub accepted_ops: u64,
    /// Operations handed back.
    pub completed_ops: u64,
    /// Operations accepted and not completed.
    pub in_flight_ops: u64,
    /// Bytes of completed operations.
    pub bytes: u64,
}

/// One named key, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// Name.
    pub name: String,
    /// Length, in bytes.
    pub key_bytes: usize,
    /// What it may be used for.
    pub uses: Uses,
    /// Owner.
    pub uid: u32,
    /// When it was added, nanoseconds of the runtime's clock.
    pub created_ns: u64,
    /// Tells keys apart: four bytes of a hash with a secret that each runtime draws anew. Equal keys of one runtime have
    /// equal values; values of two runtimes, or of one before and after a restart, say nothing together.
    pub check_value: [u8; 4],
}

/// Which devices could serve one stage of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSupport {
    /// The stage, from 1.
    pub stage: usize,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Each device, and what it lacks.
    pub devices: Vec<DeviceSupport>,
}

/// Whether one device could serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSupport {
    /// The device.
    pub name: String,
    /// What it lacks; nothing if it can serve.
    pub obstacle: Option<String>,
}
