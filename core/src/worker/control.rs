//! The control machine: deadlines, health, removals, and work that nobody looks after.

use std::sync::Arc;

use super::Progress;
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::error::{OpError, Progress as Extent};
use crate::queue::word::State;
use crate::shared::Shared;
use crate::submit::Shape;
use crate::submit::Tried;
use crate::submit::accept::binding;
use crate::sync::atomic::Ordering;

/// Time between two looks, in nanoseconds.
pub(crate) const TICK_NS: u64 = 10_000_000;
/// Slots looked at in one tick: 65,536 take a quarter of a second.
const SLOTS_PER_TICK: u32 = 2_622;

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Control {
    cursor: u32,
}

impl Control {
    /// Looks at devices and at a part of the slots.
    pub(crate) fn poll(&mut self, shared: &Arc<Shared>, now: Nanos) -> Progress {
        let devices = shared.devices.load();
        for device in devices.iter() {
            shared.age_health(device);
            shared.mind_idle(device, now);
            if !device.ticked.load(Ordering::Relaxed) {
                device.ticked.store(true, Ordering::Relaxed);
            }
        }
        self.scan(shared, now);
        shared.watch_planner();
        shared.forget_gone();
        shared.dispatch();
        if devices.iter().any(|device| device.is_neglected(now)) {
            // Below the price of a wake-up, but here for a whole tick: its submitter does not come back for it.
            shared.parking.wake_all();
        }
        shared.room_again();
        Progress::IdleUntil(now.plus(TICK_NS))
    }

    fn scan(&mut self, shared: &Arc<Shared>, now: Nanos) {
        let used = shared.slab.used();
        for _ in 0..used.min(SLOTS_PER_TICK) {
            if self.cursor >= used {
                self.cursor = 0;
            }
            let index = self.cursor;
            self.cursor += 1;
            let word = shared.slab.word(index);
            let is_waiting = matches!(word.state(), State::Waiting | State::Queued | State::Lent);
            if !is_waiting {
                continue;
            }
            let meta = &shared.slab.slot(index).meta;
            if now.0 >= meta.deadline.load(Ordering::Relaxed) {
                if let Some(mut held) = shared.slab.claim(index, word, State::Held) {
                    shared.count_taken_back(word);
                    if word.state() == State::Lent
                        && let Some(device) = shared.device_by_id(word.device())
                    {
                        let submitted = Nanos(meta.submitted.load(Ordering::Relaxed));
                        let bytes = Shape(meta.shape.load(Ordering::Relaxed)).bytes();
                        shared.note_deadline(&device, submitted, Nanos(held.body().started_ns), bytes);
                    }
                    let is_started = Shape(meta.shape.load(Ordering::Relaxed)).is_started();
                    let progress = if is_started { Extent::MaybeExecuted } else { Extent::NotStarted };
                    let attempts = u16::from(word.attempt());
                    // Its only device did not come back in time.
                    let shape = Shape(meta.shape.load(Ordering::Relaxed));
                    let tie = binding(meta, shape);
                    let is_there = || shared.routing.load().is_tie_in_service(shape, &Tried::none(), tie);
                    let is_tied = tie.is_only() && word.state() == State::Waiting && !is_there();
                    shared.give_up(
                        held,
                        match is_tied {
                            true => OpError::Broken {
                                attempts,
                                reason: "its only device is not in service",
                                progress,
                            },
                            false => OpError::TimedOut { progress },
                        },
                    );
                }
            } else if matches!(word.state(), State::Queued | State::Lent) {
                let device = shared.device_by_id(word.device());
                let is_lost = device.as_ref().is_none_or(|device| device.state() == DeviceState::Gone);
                if is_lost && let Some(mut held) = shared.slab.claim(index, word, State::Held) {
                    // Lent by somebody who still had the old table in hand.
                    if word.state() == State::Lent {
                        shared.count_taken_back(word);
                        held.body().tried.add(word.device());
                    } else {
                        shared.count_moved_out(word);
                    }
                    shared.requeue(held);
                }
            }
        }
    }
}
