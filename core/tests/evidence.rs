//! What health makes of evidence: silence, lost answers, heartbeats, wrong bytes; and the ways out of service and back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::sync::{Arc, Mutex};

use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Completion, Config, DeviceState, FaultMode, FaultSpec, Iv, Key, Request, Runtime, SessionSpec,
};
use ctr::cipher::{KeyIvInit, StreamCipher};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// `d0` of this kind beside the software engine `d1`; they take turns.
fn pair(kind: &str, config: Config) -> Simulation {
    let simulation = Simulation::new(Config { workers: 2, seed: 5, ..config });
    let runtime = simulation.runtime();
    runtime.add_device_of_kind("d0", kind, &[], 0).unwrap();
    runtime.add_device_of_kind("d1", "soft", &[], 0).unwrap();
    runtime.set_balancer("round_robin_lb", None, 0).unwrap();
    simulation
}

fn by_hand() -> Config {
    Config { repair_backoff_ns: 0, ..Config::default() }
}

/// Submits `count` operations and lets time pass until they are done; returns how each ended.
fn run(simulation: &mut Simulation, count: usize) -> Vec<Completion> {
    let session =
        simulation.runtime().session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&done);
    let face = session.with_callback(move |completion| sink.lock().unwrap().push(completion));
    for _ in 0..count {
        face.submit(Request::encrypt(vec![1; 64], [9; 16])).unwrap();
    }
    for _ in 0..20_000 {
        if done.lock().unwrap().len() >= count {
            break;
        }
        simulation.advance(MS);
    }
    std::mem::take(&mut done.lock().unwrap())
}

fn is_right(completion: &Completion) -> bool {
    let mut expected = vec![1; 64];
    ctr::Ctr128BE::<aes::Aes128>::new(&[7; 16].into(), &[9; 16].into()).apply_keystream(&mut expected);
    completion.result.is_ok() && completion.data == expected
}

fn put(runtime: &Runtime, spec: FaultSpec) {
    runtime.break_device("d0", Some(spec), 0).unwrap();
}

fn reason(runtime: &Runtime) -> String {
    runtime.device("d0").unwrap().state_reason
}

fn state(runtime: &Runtime) -> DeviceState {
    runtime.device("d0").unwrap().state
}

#[test]
fn one_timeout_is_paid_once_and_not_by_every_operation() {
    for kind in ["soft", "sim"] {
        let mut simulation = pair(kind, by_hand());
        let runtime = simulation.runtime().clone();
        put(&runtime, FaultSpec::new(FaultMode::Hang));
        simulation.advance(MS);
        let began = runtime.now();
        let done = run(&mut simulation, 40);
        assert!(done.len() == 40 && done.iter().all(is_right));
        let took = runtime.now().since(began);
        assert!((SECOND..SECOND + 100 * MS).contains(&took), "{took}");
        assert_eq!(state(&runtime), DeviceState::Broken);
        assert!(reason(&runtime).starts_with("silent for 1.0 s with "), "{}", reason(&runtime));
    }
}

#[test]
fn a_lost_answer_costs_one_attempt_and_counts_once() {
    let mut simulation = pair("sim", by_hand());
    let runtime = simulation.runtime().clone();
    // The device goes on answering others, so that it is not silent.
    put(&runtime, FaultSpec { count: Some(1), ..FaultSpec::new(FaultMode::Lost) });
    simulation.advance(MS);
    let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&done);
    let face = session.with_callback(move |completion| sink.lock().unwrap().push(completion));
    for _ in 0..5_500 {
        face.submit(Request::digest(vec![1; 64])).unwrap();
        face.submit(Request::digest(vec![2; 64])).unwrap();
        simulation.advance(MS);
    }
    let done = done.lock().unwrap();
    assert_eq!(done.len(), 11_000);
    let again: Vec<&Completion> = done.iter().filter(|completion| completion.attempts > 1).collect();
    assert_eq!(again.len(), 1);
    assert!((5 * SECOND..5 * SECOND + 20 * MS).contains(&again[0].total_ns), "{}", again[0].total_ns);
    assert!(reason(&runtime).ends_with("no answer in 5.0 s"), "{}", reason(&runtime));
    assert_eq!((state(&runtime), runtime.device("d0").unwrap().errors_ops), (DeviceState::Degraded, 1));
}

