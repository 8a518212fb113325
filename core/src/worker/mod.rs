//! The active parts: machines that are polled, and the threads that do nothing but poll them.

pub(crate) mod conclude;
pub(crate) mod control;
pub(crate) mod dispatch;
pub(crate) mod lent;
pub(crate) mod parcel;
pub(crate) mod park;
pub(crate) mod place;
pub(crate) mod queued;
pub(crate) mod run;
pub(crate) mod service;
pub(crate) mod threads;

use std::sync::Arc;

use crate::clock::Nanos;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// What came of polling an active part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It did something; poll again.
    Worked,
    /// Nothing to do before this time, unless something comes in.
    IdleUntil(Nanos),
}

/// A worker: looks after every direct device that has work, and owns every nth queued device.
#[derive(Debug)]
pub(crate) struct Worker {
    number: usize,
    of: usize,
}

impl Worker {
    pub(crate) fn new(number: usize, of: usize) -> Self {
        Self { number, of: of.max(1) }
    }

    /// Serves each device once.
    pub(crate) fn poll(&mut self, shared: &Arc<Shared>, now: Nanos) -> Progress {
        let devices = shared.devices.load();
        let count = devices.len();
        let mut worked = false;
        let mut due = Nanos(u64::MAX);
        for offset in 0..count {
            let device = &devices[(self.number + offset) % count];
            let is_mine = device.is_direct() || usize::from(device.id.0) % self.of == self.number;
            if !is_mine {
                continue;
            }
            if device.wants_service(now) {
                worked |= shared.service(device);
            }
            if !device.is_direct() {
                due = due.min(Nanos(device.due_ns.load(Ordering::Relaxed)));
            }
        }
        worked |= shared.go_on_handing_over();
        if shared.waiting.wanted.load(Ordering::Relaxed) {
            // Somebody has left the lines to whoever comes by.
            shared.dispatch();
        }
        if worked { Progress::Worked } else { Progress::IdleUntil(due) }
    }
}
