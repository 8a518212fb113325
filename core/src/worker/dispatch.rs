//! From the line of those that wait to a device with room.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::balancer::routing::{Pick, Routing};
use crate::device::registry::Device;
use crate::error::{OpError, Progress};
use crate::queue::slab::Held;
use crate::queue::waiting::{Lane, Lines, Place, cost};
use crate::queue::word::{State, Word};
use crate::shared::Shared;
use crate::submit::accept::{NO_DEVICE, binding, ties};
use crate::submit::{Body, Shape};
use crate::sync::atomic::{Ordering, fence};

/// A backlog is worth waking a sleeper for when working it off would take longer than this, in nanoseconds. The
/// wake-up costs the waker a fifth of it, and the sleeper takes most of it to get going.
pub(crate) const WORTH_WAKING_NS: u64 = 50_000;

/// Looks at the lines that one caller takes, and operations that it lends in one of them.
const ROUNDS_MAX: usize = 4;
const LENDS_MAX: usize = 1_024;

thread_local! {
    static IS_DISPATCHING: Cell<bool> = const { Cell::new(false) };
}

/// This thread dispatches, as long as this lives: what a callback submits meanwhile must not begin anew on its stack.
struct Dispatching;

impl Dispatching {
    fn begin() -> Self {
        IS_DISPATCHING.set(true);
        Self
    }
}