#[test]
fn i2_i4_a_late_answer_touches_nothing() {
    let mut simulation = pair("sim", by_hand());
    let runtime = simulation.runtime().clone();
    let late = FaultSpec { count: Some(3), delay_ns: Some(6 * SECOND), ..FaultSpec::new(FaultMode::Late) };
    put(&runtime, late);
    simulation.advance(MS);
    let done = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&done);
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
    let face = session.with_callback(move |completion| sink.lock().unwrap().push(completion));
    let text = |number: u64| number.to_be_bytes().repeat(8);
    for number in 0..14_000 {
        let request = Request::encrypt(text(number), [9; 16]).with_user_data(number);
        face.submit(request).unwrap();
        if number % 2 == 1 {
            simulation.advance(MS);
        }
    }
    let done = done.lock().unwrap();
    assert_eq!(done.len(), 14_000, "each once");
    for completion in done.iter() {
        let mut expected = text(completion.user_data);
        ctr::Ctr128BE::<aes::Aes128>::new(&[7; 16].into(), &[9; 16].into()).apply_keystream(&mut expected);
        assert_eq!((&completion.result, &completion.data), (&Ok(()), &expected));
    }
    assert_eq!(done.iter().filter(|completion| completion.attempts == 2).count(), 3);
    let device = runtime.device("d0").unwrap();
    assert_eq!((device.counters.in_flight_ops, device.counters.abandoned_ops), (0, 3));
    assert_eq!(device.fault, None, "used up, with nothing withheld any more");
}

#[test]
fn an_idle_device_that_does_not_answer_is_found_by_its_heartbeat() {
    for kind in ["soft", "sim"] {
        let mut simulation = pair(kind, by_hand());
        let runtime = simulation.runtime().clone();
        simulation.advance(10 * SECOND);
        let device = runtime.device("d0").unwrap();
        assert!((8..=10).contains(&device.heartbeats_sent), "{}", device.heartbeats_sent);
        assert_eq!((device.heartbeats_failed, device.counters.taken_ops), (0, 0), "no operations");
        put(&runtime, FaultSpec::new(FaultMode::Hang));
        simulation.advance(10 * SECOND);
        assert_eq!(state(&runtime), DeviceState::Broken);
        assert_eq!(reason(&runtime), "3 heartbeats in a row without an answer in 1.0 s each");
        assert_eq!(runtime.device("d0").unwrap().heartbeats_failed, 3);
    }
}

#[test]
fn a_heartbeat_with_wrong_bytes_breaks_at_once() {
    let mut simulation = pair("soft", Config::default());
    let runtime = simulation.runtime().clone();
    put(&runtime, FaultSpec::new(FaultMode::Corrupt));
    simulation.advance(3 * SECOND);
    assert_eq!(state(&runtime), DeviceState::Broken);
    assert!(reason(&runtime).starts_with("heartbeat: ") && reason(&runtime).contains("is wrong at byte"));
    simulation.advance(120 * SECOND);
    assert_eq!(state(&runtime), DeviceState::Broken, "only a person trusts it again");
}

#[test]
fn i4_at_a_shadow_rate_of_one_no_wrong_byte_gets_out() {
    for kind in ["soft", "sim"] {
        let mut simulation = pair(kind, Config::default());
        let runtime = simulation.runtime().clone();
        runtime.set_shadow("d0", 1.0, 0).unwrap();
        assert!(run(&mut simulation, 100).iter().all(is_right));
        let device = runtime.device("d0").unwrap();
        assert!(device.shadowed_ops >= 8 && device.shadowed_ops == device.counters.finished_ops);
        put(&runtime, FaultSpec { every: Some(3), ..FaultSpec::new(FaultMode::Corrupt) });
        simulation.advance(MS);
        let done = run(&mut simulation, 100);
        assert!(done.len() == 100 && done.iter().all(is_right));
        let expected =
            "wrong result: aes-128-ctr encrypt of 64 bytes differs from the reference; 0 operations in the ";
        assert!(reason(&runtime).starts_with(expected), "{}", reason(&runtime));
        assert_eq!(state(&runtime), DeviceState::Broken);
    }
}

