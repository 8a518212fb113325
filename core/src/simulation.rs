//! Simulated time: the same machines as in a threaded runtime, polled in an order that a seed decides.

use std::collections::BTreeMap;

use crate::balancer::planner::Turn;
use crate::clock::Nanos;
use crate::config::Config;
use crate::device::fault::Lot;
use crate::queue::word::State;
use crate::runtime::Runtime;
use crate::setting;
use crate::stats::counter::pin_thread_number;
use crate::submit::Shape;
use crate::submit::accept::ops_of;
use crate::sync::atomic::Ordering;
use crate::worker::control::{Control, TICK_NS};
use crate::worker::{Progress, Worker};

/// A runtime without threads, whose time moves only when it is told to.
#[derive(Debug)]
pub struct Simulation {
    runtime: Runtime,
    workers: Vec<Worker>,
    control: Control,
    control_due: Nanos,
    lot: Lot,
}

/// An independent count of the slots of the main queue, by what became of their operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Never lent to a device.
    pub waiting_ops: u64,
    /// Lent, never begun.
    pub queued_ops: u64,
    /// Begun, not completed.
    pub in_flight_ops: u64,
    /// Finished, and waiting for their turn in an ordered session.
    pub held_back_ops: u64,
    /// Completed, not fetched.
    pub done_ops: u64,
}

impl Simulation {
    /// A simulated runtime; `config.seed` decides the order of events.
    ///
    /// # Panics
    /// For a setting beyond its bounds, see [`SETTINGS`](crate::setting::SETTINGS).
    pub fn new(config: Config) -> Self {
        let checked = setting::check_all(&config);
        assert!(checked.is_ok(), "{checked:?}");
        let lot = Lot::new(config.seed);
        // Ties between devices are broken by the thread's number, which must not depend on who was there before.
        pin_thread_number();
        let runtime = Runtime::unthreaded(config);
        let workers = runtime.shared.workers;
        Self {
            workers: (0..workers).map(|number| Worker::new(number, workers)).collect(),
            control: Control::default(),
            control_due: Nanos(0),
            runtime,
            lot,
        }
    }

    /// The runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A number below `bound`, drawn by the seed.
    pub fn draw(&mut self, bound: u64) -> u64 {
        self.lot.below(bound)
    }

    /// Polls one of the machines. True if it did something.
    pub fn step(&mut self) -> bool {
        let now = self.runtime.now();
        if now >= self.control_due {
            self.control_due = now.plus(TICK_NS);
            self.control.poll(&self.runtime.shared, now);
            return true;
        }
        // The workers, and the planner as the last of them.
        let count = self.workers.len() + 1;
        let first = self.lot.below(count as u64) as usize;
        let shared = &self.runtime.shared;
        (0..count).any(|offset| match self.workers.get_mut((first + offset) % count) {
            Some(worker) => worker.poll(shared, now) == Progress::Worked,
            None => now >= shared.planner_due() && shared.poll_planner(0) == Turn::Worked,
        })
    }

    /// Moves time on and lets everything happen that becomes due.
    pub fn advance(&mut self, nanoseconds: u64) {
        let until = self.runtime.now().plus(nanoseconds);
        loop {
            while self.step() {}
            let now = self.runtime.now();
            if now >= until {
                return;
            }
            let due = self.next_due().min(until).max(now.plus(1));
            self.runtime.clock().advance(due.since(now));
        }
    }

    /// Whether something is due that was not polled yet.
    pub fn is_due(&self) -> bool {
        self.next_due() <= self.runtime.now()
    }

    fn next_due(&self) -> Nanos {
        let devices = self.runtime.shared.devices.load();
        let due = devices.iter().map(|device| device.due_ns.load(Ordering::Relaxed)).min();
        Nanos(due.unwrap_or(u64::MAX)).min(self.control_due).min(self.runtime.shared.planner_due())
    }

    /// Counts the slots.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for (_, word, meta) in self.runtime.shared.slab.iter() {
            let shape = Shape(meta.shape.load(Ordering::Relaxed));
            let count = match word.state() {
                State::Free => continue,
                State::Done => &mut census.done_ops,
                State::Parked => &mut census.held_back_ops,
                _ if shape.is_started() => &mut census.in_flight_ops,
                _ if shape.is_dispatched() => &mut census.queued_ops,
                _ => &mut census.waiting_ops,
            };
            *count += ops_of(meta) as u64;
        }
        census
    }

    /// Counts, for each device by name, the slots in its queue and on it.
    pub fn device_census(&self) -> BTreeMap<String, (u64, u64)> {
        let mut counts = BTreeMap::new();
        for device in self.runtime.shared.devices.load().iter() {
            let mut count = (0, 0);
            for (_, word, meta) in self.runtime.shared.slab.iter() {
                let ops = ops_of(meta) as u64;
                match word.state() {
                    State::Queued if word.device() == device.id => count.0 += ops,
                    State::Running | State::Lent if word.device() == device.id => count.1 += ops,
                    _ => {}
                }
            }
            counts.insert(device.name.clone(), count);
        }
        counts
    }
}
