//! A device that panics is out of service, and loses no operation.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acrypto_core::device::sim::{Profile, Sim};
use acrypto_core::device::{
    Answer, DeviceInfo, DirectDevice, Handle, QueuedDevice, QueuedOp, Run, Score, soft::Soft,
};
use acrypto_core::{
    Algorithm, Config, DeviceState, Engine, Error, Key, Nanos, Request, Runtime, SessionSpec, block_on,
};

const IV: [u8; 16] = [9; 16];

/// Which call panics once the device is in service.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Open,
    Submit,
    Poll,
    Execute,
}

struct Panics<D> {
    inner: D,
    at: At,
    armed: Arc<AtomicBool>,
}

impl<D> Panics<D> {
    fn pass(&self, at: At) {
        assert!(!(self.at == at && self.armed.load(Ordering::Acquire)), "as planned");
    }
}

impl QueuedDevice for Panics<Sim> {
    fn info(&self) -> DeviceInfo {
        self.inner.info()
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.inner.probe(spec)
    }
    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.pass(At::Open);
        self.inner.open(spec, key)
    }
    fn close(&mut self, handle: Handle) {
        self.inner.close(handle);
    }
    fn submit(&mut self, now: Nanos, ops: &mut Vec<QueuedOp>) {
        self.pass(At::Submit);
        self.inner.submit(now, ops);
    }
    fn room(&self) -> usize {
        self.inner.room()
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos> {
        if self.inner.in_flight() > 0 {
            self.pass(At::Poll);
        }
        self.inner.poll(now, done)
    }
    fn reset(&mut self) -> Result<(), Error> {
        self.inner.reset()
    }
}

impl DirectDevice for Panics<Soft> {
    fn info(&self) -> DeviceInfo {
        self.inner.info()
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.inner.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.pass(At::Open);
        self.inner.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.inner.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        self.pass(At::Execute);
        self.inner.execute(run);
    }
}

fn runtime_with(engine: Engine, armed: &AtomicBool) -> Runtime {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device("bad", engine, 0).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    runtime.set_balancer("round_robin_lb", None, 0).unwrap();
    armed.store(true, Ordering::Release);
    runtime
}

fn encrypt(runtime: &Runtime, count: usize) -> Vec<Result<(), acrypto_core::OpError>> {
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    let requests = (0..count).map(|_| Request::encrypt(vec![1; 64], IV)).collect();
    let results = block_on(session.submit_batch(requests));
    results.into_iter().map(|result| result.unwrap().result).collect()
}

#[test]
fn a_queued_device_that_panics_loses_no_operation() {
    for at in [At::Open, At::Submit, At::Poll] {
        let armed = Arc::new(AtomicBool::new(false));
        let device = Panics { inner: Sim::new(Profile::default()), at, armed: Arc::clone(&armed) };
        let runtime = runtime_with(Engine::Queued(Box::new(device)), &armed);
        assert!(encrypt(&runtime, 200).iter().all(Result::is_ok));
        let device = runtime.device("bad").unwrap();
        assert_eq!(device.state, DeviceState::Broken);
        assert!(device.state_reason.contains("panicked") || at == At::Open, "{}", device.state_reason);
        assert!(encrypt(&runtime, 200).iter().all(Result::is_ok), "the worker lives on");
    }
}

#[test]
fn a_direct_device_that_panics_breaks_what_it_had_in_hand_and_nothing_else() {
    let armed = Arc::new(AtomicBool::new(false));
    let device = Panics { inner: Soft::new(), at: At::Execute, armed: Arc::clone(&armed) };
    let runtime = runtime_with(Engine::Direct(Arc::new(device)), &armed);
    // It works in place, so what it had in hand may be spoilt and must not be tried again.
    let broken = encrypt(&runtime, 400).iter().filter(|result| result.is_err()).count();
    assert!((1..=200).contains(&broken), "{broken}");
    assert!(encrypt(&runtime, 200).iter().all(Result::is_ok));
    assert_eq!(runtime.device("bad").unwrap().state, DeviceState::Broken);
}

#[test]
fn more_devices_than_a_machine_word_has_bits_are_told_apart() {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    for number in 0..65 {
        runtime.add_device_of_kind(&format!("soft{number}"), "soft", &[], 0).unwrap();
    }
    for number in 1..64 {
        runtime.break_device(&format!("soft{number}"), None, 0).unwrap();
    }
    let fault = acrypto_core::FaultSpec::new(acrypto_core::FaultMode::Error);
    runtime.break_device("soft0", Some(fault), 0).unwrap();
    assert!(encrypt(&runtime, 400).iter().all(Result::is_ok));
}
