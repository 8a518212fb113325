//! I6: whoever looks or steers is answered while all workers are busy, every queue is full and every device hangs.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that also tells its figures")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acrypto_core::device::{DeviceInfo, DirectDevice, Handle, Run, Score, soft::Soft};
use acrypto_core::{
    Algorithm, Clock, Config, Engine, Error, FaultMode, FaultSpec, Key, Request, Runtime, SessionSpec,
};

const ROUNDS: usize = 200;
const LIMIT_P99: Duration = Duration::from_millis(100);

/// A direct device that keeps the worker for longer than anybody may wait, each time it is called.
struct Stuck {
    soft: Soft,
    never: Mutex<Receiver<()>>,
    _sender: Mutex<Sender<()>>,
}

impl Stuck {
    fn new() -> Self {
        let (sender, never) = channel();
        Self { soft: Soft::new(), never: Mutex::new(never), _sender: Mutex::new(sender) }
    }
}

impl DirectDevice for Stuck {
    fn info(&self) -> DeviceInfo {
        self.soft.info()
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.soft.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.soft.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.soft.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        if run.iter().any(|op| op.data.len() >= BYTES) {
            let _ = self.never.lock().unwrap().recv_timeout(2 * LIMIT_P99);
        }
        self.soft.execute(run);
    }
}

/// Longer than any known answer.
const BYTES: usize = 4_096;

#[test]
fn i6_the_control_plane_answers_with_everything_full_and_hung() {
    let config = Config {
        workers: 2,
        main_queue_max_ops: 4_096,
        silence_ns: 0,
        heartbeat_ns: 0,
        attempt_max_ns: 0,
        ..Config::default()
    };
    let runtime = Runtime::start(config).unwrap();
    for name in ["stuck0", "stuck1"] {
        runtime.add_device(name, Engine::Direct(Arc::new(Stuck::new())), 0).unwrap();
    }
    for name in ["sim0", "sim1"] {
        runtime.add_device_of_kind(name, "sim", &[], 0).unwrap();
    }
    for name in ["sim0", "sim1"] {
        runtime.break_device(name, Some(FaultSpec::new(FaultMode::Hang)), 0).unwrap();
    }
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![1; 16])).unwrap();
    let mut burst = session.burst(4_096);
    while burst.submit(&mut (0..64).map(|_| Request::encrypt(vec![0; BYTES], [1; 16])).collect()) > 0 {}
    assert!(runtime.stats().main_queue_ops > 3_000, "{:?}", runtime.queue());

    let clock = Clock::monotonic();
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let before = clock.now();
        let _ = (runtime.stats(), runtime.queue(), runtime.devices(), runtime.sessions(), runtime.ops(100));
        runtime.set_balancer(["round_robin_lb", "simple_lb"][round % 2], None, 0).unwrap();
        runtime.set_tenant("a", Some(1 + round as u32 % 5), None, 0).unwrap();
        times.push(clock.now().since(before));
    }
    times.sort_unstable();
    let p99 = times[ROUNDS * 99 / 100];
    println!("all of it: p50 {} us, p99 {} us", times[ROUNDS / 2] / 1_000, p99 / 1_000);
    assert!(u128::from(p99) < LIMIT_P99.as_nanos(), "{p99} ns");
}
