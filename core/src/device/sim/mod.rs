//! `sim`: a device with real results, by way of [`Soft`], at the pace of a profile.
//!
//! It shows how a balancer treats devices of different speed. In real time it can only be slower than `soft`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::fault::Lot;
use super::soft::Soft;
use super::staged::carry_out;
use super::{Answer, DeviceInfo, DirectDevice, Handle, QueuedDevice, QueuedOp, RUN_MAX_OPS, Score};
use crate::algorithm::Algorithm;
use crate::clock::Nanos;
use crate::error::Error;
use crate::key::Key;
use crate::session::SessionSpec;

mod profile;

pub use profile::Profile;

/// An operation on its way: answered when its time has come.
#[derive(Debug)]
struct Pending {
    due: Nanos,
    /// Keeps operations of one time in order.
    number: u64,
    op: QueuedOp,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// The device.
pub struct Sim {
    soft: Soft,
    profile: Profile,
    lot: Lot,
    /// When each lane is free again.
    lanes: BinaryHeap<Reverse<Nanos>>,
    pending: BinaryHeap<Reverse<Pending>>,
    number: u64,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Sim {
    /// A device with this profile.
    pub fn new(profile: Profile) -> Self {
        Self {
            soft: Soft::new(),
            lot: Lot::new(profile.seed),
            lanes: (0..profile.lanes).map(|_| Reverse(Nanos(0))).collect(),
            pending: BinaryHeap::new(),
            number: 0,
            profile,
        }
    }
}

impl QueuedDevice for Sim {
    fn info(&self) -> DeviceInfo {
        let mut info = self.soft.info();
        info.kind = "sim";
        info.queue_max_ops = self.profile.queue_max_ops;
        info.run_max_ops = self.profile.lanes.clamp(1, RUN_MAX_OPS);
        info
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        if spec.algorithm == Algorithm::Null { None } else { self.soft.probe(spec) }
    }

    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.soft.open(spec, key)
    }

    fn close(&mut self, handle: Handle) {
        self.soft.close(handle);
    }

    fn submit(&mut self, now: Nanos, ops: &mut Vec<QueuedOp>) {
        for op in ops.drain(..) {
            let begin = self.lanes.pop().map_or(now, |Reverse(free)| free.max(now));
            let due = begin.plus(self.profile.service_ns(op.source.len(), &mut self.lot));
            self.lanes.push(Reverse(due));
            self.number += 1;
            self.pending.push(Reverse(Pending { due, number: self.number, op }));
        }
    }

    fn room(&self) -> usize {
        // One operation in each lane: what waits stays where it can still be moved.
        self.profile.lanes.saturating_sub(self.pending.len())
    }

    fn in_flight(&self) -> usize {
        self.pending.len()
    }

    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        while let Some(Reverse(first)) = self.pending.peek() {
            if first.due > now {
                return Some(first.due);
            }
            if let Some(Reverse(pending)) = self.pending.pop() {
                done.push(carry_out(pending.op, |run| self.soft.execute(run)));
            }
        }
        None
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.pending.clear();
        self.lanes = (0..self.profile.lanes).map(|_| Reverse(Nanos(0))).collect();
        Ok(())
    }
}
