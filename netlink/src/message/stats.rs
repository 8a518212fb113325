//! Statistics of the runtime.

use super::Histogram;

/// Counters of the runtime, read against the flow so that every difference of neighbours is >= 0 (invariant I1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuntimeStats {
    /// Server time of the reading, in nanoseconds since the server's start.
    pub now_ns: u64,
    /// The same instant in nanoseconds since the Unix epoch.
    pub wall_ns: u64,
    /// Nanoseconds since the runtime's start.
    pub uptime_ns: u64,
    /// Operations accepted.
    pub accepted_ops: u64,
    /// Operations lent to a device for the first time.
    pub dispatched_ops: u64,
    /// Operations started for the first time.
    pub started_ops: u64,
    /// Operations whose last attempt ended, or that were given up.
    pub finished_ops: u64,
    /// Operations handed back, cancelled and broken ones included.
    pub completed_ops: u64,
    /// Of the completed: cancelled.
    pub cancelled_ops: u64,
    /// Of the completed: failed.
    pub failed_ops: u64,
    /// Operations refused; they were never accepted.
    pub refused_ops: u64,
    /// Bytes processed.
    pub bytes: u64,
    /// Operations accepted and not completed.
    pub main_queue_ops: u64,
    /// The limit.
    pub main_queue_max_ops: u64,
    /// Operations in device queues.
    pub queued_ops: u64,
    /// Operations devices work on.
    pub in_flight_ops: u64,
    /// Operations no device has.
    pub waiting_ops: u64,
    /// Age of the oldest operation in the main queue, in nanoseconds.
    pub oldest_ns: u64,
    /// Operations completed by kind; index is the kind's number - 1.
    pub by_kind: [u64; 7],
    /// Operations moved between devices.
    pub moved_ops: u64,
    /// Time before the last attempt started, in nanoseconds.
    pub queue_wait: Histogram,
    /// Time of the last attempt, in nanoseconds.
    pub service: Histogram,
    /// Time from submission to completion, in nanoseconds.
    pub total: Histogram,
}
