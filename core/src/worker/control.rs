//! The control machine: deadlines, health, removals, and work that nobody looks after.

use std::sync::Arc;

use super::Progress;
use crate::clock::Nanos;
use crate::device::DeviceState;
use crate::error::{OpError, Progress as Extent};
use crate::queue::slab::Held;
use crate::queue::word::{State, Word};
use crate::shared::Shared;
use crate::submit::accept::binding;
use crate::submit::{Body, Shape, Tried};
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
                if let Some(held) = shared.slab.claim(index, word, State::Held) {
                    shared.unpack(held).into_iter().for_each(|held| end_late(shared, held, word));
                }
            } else if matches!(word.state(), State::Queued | State::Lent) {
                let device = shared.device_by_id(word.device());
                let is_lost = device.as_ref().is_none_or(|device| device.state() == DeviceState::Gone);
                if is_lost && let Some(held) = shared.slab.claim(index, word, State::Held) {
                    for mut held in shared.unpack(held) {
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
}

/// Ends an operation whose deadline has passed; the word is the one that it had before it was claimed.
fn end_late(shared: &Shared, mut held: Held<'_, Body>, word: Word) {
    let meta = held.meta();
    let shape = Shape(meta.shape.load(Ordering::Relaxed));
    shared.count_taken_back(word);
    if word.state() == State::Lent
        && let Some(device) = shared.device_by_id(word.device())
    {
        let submitted = Nanos(meta.submitted.load(Ordering::Relaxed));
        shared.note_deadline(&device, submitted, Nanos(held.body().started_ns), shape.bytes());
    }
    let progress = if shape.is_started() { Extent::MaybeExecuted } else { Extent::NotStarted };
    // Its only device did not come back in time.
    let tie = binding(meta, shape);
    let is_there = || shared.routing.load().is_tie_in_service(shape, &Tried::none(), tie);
    let is_tied = tie.is_only() && word.state() == State::Waiting && !is_there();
    let error = match is_tied {
        true => OpError::Broken {
            attempts: u16::from(word.attempt()),
            reason: "its only device is not in service",
            progress,
        },
        false => OpError::TimedOut { progress },
    };
    shared.give_up(held, error);
}
