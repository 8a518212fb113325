//! Live, on real threads under load, every result checked: 100 balancer switches a second for ten seconds, a device that
//! hangs, one that corrupts one operation of a thousand, a third added and one removed. Nothing is lost or
//! doubled, and an ordered session gets its results in order.
//!
//! `cargo test -p acrypto-core --test live -- --nocapture` shows the figures.

#![allow(clippy::print_stdout, reason = "shows the figures")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use acrypto_core::{
    Algorithm, Completion, Config, DeviceId, DeviceState, FaultMode, FaultSpec, Key, Nanos, Refused, Request,
    Runtime, Session, SessionSpec, block_on,
};
use ctr::cipher::{KeyIvInit, StreamCipher};

const KEY: [u8; 16] = [0x42; 16];
const BATCH: u64 = 64;
const SUBMITTERS: u64 = 2;
const SWITCHES: u64 = 1_000;
const SWITCH_EVERY: Duration = Duration::from_millis(10);

fn iv(number: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..8].copy_from_slice(&number.to_be_bytes());
    iv
}

fn plaintext(number: u64) -> Vec<u8> {
    vec![number as u8; 64 + (number % 1_000) as usize]
}

fn is_right(number: u64, data: &[u8]) -> bool {
    let mut expected = plaintext(number);
    ctr::Ctr128BE::<aes::Aes128>::new(&KEY.into(), &iv(number).into()).apply_keystream(&mut expected);
    data == expected
}

/// What the oracle saw: it knows the right bytes of every operation.
#[derive(Default)]
struct Oracle {
    submitted: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
    /// When each operation with a wrong result was submitted, and which device it was from. When it came is known only to
    /// within the time for which its thread may have been kept from looking.
    wrong: Mutex<Vec<(Nanos, DeviceId)>>,
    /// Numbers that came back twice or not in their place.
    astray: AtomicU64,
}

impl Oracle {
    fn check(&self, submitted: Nanos, number: u64, result: Result<Completion, Refused>) {
        let Ok(completion) = result else { return };
        self.completed.fetch_add(1, Ordering::Relaxed);
        if completion.user_data != number {
            self.astray.fetch_add(1, Ordering::Relaxed);
        }
        if completion.result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        } else if !is_right(number, &completion.data) {
            self.wrong.lock().unwrap().push((submitted, completion.device.unwrap()));
        }
    }
}

/// Submits batch after batch until told to stop, and checks each result.
fn submit(runtime: &Runtime, session: &Session, first: u64, stop: &AtomicBool, oracle: &Oracle) {
    let mut number = first;
    while !stop.load(Ordering::Acquire) {
        let numbers = number..number + BATCH;
        let requests = numbers
            .clone()
            .map(|number| Request::encrypt(plaintext(number), iv(number)).with_user_data(number))
            .collect();
        oracle.submitted.fetch_add(BATCH, Ordering::Relaxed);
        let submitted = runtime.now();
        for (number, result) in numbers.zip(block_on(session.submit_batch(requests))) {
            oracle.check(submitted, number, result);
        }
        number += BATCH;
    }
}

/// Keeps a ring of an ordered session full until told to stop, and checks that each result is that of the next operation.
fn submit_in_order(runtime: &Runtime, session: &Session, first: u64, stop: &AtomicBool, oracle: &Oracle) {
    const RING_OPS: usize = 256;
    let mut burst = session.burst(RING_OPS);
    let (mut next, mut expected) = (first, first);
    let mut done = Vec::with_capacity(RING_OPS);
    let mut submitted = VecDeque::with_capacity(RING_OPS);
    loop {
        let room = if stop.load(Ordering::Acquire) { 0 } else { RING_OPS - burst.outstanding_ops() };
        let request = |number| Request::encrypt(plaintext(number), iv(number)).with_user_data(number);
        let mut requests: Vec<Request> = (next..next + room as u64).map(request).collect();
        let now = runtime.now();
        let taken = burst.submit(&mut requests) as u64;
        submitted.extend((0..taken).map(|_| now));
        oracle.submitted.fetch_add(taken, Ordering::Relaxed);
        next += taken;
        burst.wait(Duration::from_millis(100));
        burst.poll(&mut done, RING_OPS);
        for completion in done.drain(..) {
            // I3: a number out of its turn is counted as astray.
            let submitted = submitted.pop_front().unwrap_or_default();
            oracle.check(submitted, expected, Ok(completion));
            expected += 1;
        }
        if room == 0 && burst.outstanding_ops() == 0 && stop.load(Ordering::Acquire) {
            return;
        }
    }
}

struct Outcome {
    runtime: Runtime,
    oracle: Oracle,
    liar: DeviceId,
}

