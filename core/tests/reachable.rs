//! I6: whoever looks or steers is answered while all workers are busy, every queue is full and every device hangs.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use acrypto_core::{Algorithm, Clock, Config, FaultMode, FaultSpec, Key, Request, Runtime, SessionSpec};

const ROUNDS: usize = 200;
const LIMIT_P99: Duration = Duration::from_millis(100);

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
    for (name, kind) in [("soft0", "soft"), ("sim0", "sim"), ("sim1", "sim")] {
        runtime.add_device_of_kind(name, kind, &[], 0).unwrap();
    }
    let session = |bytes| {
        let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![1; 16])).unwrap();
        let mut burst = session.burst(4_096);
        while burst.submit(&mut (0..64).map(|_| Request::encrypt(vec![0; bytes], [1; 16])).collect()) > 0 {}
        burst
    };
    for name in ["sim0", "sim1"] {
        runtime.break_device(name, Some(FaultSpec::new(FaultMode::Hang)), 0).unwrap();
    }
    // The software device is as busy as it can be, with a megabyte each.
    let _full = session(1 << 20);
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
