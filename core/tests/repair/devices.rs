//! Devices that misbehave when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::device::soft::Soft;
use acrypto_core::device::{Answer, DeviceInfo, DirectDevice, Handle, QueuedDevice, QueuedOp, Run, Score};
use acrypto_core::{Engine, Error, Key, Nanos, SessionSpec};

/// What a test turns and reads while the runtime owns the device.
#[derive(Debug, Default)]
pub struct Switch {
    /// Results come out with one wrong bit; or, on a queued device, not at all.
    pub is_bad: AtomicBool,
    /// Sessions open on the device.
    pub open: AtomicUsize,
}

impl Switch {
    pub fn set(&self, is_bad: bool) {
        self.is_bad.store(is_bad, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.is_bad.load(Ordering::Acquire)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}

/// `soft` that flips a bit of each result while its switch is on, with room for two sessions.
struct Corrupting {
    soft: Soft,
    switch: Arc<Switch>,
}

/// A direct device that gives wrong bytes while its switch is on.
pub fn corrupting() -> (Engine, Arc<Switch>) {
    let switch = Arc::new(Switch::default());
    let device = Corrupting { soft: Soft::new(), switch: Arc::clone(&switch) };
    (Engine::Direct(Arc::new(device)), switch)
}

impl DirectDevice for Corrupting {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "corrupting", sessions_max: 2, ..self.soft.info() }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.soft.probe(spec)
    }

    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.switch.open.fetch_add(1, Ordering::AcqRel);
        self.soft.open(spec, key)
    }

    fn close(&self, handle: Handle) {
        self.switch.open.fetch_sub(1, Ordering::AcqRel);
        self.soft.close(handle);
    }

    fn execute(&self, run: &mut Run<'_>) {
        self.soft.execute(run);
        if self.switch.get() {
            for op in run {
                op.data.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                let mut output = op.output.as_slice().to_vec();
                output.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                op.output.set(&output);
            }
        }
    }
}

/// `sim` that takes operations and never answers while its switch is on.
struct Hanging {
    sim: Sim,
    switch: Arc<Switch>,
}

/// A queued device that never answers while its switch is on.
pub fn hanging() -> (Engine, Arc<Switch>) {
    let switch = Arc::new(Switch::default());
    let device = Hanging { sim: Sim::new(Profile::default()), switch: Arc::clone(&switch) };
    (Engine::Queued(Box::new(device)), switch)
}

impl QueuedDevice for Hanging {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "hanging", ..self.sim.info() }
    }

    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.sim.probe(spec)
    }

    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.switch.open.fetch_add(1, Ordering::AcqRel);
        self.sim.open(spec, key)
    }

    fn close(&mut self, handle: Handle) {
        self.switch.open.fetch_sub(1, Ordering::AcqRel);
        self.sim.close(handle);
    }

    fn submit(&mut self, now: Nanos, ops: &mut Vec<QueuedOp>) {
        self.sim.submit(now, ops);
    }

    fn room(&self) -> usize {
        self.sim.room()
    }

    fn in_flight(&self) -> usize {
        self.sim.in_flight()
    }

    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        if self.switch.get() { None } else { self.sim.poll(now, done) }
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.sim.reset()
    }
}
