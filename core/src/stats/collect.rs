//! Adding up.

use std::sync::Arc;

use super::{OpStatus, QueueStatus, RuntimeStats};
use crate::context::session_of;
use crate::device::registry::Device;
use crate::foreign::guarded;
use crate::queue::word::State;
use crate::session::PRIORITIES;
use crate::shared::Shared;
use crate::submit::Shape;
use crate::submit::accept::ops_of;
use crate::sync::atomic::Ordering;

impl Shared {
    /// The runtime's counters, read against the flow: what comes later on an operation's way is read first.
    pub(crate) fn stats(&self) -> RuntimeStats {
        let gone = self.gone.lock();
        let linked = self.devices.load();
        let devices: Vec<&Arc<Device>> = linked.iter().chain(&gone.devices).collect();
        let sum = |of: &dyn Fn(&Device) -> u64| devices.iter().map(|device| of(device)).sum::<u64>();
        // They passed every station together, and count at each of them alike.
        let inline = gone.sums.accepted_ops + sum(&|device| device.cells.inline.read());
        let ended = || {
            inline
                + gone.sums.completed_ops
                + sum(&|device| device.cells.completed_ops.read())
                + self.shards.sum(|shard| &shard.given_up)
        };
        let handed_over_in_order = self.shards.sum(|shard| &shard.handed_over_in_order);
        let by_kind = std::array::from_fn(|kind| {
            gone.sums.by_kind[kind]
                + sum(&|device| device.cells.by_kind[kind].read())
                + self.shards.sum(|shard| &shard.by_kind[kind])
        });
        let failed_ops = gone.sums.failed_ops
            + sum(&|device| device.cells.failed_ops.read())
            + self.shards.sum(|shard| &shard.failed);
        let cancelled_ops = self.shards.sum(|shard| &shard.cancelled);
        let completed_ops = handed_over_in_order + ended();
        let finished_ops = ended()
            + gone.sums.held_back_ops
            + sum(&|device| device.cells.ended_in_order.read())
            + self.shards.sum(|shard| &shard.given_up_in_order);
        let started_ops = inline
            + gone.sums.started_ops
            + sum(&|device| device.cells.started_first.read())
            + self.shards.sum(|shard| &shard.given_up_before_start);
        let dispatched_ops = inline
            + gone.sums.dispatched_ops
            + sum(&|device| device.cells.taken_first.read())
            + self.shards.sum(|shard| &shard.given_up_before_dispatch);
        let accepted_ops = inline + self.shards.sum(|shard| &shard.accepted);
        let mut stats = RuntimeStats {
            now_ns: self.now().0,
            wall_ns: self.clock.wall_ns(),
            uptime_ns: self.now().0,
            accepted_ops,
            dispatched_ops,
            started_ops,
            finished_ops,
            completed_ops,
            cancelled_ops,
            failed_ops,
            refused_ops: self.shards.sum(|shard| &shard.refused),
            bytes: gone.sums.bytes + sum(&|device| device.cells.bytes.read()),
            main_queue_ops: accepted_ops - completed_ops,
            main_queue_max_ops: self.slab.limit() as u64,
            waiting_ops: accepted_ops - dispatched_ops,
            queued_ops: dispatched_ops - started_ops,
            in_flight_ops: started_ops - completed_ops,
            held_back_ops: finished_ops - completed_ops,
            oldest_ns: 0,
            by_kind,
            moved_ops: self.shards.sum(|shard| &shard.moved),
            queue_wait: gone.sums.queue_wait.clone(),
            service: gone.sums.service.clone(),
            total: gone.sums.total.clone(),
        };
        for device in devices {
            let (queue_wait, service, total) = device.histograms();
            stats.queue_wait.add(&queue_wait);
            stats.service.add(&service);
            stats.total.add(&total);
        }
        if stats.main_queue_ops > 0 {
            stats.oldest_ns = self.oldest_ns();
        }
        stats
    }

