//! Operations that a queued device does not answer: each has a time of its own, and a device that answers nothing at all
//! is broken at once, so that one timeout is paid once and not by every operation.
//!
//! The evidence is taken by the holder of the run token, right after the device was asked: a worker that was late
//! itself must not blame the device. For the same reason a call that blocks inside a device, direct or queued, is not
//! seen while it lasts: no call may block, and what blocks belongs behind
//! [`BlockingBridge`](crate::device::bridge::BlockingBridge).

use std::sync::Arc;

use super::{Cause, span};
use crate::clock::Nanos;
use crate::device::Ticket;
use crate::device::registry::{Device, Exec};
use crate::queue::word::State;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Time that every byte of an operation adds to what it may take, in nanoseconds: 10 MB/s.
const SLOWEST_NS_PER_BYTE: u64 = 100;
/// A device may be so many times slower than it used to be before it counts as silent.
const SLOWER: u64 = 8;
/// An operation whose own deadline passes counts against a device that had it for so long, in nanoseconds.
const DEADLINE_EVIDENCE_NS: u64 = 100_000_000;

/// What a queued device was lent, and since when it answers nothing.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    /// Each with the time at which it is taken back. Those that ended are swept out now and then.
    ops: Vec<(Ticket, Nanos, Nanos)>,
    /// Not later than the first of them.
    next: Nanos,
    /// When the device last answered, or was given its first operation.
    quiet_since: Nanos,
    /// Since when it takes nothing although work waits for it.
    refuses_since: Option<Nanos>,
    /// Longest operation since it was last idle, in bytes.
    largest_bytes: usize,
}

impl Lent {
    /// The device was idle until now.
    pub(crate) fn begin(&mut self, now: Nanos) {
        self.quiet_since = now;
        self.largest_bytes = 0;
    }

    /// The device answered.
    pub(crate) fn answered(&mut self, now: Nanos) {
        self.quiet_since = now;
        self.refuses_since = None;
    }

    /// The device was offered work: `takes` tells whether it had room.
    pub(crate) fn offered(&mut self, now: Nanos, takes: bool) {
        self.refuses_since = if takes { None } else { self.refuses_since.or(Some(now)) };
    }
}

impl Shared {
    /// How long a device may answer nothing, in nanoseconds, while the longest operation it has is of so many bytes.
    pub(crate) fn silence_limit_ns(&self, device: &Device, largest_bytes: usize) -> u64 {
        let usual = device.answer_ns.load(Ordering::Relaxed).saturating_mul(SLOWER);
        self.config.silence_ns.max(usual).saturating_add(largest_bytes as u64 * SLOWEST_NS_PER_BYTE)
    }

    /// Notes that an operation was lent.
    pub(crate) fn note_lent(&self, exec: &mut Exec, ticket: Ticket, bytes: usize, now: Nanos) {
        let lent = &mut exec.lent;
        lent.largest_bytes = lent.largest_bytes.max(bytes);
        if self.config.attempt_max_ns == 0 {
            return;
        }
        let time = self.config.attempt_max_ns.saturating_add(bytes as u64 * SLOWEST_NS_PER_BYTE);
        let until = now.plus(time);
        lent.next = if lent.ops.is_empty() { until } else { lent.next.min(until) };
        lent.ops.push((ticket, now, until));
    }

    /// When evidence may be there next although the device says nothing.
    pub(crate) fn evidence_due(&self, device: &Device, exec: &Exec) -> Nanos {
        let mut due = Nanos(u64::MAX);
        if !exec.lent.ops.is_empty() {
            due = due.min(exec.lent.next);
        }
        if self.config.silence_ns > 0 {
            let limit = self.silence_limit_ns(device, exec.lent.largest_bytes);
            if device.counters().in_flight_ops > 0 {
                due = due.min(exec.lent.quiet_since.plus(limit));
            } else if let Some(since) = exec.lent.refuses_since {
                due = due.min(since.plus(limit));
            }
        }
        let probes = exec.selftest.as_ref().and_then(|(selftest, ..)| selftest.until());
        due.min(exec.beat.until().unwrap_or(due)).min(probes.unwrap_or(due))
    }

    /// Looks at what the device owes, right after it was asked.
    pub(crate) fn judge_silence(&self, device: &Arc<Device>, exec: &mut Exec) {
        let now = self.now();
        self.take_back_overdue(device, exec, now);
        let (in_flight, limit) =
            (device.counters().in_flight_ops, self.silence_limit_ns(device, exec.lent.largest_bytes));
        let held = device.cells.in_flight.load(Ordering::Relaxed) as u64;
        let quarantined = held.saturating_sub(in_flight);
        if quarantined > self.config.quarantine_max_ops as u64 {
            let limit = self.config.quarantine_max_ops;
            let reason = format!("holds {quarantined} operations that were taken back (limit {limit})");
            self.device_broke(device, Cause::Evidence, reason);
            return;
        }
        if self.config.silence_ns == 0 {
            return;
        }
        let quiet = now.since(exec.lent.quiet_since);
        let refused = exec.lent.refuses_since.map_or(0, |since| now.since(since));
        let reason = if in_flight > 0 && quiet >= limit {
            format!("silent for {} with {in_flight} in flight", span(quiet))
        } else if in_flight == 0 && refused >= limit && !device.ring.is_empty() {
            format!("takes nothing for {} with {} queued", span(refused), device.counters().queued_ops)
        } else {
            return;
        };
        exec.lent.begin(now);
        exec.lent.refuses_since = None;
        if !self.device_broke(device, Cause::Evidence, reason) && Self::is_leaving(device) {
            // On its way out already: what it holds is tried elsewhere.
            self.take_back_lent(device);
        }
    }

    fn take_back_overdue(&self, device: &Arc<Device>, exec: &mut Exec, now: Nanos) {
        let lent = &mut exec.lent;
        let is_crowded = lent.ops.len() >= 64 && lent.ops.len() as u64 > 2 * device.counters().in_flight_ops;
        if lent.ops.is_empty() || now < lent.next && !is_crowded {
            return;
        }
        let (mut late, mut next) = (Vec::new(), Nanos(u64::MAX));
        lent.ops.retain(|(ticket, since, until)| {
            let is_lent = self.slab.current(ticket.0).is_some_and(|(_, word)| word.state() == State::Lent);
            if is_lent && now >= *until {
                late.push((*ticket, *since));
            } else if is_lent {
                next = next.min(*until);
            }
            is_lent && now < *until
        });
        lent.next = next;
        for (ticket, since) in late {
            if self.take_back(device, ticket, "no answer in time") {
                device.cells.errors.add(1);
                self.device_failed(device, 1, &format!("no answer in {}", span(now.since(since))));
            }
        }
    }

    /// An operation's own deadline passed while a device had it since `started`. A caller in a hurry proves nothing.
    pub(crate) fn note_deadline(&self, device: &Arc<Device>, submitted: Nanos, started: Nanos, bytes: usize) {
        let now = self.now();
        let had_ns = now.since(started);
        let usual = device.answer_ns.load(Ordering::Relaxed).saturating_mul(SLOWER);
        let evidence = DEADLINE_EVIDENCE_NS.max(usual) + bytes as u64 * SLOWEST_NS_PER_BYTE;
        if had_ns >= evidence && 2 * had_ns >= now.since(submitted) {
            device.cells.errors.add(1);
            self.device_failed(device, 1, &format!("deadline passed after {} on the device", span(had_ns)));
        }
    }
}