#[test]
fn i4_the_shadow_compares_authenticated_decryption_hashes_and_chunks() {
    for kind in ["soft", "sim"] {
        for algorithm in [Algorithm::Aes128Gcm, Algorithm::Sha256, Algorithm::Aes128Cbc] {
            let mut simulation = Simulation::new(Config { seed: 1, ..by_hand() });
            let runtime = simulation.runtime().clone();
            runtime.add_device_of_kind("d0", kind, &[], 0).unwrap();
            runtime.set_shadow("d0", 1.0, 0).unwrap();
            let key = if algorithm == Algorithm::Sha256 { Key::none() } else { Key::new(vec![7; 16]) };
            let session = runtime.session(SessionSpec::new(algorithm), key).unwrap();
            put(&runtime, FaultSpec::new(FaultMode::Corrupt));
            simulation.advance(MS);
            let sum = Arc::new(Mutex::new(None));
            let sink = Arc::clone(&sum);
            match algorithm {
                Algorithm::Aes128Gcm => {
                    let face = session.with_callback(move |done| *sink.lock().unwrap() = Some(done.result));
                    let sealed = sealed();
                    face.submit(Request::decrypt(sealed, [9; 12])).unwrap();
                    simulation.advance(10 * MS);
                }
                _ => {
                    let kind = algorithm.ops()[0];
                    let iv = if algorithm.iv_len() == 0 { Iv::NONE } else { Iv::from([9; 16]) };
                    let mut stream = session.stream(kind, iv).unwrap();
                    let mut chunk = Box::pin(stream.update(vec![3; 128]));
                    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
                    let _ = chunk.as_mut().poll(context);
                    simulation.advance(10 * MS);
                    assert!(matches!(chunk.as_mut().poll(context), std::task::Poll::Ready(Err(_))));
                }
            }
            assert!(!matches!(*sum.lock().unwrap(), Some(Ok(()))));
            assert!(reason(&runtime).contains("differs from the reference"), "{}", reason(&runtime));
        }
    }
}

fn sealed() -> Vec<u8> {
    use aes_gcm::aead::{AeadInOut, KeyInit};
    let mut text = vec![4; 50];
    let cipher = aes_gcm::Aes128Gcm::new(&[7; 16].into());
    let tag = cipher.encrypt_inout_detached(&[9; 12].into(), b"", text.as_mut_slice().into()).unwrap();
    text.extend_from_slice(&tag);
    text
}

#[test]
fn a_forged_tag_is_never_the_device_s_fault_and_a_shadow_agrees() {
    let mut simulation = pair("sim", by_hand());
    let runtime = simulation.runtime().clone();
    runtime.set_shadow("d0", 1.0, 0).unwrap();
    let session = runtime.session(SessionSpec::new(Algorithm::Aes128Gcm), Key::new(vec![7; 16])).unwrap();
    let done = Arc::new(Mutex::new(0));
    let sink = Arc::clone(&done);
    let face = session.with_callback(move |completion| {
        assert!(completion.result.is_err() && completion.data.is_empty());
        *sink.lock().unwrap() += 1;
    });
    for _ in 0..50 {
        face.submit(Request::decrypt(vec![1; 64], [9; 12])).unwrap();
    }
    simulation.advance(SECOND / 2);
    assert_eq!(*done.lock().unwrap(), 50);
    let device = runtime.device("d0").unwrap();
    assert_eq!((device.state, device.errors_ops), (DeviceState::Up, 0));
    assert!(device.shadowed_ops >= 8 && device.shadowed_ops == device.counters.finished_ops);
}

#[test]
fn a_device_that_broke_on_evidence_is_repaired_after_a_pause_that_doubles() {
    let mut simulation = pair("sim", Config::default());
    let runtime = simulation.runtime().clone();
    put(&runtime, FaultSpec { for_ns: Some(5 * SECOND), ..FaultSpec::new(FaultMode::Error) });
    simulation.advance(MS);
    assert!(run(&mut simulation, 60).iter().all(is_right));
    assert_eq!(state(&runtime), DeviceState::Broken);
    simulation.advance(12 * SECOND);
    assert_eq!(state(&runtime), DeviceState::Up);
    let events = runtime.events().since(0, usize::MAX);
    let repairs: Vec<&str> =
        events.iter().filter(|event| event.to == "selftest").map(|event| event.reason.as_str()).collect();
    assert_eq!(
        repairs,
        [
            "automatic repair 1, after 1.0 s",
            "automatic repair 2, after 2.0 s",
            "automatic repair 3, after 4.0 s"
        ]
    );
}

