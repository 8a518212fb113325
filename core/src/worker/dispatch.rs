//! From the line of those that wait to a device with room.

use std::sync::Arc;

use crate::balancer::routing::Pick;
use crate::binding::Binding;
use crate::device::registry::Device;
use crate::error::{OpError, Progress};
use crate::queue::slab::Held;
use crate::queue::word::{State, Word};
use crate::session::PRIORITIES;
use crate::shared::Shared;
use crate::submit::accept::NO_DEVICE;
use crate::submit::{Body, Shape};
use crate::sync::atomic::{Ordering, fence};

/// A backlog is worth waking a sleeper for when working it off would take longer than this, in nanoseconds. The
/// wake-up costs the waker a fifth of it, and the sleeper takes most of it to get going.
pub(crate) const WORTH_WAKING_NS: u64 = 50_000;

impl Shared {
    /// Makes sure that somebody will look after a device that was given work.
    #[inline]
    pub(crate) fn kick(&self, device: &Device) {
        if !device.is_direct() {
            self.parking.wake(usize::from(device.id.0) % self.workers);
        } else if device.ring.len() as u64 * device.op_cost_ns.load(Ordering::Relaxed) > WORTH_WAKING_NS {
            self.parking.wake_one();
        }
    }

    /// Lends waiting operations to devices, highest priority first, until none has room. If somebody else is at it, he
    /// looks once more before he leaves.
    pub(crate) fn dispatch(&self) {
        while !self.waiting.is_empty() {
            self.waiting.wanted.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let Some(token) = self.waiting.token.try_lock() else { return };
            self.waiting.wanted.store(false, Ordering::SeqCst);
            let mut ended = Vec::new();
            let mut moved = false;
            for priority in (0..PRIORITIES).rev() {
                if self.waiting.len(priority) > 0 {
                    moved |= self.dispatch_priority(priority, &mut ended);
                }
            }
            drop(token);
            // Faces are heard without the token: a callback may submit.
            for held in ended {
                if held.word().is_detached() {
                    self.cancel_held(held);
                } else {
                    self.nobody_left(held);
                }
            }
            if moved {
                // Its submitter may have gone to sleep while it was in line.
                self.wake_for_backlog();
            }
            fence(Ordering::SeqCst);
            if !moved && !self.waiting.wanted.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// The caller holds the waiting token. True if any operation left the line. Those that are at their end, detached
    /// or without a device, are put on `ended`.
    fn dispatch_priority<'a>(&'a self, priority: usize, ended: &mut Vec<Held<'a, Body>>) -> bool {
        let ring = self.waiting.ring(priority);
        let routing = self.routing.load();
        let mut moved = false;
        // Each at most once: one that only devices which failed it have room for goes to the end of the line.
        for _ in 0..ring.len() {
            let Some(entry) = ring.peek() else { break };
            let Some((index, word)) =
                self.slab.current(entry).filter(|(_, word)| word.state() == State::Waiting)
            else {
                ring.pop();
                continue;
            };
            let shape = Shape(self.slab.slot(index).meta.shape.load(Ordering::Relaxed));
            if routing.is_full(shape, Binding::NONE) {
                return moved;
            }
            ring.pop();
            let Some(mut held) = self.slab.claim(index, word, State::Held) else { continue };
            match routing.pick(shape, &held.body().tried, Binding::NONE) {
                Pick::Full => match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
                    Ok(entry) => self.push_sweeping(ring, entry),
                    Err(held) => ended.push(held),
                },
                Pick::Device(device, _) => {
                    moved = true;
                    ended.extend(self.lend(held, device, word));
                }
                Pick::None => {
                    moved = true;
                    ended.push(held);
                }
            }
        }
        moved
    }

    /// Lends a claimed operation to a device for another attempt; the caller holds the waiting token. Gives it back if
    /// its submitter has given up interest.
    fn lend<'a>(&'a self, held: Held<'a, Body>, device: &Arc<Device>, word: Word) -> Option<Held<'a, Body>> {
        let meta = held.meta();
        let shape = Shape(meta.shape.load(Ordering::Relaxed));
        if shape.is_dispatched() {
            device.cells.taken_again.add(1);
        } else {
            meta.shape.store(shape.dispatched().0, Ordering::Relaxed);
            device.cells.taken_first.add(1);
        }
        let entry = match held.repost(State::Queued, word.attempt().saturating_add(1), device.id) {
            Ok(entry) => entry,
            Err(held) => {
                device.cells.abandoned_queued.add(1);
                return Some(held);
            }
        };
        if device.ring.push(&[entry]) == 1 {
            self.kick(device);
            return None;
        }
        let (index, word) = self.slab.current(entry)?;
        let held = self.slab.claim(index, word, State::Held)?;
        device.cells.moved_out.add(1);
        match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
            Ok(entry) => {
                self.push_sweeping(self.waiting.ring(shape.priority()), entry);
                None
            }
            Err(held) => Some(held),
        }
    }

    /// An operation for another device, after one failed it or was taken out of service: into line, or to its end.
    pub(crate) fn requeue(&self, mut held: Held<'_, Body>) {
        if self.is_stopped() {
            return self.cancel_held(held);
        }
        let word = held.word();
        let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
        let is_last = word.attempt() >= self.config.attempts_max;
        if is_last || matches!(self.routing.load().pick(shape, &held.body().tried, Binding::NONE), Pick::None)
        {
            return self.nobody_left(held);
        }
        self.shards.mine().moved.add(1);
        match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
            Ok(entry) => self.wait_in_line(shape.priority(), entry),
            Err(held) => self.cancel_held(held),
        }
    }

    fn nobody_left(&self, mut held: Held<'_, Body>) {
        let attempts = u16::from(held.word().attempt());
        let is_started = Shape(held.meta().shape.load(Ordering::Relaxed)).is_started();
        let reason = match held.body().last_reason {
            "" => "no usable device",
            reason => reason,
        };
        let progress = if is_started { Progress::MaybeExecuted } else { Progress::NotStarted };
        self.give_up(held, OpError::Broken { attempts, reason, progress });
    }
}

impl Shared {
    /// Carries out one run of each direct device that has work and nobody at it.
    pub(crate) fn help_anyone(&self) {
        for device in self.devices.load().iter() {
            if device.is_direct() && !device.ring.is_empty() {
                self.help(device);
            }
        }
    }

    /// The caller will not come back for its operations: a worker must look after them.
    pub(crate) fn wake_for_backlog(&self) {
        if self.devices.load().iter().any(|device| device.is_direct() && !device.ring.is_empty()) {
            self.parking.wake_one();
        }
    }
}