impl Drop for Dispatching {
    fn drop(&mut self) {
        IS_DISPATCHING.set(false);
    }
}

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

    /// Lends waiting operations to devices until none has room: by priority, then by tenants' shares, then by lanes. If
    /// somebody else is at it, he looks once more before he leaves. Whoever has been at it for long leaves the rest to a
    /// worker.
    pub(crate) fn dispatch(&self) {
        if IS_DISPATCHING.get() {
            // A callback submits, to this runtime or to another one.
            return self.leave_lines_to_a_worker();
        }
        let _dispatching = Dispatching::begin();
        self.dispatch_rounds();
    }

    fn dispatch_rounds(&self) {
        for _ in 0..ROUNDS_MAX {
            if self.waiting.is_empty() {
                return;
            }
            self.waiting.wanted.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let Some(mut lines) = self.waiting.lines.try_lock() else { return };
            self.waiting.wanted.store(false, Ordering::SeqCst);
            self.sort_lines(&mut lines);
            let mut ended = Vec::new();
            let moved = self.dispatch_lines(&mut lines, &mut ended);
            drop(lines);
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
        self.leave_lines_to_a_worker();
    }

    fn leave_lines_to_a_worker(&self) {
        self.waiting.wanted.store(true, Ordering::SeqCst);
        self.parking.wake_one();
    }

    /// Sorts what has come in into the lines.
    pub(crate) fn sort_lines(&self, lines: &mut Lines) {
        let is_current = |entry: u64| {
            self.slab
                .current(entry)
                .filter(|(_, word)| word.state() == State::Waiting)
                .map(|(index, _)| index)
        };
        self.waiting.sort(lines, |entry| {
            let meta = &self.slab.slot(is_current(entry)?).meta;
            let shape = Shape(meta.shape.load(Ordering::Relaxed));
            let (tenant, _) = ties(meta);
            let lane = Lane::of(shape, binding(meta, shape));
            Some(Place { priority: shape.priority(), tenant, lane })
        });
        if self.waiting.is_crowded(lines) {
            lines.sweep(|entry| is_current(entry).is_some(), |priority| self.waiting.left(priority));
        }
    }

    /// True if any operation left the lines. Those that are at their end, detached or without a device, are put on
    /// `ended`.
    fn dispatch_lines<'a>(&'a self, lines: &mut Lines, ended: &mut Vec<Held<'a, Body>>) -> bool {
        let routing = self.routing.load();
        let floor = u64::from(self.config.priority_floor_percent.min(12));
        let mut moved = false;
        let mut full = BTreeSet::new();
        let mut left = LENDS_MAX;
        // Operations that only devices which failed them have room for.
        let mut kept = Vec::new();
        while left > 0
            && let Some((place, entry)) = self.next_in_line(lines, &routing, &mut full)
        {
            left -= 1;
            let current = self.slab.current(entry).filter(|(_, word)| word.state() == State::Waiting);
            let claimed = current.and_then(|(index, word)| self.slab.claim(index, word, State::Held));
            let Some(mut held) = claimed else {
                lines.pop(place);
                self.waiting.left(place.priority);
                continue;
            };
            let (word, meta) = (held.word(), held.meta());
            let shape = Shape(meta.shape.load(Ordering::Relaxed));
            match routing.pick(shape, &held.body().tried, binding(meta, shape)) {
                Pick::Full => {
                    if held.body().tried.is_empty() {
                        full.insert(place.lane);
                    }
                    match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
                        Ok(entry) => kept.push((place, entry)),
                        Err(held) => ended.push(held),
                    }
                }
                Pick::Device(device, _) => {
                    moved = true;
                    let weight = u64::from(self.tenants.weight(place.tenant));
                    lines.charge(place, cost(shape), weight, floor);
                    match self.lend(held, device, word) {
                        Ok(None) => {}
                        Ok(Some(entry)) => {
                            kept.push((place, entry));
                            full.insert(place.lane);
                        }
                        Err(held) => ended.push(held),
                    }
                }
                Pick::None => {
                    moved = true;
                    ended.push(held);
                }
            }
            lines.pop(place);
            self.waiting.left(place.priority);
        }
        for (place, entry) in kept.into_iter().rev() {
            self.waiting.put(lines, place, entry, true);
        }
        moved
    }

    /// The first ticket of the line that is to be served next: of those whose devices are not all full, or a stale one,
    /// which must not stand in anybody's way.
    fn next_in_line(
        &self,
        lines: &Lines,
        routing: &Routing,
        full: &mut BTreeSet<Lane>,
    ) -> Option<(Place, u64)> {
        for priority in lines.priorities() {
            for (place, entry) in lines.heads(priority) {
                let current = self.slab.current(entry).filter(|(_, word)| word.state() == State::Waiting);
                let Some((index, _)) = current else { return Some((place, entry)) };
                if full.contains(&place.lane) {
                    continue;
                }
                let meta = &self.slab.slot(index).meta;
                let shape = Shape(meta.shape.load(Ordering::Relaxed));
                if routing.is_full(shape, binding(meta, shape)) {
                    full.insert(place.lane);
                    continue;
                }
                return Some((place, entry));
            }
        }
        None
    }

    /// Lends a claimed operation to a device for another attempt; the caller holds the waiting token. A device that is
    /// full after all leaves a ticket to put back into line; one whose submitter has given up interest is given back.
    fn lend<'a>(
        &'a self,
        held: Held<'a, Body>,
        device: &Arc<Device>,
        word: Word,
    ) -> Result<Option<u64>, Held<'a, Body>> {
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
                return Err(held);
            }
        };
        if device.ring.push(&[entry]) == 1 {
            self.kick(device);
            return Ok(None);
        }
        let Some((index, word)) = self.slab.current(entry) else { return Ok(None) };
        let Some(held) = self.slab.claim(index, word, State::Held) else { return Ok(None) };
        device.cells.moved_out.add(1);
        held.repost(State::Waiting, word.attempt(), NO_DEVICE).map(Some)
    }

    /// An operation for another device, after one failed it or was taken out of service: into line, or to its end.
    pub(crate) fn requeue(&self, mut held: Held<'_, Body>) {
        if self.is_stopped() {
            return self.cancel_held(held);
        }
        let word = held.word();
        let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
        let is_last = word.attempt() >= self.config.attempts_max;
        let tie = binding(held.meta(), shape);
        if is_last || !self.routing.load().is_left(shape, &held.body().tried, tie) {
            return self.nobody_left(held);
        }
        if tie.is_only() && !self.routing.load().is_tie_in_service(shape, &held.body().tried, tie) {
            // It may go nowhere else, so that it has to come back to one that failed it.
            held.body().tried.clear();
        }
        self.shards.mine().moved.add(1);
        match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
            Ok(entry) => self.wait_in_line(shape.priority(), entry, true),
            Err(held) => self.cancel_held(held),
        }
    }

    /// An operation on its way to the next stage of its route, for which it is ready.
    pub(crate) fn to_next_stage(&self, mut held: Held<'_, Body>) {
        let attempts = u16::from(held.word().attempt());
        let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
        let body = held.body();
        let Some(route) = &body.route else { return self.requeue(held) };
        let context = Arc::clone(route.context());
        body.attempts_before += attempts;
        body.tried.clear();
        body.last_reason = "";
        self.describe(&mut held, &context, shape);
        if self.is_stopped() {
            return self.cancel_held(held);
        }
        match held.repost(State::Waiting, 0, NO_DEVICE) {
            Ok(entry) => self.wait_in_line(shape.priority(), entry, true),
            Err(held) => self.cancel_held(held),
        }
    }

    fn nobody_left(&self, mut held: Held<'_, Body>) {
        let attempts = held.body().attempts_before + u16::from(held.word().attempt());
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
