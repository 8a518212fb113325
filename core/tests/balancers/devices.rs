//! A device whose pace a test can change while it works.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::device::{Answer, DeviceInfo, Handle, QueuedDevice, QueuedOp, Score};
use acrypto_core::{Engine, Error, Key, Nanos, SessionSpec};

/// Time of one operation, in nanoseconds.
pub type Pace = Arc<AtomicU64>;

/// One operation at a time, in runs of up to 32, each as long as the pace was when it was begun.
struct Paced {
    /// Works at once; its answers are held back.
    sim: Sim,
    pace: Pace,
    free_at: Nanos,
    held: VecDeque<(Nanos, QueuedOp)>,
}

pub fn changeable(op_ns: u64) -> (Engine, Pace) {
    let pace = Arc::new(AtomicU64::new(op_ns));
    let profile = Profile { op_ns: 0, bytes_per_s: 1 << 50, jitter: 0.0, lanes: 64, ..Profile::default() };
    let device =
        Paced { sim: Sim::new(profile), pace: Arc::clone(&pace), free_at: Nanos(0), held: VecDeque::new() };
    (Engine::Queued(Box::new(device)), pace)
}

impl QueuedDevice for Paced {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "paced", run_max_ops: 32, ..self.sim.info() }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.sim.probe(spec)
    }

    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.sim.open(spec, key)
    }

    fn close(&mut self, handle: Handle) {
        self.sim.close(handle);
    }

    fn submit(&mut self, now: Nanos, ops: &mut Vec<QueuedOp>) {
        for op in ops.drain(..) {
            self.free_at = self.free_at.max(now).plus(self.pace.load(Ordering::Acquire));
            self.held.push_back((self.free_at, op));
        }
    }

    fn room(&self) -> usize {
        4_usize.saturating_sub(self.held.len())
    }

    fn in_flight(&self) -> usize {
        self.held.len()
    }

    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        let mut due: Vec<_> = Vec::new();
        while self.held.front().is_some_and(|(at, _)| *at <= now) {
            due.extend(self.held.pop_front().map(|(_, op)| op));
        }
        self.sim.submit(now, &mut due);
        self.sim.poll(now, done);
        self.held.front().map(|(at, _)| *at)
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.held.clear();
        self.sim.reset()
    }
}
