//! Statistics of the runtime.

use crate::attr::{Fault, Reader, Writer};
use crate::family::attribute::stats as a;

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

impl RuntimeStats {
    /// Adds the attributes of `stats-get`.
    pub fn write(&self, out: &mut Writer) {
        out.u64(a::NOW_NS, self.now_ns)
            .u64(a::WALL_NS, self.wall_ns)
            .u64(a::UPTIME_NS, self.uptime_ns)
            .u64(a::ACCEPTED_OPS, self.accepted_ops)
            .u64(a::DISPATCHED_OPS, self.dispatched_ops)
            .u64(a::STARTED_OPS, self.started_ops)
            .u64(a::FINISHED_OPS, self.finished_ops)
            .u64(a::COMPLETED_OPS, self.completed_ops)
            .u64(a::CANCELLED_OPS, self.cancelled_ops)
            .u64(a::FAILED_OPS, self.failed_ops)
            .u64(a::REFUSED_OPS, self.refused_ops)
            .u64(a::BYTES, self.bytes)
            .u64(a::MAIN_QUEUE_OPS, self.main_queue_ops)
            .u64(a::MAIN_QUEUE_MAX_OPS, self.main_queue_max_ops)
            .u64(a::QUEUED_OPS, self.queued_ops)
            .u64(a::IN_FLIGHT_OPS, self.in_flight_ops)
            .u64(a::WAITING_OPS, self.waiting_ops)
            .u64(a::OLDEST_NS, self.oldest_ns)
            .u64s(a::BY_KIND, &self.by_kind)
            .u64(a::MOVED_OPS, self.moved_ops)
            .nest(a::QUEUE_WAIT, |nest| self.queue_wait.write(nest))
            .nest(a::SERVICE, |nest| self.service.write(nest))
            .nest(a::TOTAL, |nest| self.total.write(nest));
    }

    /// Reads what `write` adds.
    pub fn read(from: &Reader) -> Result<Self, Fault> {
        let by_kind = from.u64s(a::BY_KIND).try_into();
        Ok(Self {
            now_ns: from.u64(a::NOW_NS)?,
            wall_ns: from.u64(a::WALL_NS)?,
            uptime_ns: from.u64(a::UPTIME_NS)?,
            accepted_ops: from.u64(a::ACCEPTED_OPS)?,
            dispatched_ops: from.u64(a::DISPATCHED_OPS)?,
            started_ops: from.u64(a::STARTED_OPS)?,
            finished_ops: from.u64(a::FINISHED_OPS)?,
            completed_ops: from.u64(a::COMPLETED_OPS)?,
            cancelled_ops: from.u64(a::CANCELLED_OPS)?,
            failed_ops: from.u64(a::FAILED_OPS)?,
            refused_ops: from.u64(a::REFUSED_OPS)?,
            bytes: from.u64(a::BYTES)?,
            main_queue_ops: from.u64(a::MAIN_QUEUE_OPS)?,
            main_queue_max_ops: from.u64(a::MAIN_QUEUE_MAX_OPS)?,
            queued_ops: from.u64(a::QUEUED_OPS)?,
            in_flight_ops: from.u64(a::IN_FLIGHT_OPS)?,
            waiting_ops: from.u64(a::WAITING_OPS)?,
            oldest_ns: from.u64(a::OLDEST_NS)?,
            by_kind: by_kind.map_err(|_| from.fault(a::BY_KIND, "'by-kind' has not 7 numbers"))?,
            moved_ops: from.u64(a::MOVED_OPS)?,
            queue_wait: Histogram::read(&from.nest(a::QUEUE_WAIT)?)?,
            service: Histogram::read(&from.nest(a::SERVICE)?)?,
            total: Histogram::read(&from.nest(a::TOTAL)?)?,
        })
    }
}