    fn oldest_ns(&self) -> u64 {
        let now = self.now();
        self.slab
            .iter()
            .filter(|(_, word, _)| !matches!(word.state(), State::Free | State::Done | State::Held))
            .map(|(_, _, meta)| now.0.saturating_sub(meta.submitted.load(Ordering::Relaxed)))
            .max()
            .unwrap_or(0)
    }

    /// Forgets removed devices that nobody can count on any more, and keeps their sums.
    pub(crate) fn forget_gone(&self) {
        // Dropped after the lock, one by one: what their engines do then, and whether they panic, is theirs.
        let mut engines = Vec::new();
        let Some(mut gone) = self.gone.try_lock() else { return };
        let mut kept = Vec::new();
        for device in std::mem::take(&mut gone.devices) {
            match Arc::try_unwrap(device) {
                Err(device) => kept.push(device),
                Ok(device) => {
                    let sums = &mut gone.sums;
                    // Of a device that is gone, `accepted_ops` sums up what passed all stations together.
                    sums.accepted_ops += device.cells.inline.read();
                    sums.completed_ops += device.cells.completed_ops.read();
                    // Of a device that is gone, `held_back_ops` sums up what ended there in ordered sessions.
                    sums.held_back_ops += device.cells.ended_in_order.read();
                    sums.failed_ops += device.cells.failed_ops.read();
                    sums.started_ops += device.cells.started_first.read();
                    sums.dispatched_ops += device.cells.taken_first.read();
                    sums.bytes += device.cells.bytes.read();
                    for (sum, cell) in sums.by_kind.iter_mut().zip(&device.cells.by_kind) {
                        *sum += cell.read();
                    }
                    let (queue_wait, service, total) = device.histograms();
                    sums.queue_wait.add(&queue_wait);
                    sums.service.add(&service);
                    sums.total.add(&total);
                    engines.push(device);
                }
            }
        }
        gone.devices = kept;
        drop(gone);
        for device in engines {
            guarded(|| drop(device));
        }
    }

    /// Counts what waits, in the slots: the lines hold stale tickets too.
    fn waiting_by_priority(&self) -> [u64; PRIORITIES] {
        let mut counts = [0; PRIORITIES];
        for (_, word, meta) in self.slab.iter() {
            if word.state() == State::Waiting {
                counts[Shape(meta.shape.load(Ordering::Relaxed)).priority()] += 1;
            }
        }
        counts
    }

    pub(crate) fn queue_status(&self) -> QueueStatus {
        let stats = self.stats();
        QueueStatus {
            main_queue_ops: stats.main_queue_ops,
            main_queue_max_ops: stats.main_queue_max_ops,
            waiting_ops_by_priority: self.waiting_by_priority(),
            devices: self.devices.load().iter().map(|device| device.queue()).collect(),
        }
    }

    /// The operations of the main queue, oldest first.
    pub(crate) fn op_statuses(&self, limit: usize) -> Vec<OpStatus> {
        let now = self.now();
        let mut ops: Vec<OpStatus> = self
            .slab
            .iter()
            .filter(|(_, word, _)| !matches!(word.state(), State::Free | State::Done))
            .flat_map(|(index, word, meta)| {
                let shape = Shape(meta.shape.load(Ordering::Relaxed));
                let is_on_device = matches!(word.state(), State::Queued | State::Running | State::Lent);
                let device = is_on_device.then(|| self.device_by_id(word.device())).flatten();
                let status = OpStatus {
                    id: crate::queue::word::entry(index, word.stamp()),
                    session: session_of(meta.context.load(Ordering::Relaxed)),
                    kind: shape.kind(),
                    algorithm: shape.algorithm(),
                    bytes: shape.bytes(),
                    state: word.state().name(),
                    device: device.map(|device| device.name.clone()),
                    attempts: u16::from(word.attempt()),
                    age_ns: now.0.saturating_sub(meta.submitted.load(Ordering::Relaxed)),
                };
                std::iter::repeat_n(status, ops_of(meta))
            })
            .collect();
        ops.sort_by_key(|op| std::cmp::Reverse(op.age_ns));
        ops.truncate(limit);
        ops
    }
}