#[test]
fn a_dead_device_fails_its_resets_until_one_succeeds() {
    let mut simulation = pair("sim", Config::default());
    let runtime = simulation.runtime().clone();
    put(&runtime, FaultSpec { count: Some(2), ..FaultSpec::new(FaultMode::Death) });
    simulation.advance(MS);
    assert!(run(&mut simulation, 60).iter().all(is_right));
    simulation.advance(2 * SECOND);
    assert_eq!(
        (state(&runtime), reason(&runtime).as_str()),
        (DeviceState::Failed, "reset failed: device is dead")
    );
    simulation.advance(10 * SECOND);
    assert_eq!(state(&runtime), DeviceState::Up);
}

#[test]
fn i8_a_drained_device_is_empty_stays_and_is_resumed() {
    for kind in ["soft", "sim"] {
        let mut simulation = pair(kind, Config::default());
        let runtime = simulation.runtime().clone();
        assert!(run(&mut simulation, 20).iter().all(is_right));
        runtime.drain_device("d0", SECOND, 0).unwrap();
        assert!(runtime.device("d0").unwrap().leaving.is_some_and(|leaving| !leaving.is_removal));
        simulation.advance(20 * MS);
        assert_eq!(state(&runtime), DeviceState::Drained);
        let before = runtime.device("d0").unwrap().counters.taken_ops;
        assert!(run(&mut simulation, 20).iter().all(is_right));
        simulation.advance(5 * SECOND);
        assert_eq!(
            (state(&runtime), runtime.device("d0").unwrap().counters.taken_ops),
            (DeviceState::Drained, before)
        );
        let refused = runtime.drain_device("d0", SECOND, 0).unwrap_err().to_string();
        assert_eq!(refused, "device 'd0' is drained, cannot drain");
        runtime.resume_device("d0", 0).unwrap();
        assert_eq!((state(&runtime), runtime.device("d0").unwrap().leaving), (DeviceState::Up, None));
        simulation.advance(100 * MS);
        assert!(run(&mut simulation, 20).iter().all(is_right));
        let after = runtime.device("d0").unwrap().counters.taken_ops;
        assert!(after > before, "{kind}: {after} after {before}");
        assert!(runtime.resume_device("d0", 0).is_err());
    }
}

#[test]
fn i8_a_drain_takes_back_what_is_not_done_at_its_deadline() {
    let config = Config { silence_ns: 0, ..by_hand() };
    let mut simulation = pair("sim", config);
    let runtime = simulation.runtime().clone();
    put(&runtime, FaultSpec::new(FaultMode::Hang));
    simulation.advance(MS);
    let session = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::none()).unwrap();
    let done = Arc::new(Mutex::new(0));
    let sink = Arc::clone(&done);
    let face = session.with_callback(move |completion| {
        assert_eq!(completion.result, Ok(()));
        *sink.lock().unwrap() += 1;
    });
    for _ in 0..8 {
        face.submit(Request::digest(vec![1; 64])).unwrap();
    }
    simulation.advance(MS);
    runtime.drain_device("d0", SECOND, 0).unwrap();
    simulation.advance(900 * MS);
    assert!(runtime.device("d0").unwrap().leaving.is_some_and(|leaving| leaving.remaining_ops > 0));
    simulation.advance(200 * MS);
    assert_eq!((*done.lock().unwrap(), state(&runtime)), (8, DeviceState::Drained));
}

#[test]
fn a_test_on_demand_leaves_a_good_device_in_service_and_breaks_a_bad_one() {
    for kind in ["soft", "sim"] {
        let mut simulation = pair(kind, Config::default());
        let runtime = simulation.runtime().clone();
        runtime.test_device("d0", 0).unwrap();
        assert!(run(&mut simulation, 50).iter().all(is_right), "work goes on meanwhile");
        simulation.advance(100 * MS);
        let events = runtime.events().since(0, usize::MAX);
        let passed = events.iter().find(|event| event.reason.starts_with("test passed: ")).unwrap();
        assert_eq!((passed.from.as_str(), passed.to.as_str()), ("up", "up"));
        assert!(passed.reason.contains(" known answers in "), "{}", passed.reason);
        put(&runtime, FaultSpec { every: Some(5), ..FaultSpec::new(FaultMode::Corrupt) });
        runtime.test_device("d0", 0).unwrap();
        simulation.advance(100 * MS);
        assert_eq!(state(&runtime), DeviceState::Broken);
        assert!(reason(&runtime).starts_with("test failed: "), "{}", reason(&runtime));
    }
}