/// The ten seconds. `shadow` is the rate on the device that corrupts.
fn ten_seconds(shadow: f64) -> Outcome {
    let config = Config { workers: 2, repair_backoff_ns: 0, ..Config::default() };
    let runtime = Runtime::start(config).unwrap();
    for name in ["soft0", "soft1", "hangs", "leaves"] {
        runtime.add_device_of_kind(name, "soft", &[], 0).unwrap();
    }
    let liar = runtime.add_device_of_kind("lies", "soft", &[], 0).unwrap();
    runtime.set_shadow("lies", shadow, 0).unwrap();
    let (oracle, stop) = (Oracle::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(KEY.to_vec()));
            let (runtime, oracle, stop) = (&runtime, &oracle, &stop);
            let session = session.unwrap();
            scope.spawn(move || submit(runtime, &session, submitter << 40, stop, oracle));
        }
        let spec = SessionSpec::new(Algorithm::Aes128Ctr).ordered(true);
        let session = runtime.session(spec, Key::new(KEY.to_vec())).unwrap();
        let in_order = (&runtime, &oracle, &stop);
        scope.spawn(move || submit_in_order(in_order.0, &session, SUBMITTERS << 40, in_order.2, in_order.1));
        let began = runtime.now();
        for number in 0..SWITCHES {
            let name = ["round_robin_lb", "simple_lb"][(number % 2) as usize];
            runtime.set_balancer(name, None, 0).unwrap();
            match number {
                100 => {
                    let fault =
                        FaultSpec { rate: Some(0.001), seed: 9, ..FaultSpec::new(FaultMode::Corrupt) };
                    runtime.break_device("lies", Some(fault), 0).unwrap();
                }
                200 => runtime.break_device("hangs", Some(FaultSpec::new(FaultMode::Hang)), 0).unwrap(),
                400 => drop(runtime.add_device_of_kind("comes", "soft", &[], 0).unwrap()),
                500 => runtime.remove_device("leaves", 1_000_000_000, 0).unwrap(),
                _ => {}
            }
            let next = began.plus((number + 1) * SWITCH_EVERY.as_nanos() as u64);
            std::thread::park_timeout(Duration::from_nanos(next.since(runtime.now())));
        }
        stop.store(true, Ordering::Release);
    });
    Outcome { runtime, oracle, liar }
}

/// What holds whatever the shadow's rate: nothing lost, doubled or failed; the hung device found; one gone, one there.
fn nothing_is_lost(outcome: &Outcome) {
    let Outcome { runtime, oracle, .. } = outcome;
    let submitted = oracle.submitted.load(Ordering::Relaxed);
    assert_eq!(oracle.completed.load(Ordering::Relaxed), submitted, "each once");
    assert_eq!((oracle.astray.load(Ordering::Relaxed), oracle.failed.load(Ordering::Relaxed)), (0, 0));
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (submitted, submitted, 0));
    let hung = runtime.device("hangs").unwrap();
    assert_eq!(hung.state, DeviceState::Broken);
    assert!(hung.state_reason.starts_with("silent for "), "{}", hung.state_reason);
    assert!(runtime.device("leaves").is_err());
    assert!(runtime.device("comes").unwrap().counters.finished_ops > 0);
    assert!(runtime.balancer().switches >= SWITCHES - 1);
}

#[test]
fn i2_i3_i4_ten_live_seconds_lose_nothing_and_give_no_wrong_byte_at_a_shadow_rate_of_one() {
    let outcome = ten_seconds(1.0);
    nothing_is_lost(&outcome);
    assert_eq!(outcome.oracle.wrong.lock().unwrap().len(), 0);
    let liar = outcome.runtime.device("lies").unwrap();
    assert_eq!(liar.state, DeviceState::Broken);
    assert!(liar.state_reason.contains("0 operations in the "), "{}", liar.state_reason);
    println!(
        "shadow 100 %: {} operations, 0 wrong; lies: {}",
        outcome.runtime.stats().completed_ops,
        liar.state_reason
    );
}

#[test]
fn i2_i4_at_a_shadow_rate_of_a_hundredth_wrong_bytes_end_with_the_isolation() {
    let outcome = ten_seconds(0.01);
    nothing_is_lost(&outcome);
    let liar = outcome.runtime.device("lies").unwrap();
    let wrong = outcome.oracle.wrong.lock().unwrap();
    assert!(wrong.iter().all(|(_, device)| *device == outcome.liar), "only the device that lies gives any");
    let after = wrong.iter().filter(|(at, _)| at.0 > liar.state_since_ns + 1_000_000).count();
    println!(
        "shadow 1 %: {} operations, {} wrong before the isolation, {after} after; {} compared; lies is {}: {}",
        outcome.runtime.stats().completed_ops,
        wrong.len(),
        liar.shadowed_ops,
        liar.state,
        liar.state_reason
    );
    if liar.state == DeviceState::Broken {
        assert!(
            liar.state_reason.contains(" operations in the ") && liar.state_reason.ends_with("were compared")
        );
        assert_eq!(after, 0, "none comes out after the device was isolated");
    } else {
        assert!(!wrong.is_empty(), "a sample may miss what is rare; the oracle does not");
    }
}
