//! A burst that goes to a device as one: what each of its operations is owed, whatever happens on the way.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use acrypto_core::device::fault::{FaultMode, FaultSpec};
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Bind, Burst, Completion, Config, Error, Key, OpError, Outcome, Request, Runtime, Session,
    SessionSpec,
};

#[path = "direct_call/mod.rs"]
mod direct_call;

#[path = "moody/mod.rs"]
mod moody;

use direct_call::Job;
use moody::{Moody, OPENS_NOTHING, PANICS, REFUSES, STOPS_HALF_WAY};

const IV: [u8; 16] = [9; 16];
const OPS: usize = 32;
const SECOND: u64 = 1_000_000_000;

/// Nothing is carried out by whoever submits: what is handed in goes to `moody0`, and what that fails to `soft0`.
struct Stand {
    simulation: Simulation,
    runtime: Runtime,
    session: Session,
    mood: Arc<AtomicU8>,
}

fn stand(config: Config) -> Stand {
    let simulation = Simulation::new(Config { inline_max_ns: 0, error_budget_ops: 1_000, ..config });
    let runtime = simulation.runtime().clone();
    let (engine, mood) = Moody::engine(|place| place % 3 == 0);
    runtime.add_device("moody0", engine, 0).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let session = session(&runtime, Algorithm::Aes128Ctr);
    Stand { simulation, runtime, session, mood }
}

fn session(runtime: &Runtime, algorithm: Algorithm) -> Session {
    let spec = SessionSpec::new(algorithm).bind(Bind::prefer("moody0"));
    runtime.session(spec, direct_call::key(algorithm)).unwrap()
}

fn requests(count: usize) -> Vec<Request> {
    (0..count as u64)
        .map(|number| Request::encrypt(vec![number as u8; 100], IV).with_user_data(number))
        .collect()
}

/// How many operations are on their way as one, by the number that they share.
fn together(runtime: &Runtime) -> Vec<usize> {
    let mut counts = std::collections::BTreeMap::new();
    runtime.ops(1_000).iter().for_each(|op| *counts.entry(op.id).or_insert(0) += 1);
    counts.into_values().filter(|count| *count > 1).collect()
}

/// Submits, and makes sure that all of it is one parcel.
fn submit(stand: &Stand, burst: &mut Burst, requests: &mut Vec<Request>) {
    let count = requests.len();
    assert_eq!(burst.submit(requests), count);
    assert_eq!(together(&stand.runtime), [count]);
    let stats = stand.runtime.stats();
    assert_eq!((stats.main_queue_ops, stats.queued_ops), (count as u64, count as u64));
    assert_eq!(stand.runtime.device("moody0").unwrap().counters.queued_ops, count as u64);
    let (queued, on_device) = stand.simulation.device_census()["moody0"];
    assert_eq!((queued, on_device), (count as u64, 0));
}

fn finish(stand: &mut Stand, burst: &mut Burst) -> Vec<Completion> {
    let mut all = Vec::new();
    for _ in 0..400 {
        stand.simulation.advance(SECOND / 10);
        burst.poll(&mut all, usize::MAX);
    }
    assert_eq!(burst.outstanding_ops(), 0, "none is lost");
    all.sort_by_key(|completion| completion.user_data);
    all
}

/// Every operation once, and nothing is left of it anywhere.
fn sums_hold(stand: &Stand, ops: u64) {
    let stats = stand.runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (ops, ops, 0));
    assert_eq!((stats.dispatched_ops, stats.started_ops, stats.finished_ops), (ops, ops, ops));
    assert_eq!(stats.by_kind.iter().sum::<u64>(), ops);
    assert_eq!(stand.simulation.census(), acrypto_core::simulation::Census::default());
    for device in stand.runtime.devices() {
        let counters = device.counters;
        assert_eq!((counters.queued_ops, counters.in_flight_ops), (0, 0), "{}", device.name);
    }
    let sessions = stand.runtime.sessions();
    assert_eq!(sessions.iter().map(|session| session.submitted_ops).sum::<u64>(), ops);
    assert_eq!(sessions.iter().map(|session| session.completed_ops).sum::<u64>(), ops);
    assert_eq!(stand.runtime.tenants().iter().map(|tenant| tenant.completed_ops).sum::<u64>(), ops);
}

/// Every result is the right one, by whichever device.
fn all_right(completions: &[Completion], count: usize) {
    assert_eq!(completions.len(), count);
    let runtime = Simulation::new(Config::default()).runtime().clone();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let session = session(&runtime, Algorithm::Aes128Ctr);
    for (mut expected, completion) in requests(count).into_iter().zip(completions) {
        expected.data.truncate(completion.data.len());
        let expected = session.call(expected).unwrap();
        assert_eq!(completion.result, Ok(()));
        assert_eq!((completion.user_data, &completion.data), (expected.user_data, &expected.data));
    }
}

#[test]
fn i1_i2_a_burst_goes_to_a_device_and_back_as_one() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    for round in 1..=3 {
        submit(&stand, &mut burst, &mut requests(OPS));
        let all = finish(&mut stand, &mut burst);
        all_right(&all, OPS);
        let moody = stand.runtime.device("moody0").unwrap();
        for completion in &all {
            assert_eq!((completion.device, completion.attempts), (Some(moody.id), 1));
            assert!(completion.queue_ns <= completion.total_ns && completion.source_intact);
        }
        sums_hold(&stand, round * OPS as u64);
        assert_eq!(moody.service.count(), round * OPS as u64);
        assert_eq!(moody.bytes, round * OPS as u64 * 100);
    }
}

#[test]
fn results_of_a_parcel_are_polled_as_the_caller_likes() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    submit(&stand, &mut burst, &mut requests(OPS));
    let (mut all, mut polls) = (Vec::new(), 0);
    while burst.outstanding_ops() > 0 {
        stand.simulation.step();
        let before = all.len();
        assert!(burst.poll(&mut all, 5) <= 5);
        assert!(all.len() <= before + 5);
        polls += usize::from(all.len() > before);
    }
    assert_eq!(polls, OPS.div_ceil(5));
    all_right(&all, OPS);
}

#[test]
fn i4_each_class_of_algorithm_gives_what_a_direct_call_gives() {
    let mut stand = stand(Config::default());
    for algorithm in direct_call::ALGORITHMS {
        let session = session(&stand.runtime, algorithm);
        let mut burst = session.burst(256);
        let jobs: Vec<Job> = (0..96).map(|number| Job::new(algorithm, number)).collect();
        // Of one kind, and one after the other of one size class: what may go together does.
        let mut requests: Vec<Request> = Vec::new();
        for first in 0..6 {
            requests.extend(jobs.iter().skip(first).step_by(6).map(Job::request));
        }
        let mut seen_together = 0;
        while !requests.is_empty() {
            burst.submit(&mut requests);
            seen_together += together(&stand.runtime).len();
            stand.simulation.advance(SECOND / 1_000);
        }
        assert!(seen_together > 0, "{algorithm}");
        let all = finish(&mut stand, &mut burst);
        assert_eq!(all.len(), jobs.len());
        for (job, completion) in jobs.iter().zip(&all) {
            assert_eq!((job.number, &completion.result), (completion.user_data, &Ok(())), "{algorithm}");
            assert_eq!(completion.data, job.data_after, "{algorithm} {}", job.number);
            assert_eq!(completion.output.as_slice(), job.output, "{algorithm} {}", job.number);
        }
    }
}

#[test]
fn i2_what_a_device_fails_of_a_parcel_is_carried_out_elsewhere() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    stand.mood.store(REFUSES, Ordering::Relaxed);
    submit(&stand, &mut burst, &mut requests(OPS));
    let all = finish(&mut stand, &mut burst);
    all_right(&all, OPS);
    let again = all.iter().filter(|completion| completion.attempts == 2).count();
    assert_eq!((again, stand.runtime.device("moody0").unwrap().errors_ops), (11, 11));
    sums_hold(&stand, OPS as u64);
}

#[test]
fn i2_a_session_that_cannot_be_opened_is_served_elsewhere() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    stand.mood.store(OPENS_NOTHING, Ordering::Relaxed);
    submit(&stand, &mut burst, &mut requests(OPS));
    all_right(&finish(&mut stand, &mut burst), OPS);
    sums_hold(&stand, OPS as u64);
}

#[test]
fn i4_what_was_left_half_done_is_wiped_and_told() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    for (mood, broken) in [(STOPS_HALF_WAY, 11), (PANICS, OPS)] {
        stand.mood.store(mood, Ordering::Relaxed);
        let before = stand.runtime.stats().completed_ops;
        assert_eq!(burst.submit(&mut requests(OPS)), OPS);
        let all = finish(&mut stand, &mut burst);
        assert_eq!(all.len(), OPS);
        let failed: Vec<_> = all.iter().filter(|completion| completion.result.is_err()).collect();
        assert_eq!(failed.len(), broken);
        for completion in failed {
            assert_eq!(completion.outcome(), Outcome::Broken);
            assert!(!completion.source_intact && completion.data.iter().all(|byte| *byte == 0));
        }
        sums_hold(&stand, before + OPS as u64);
    }
}

#[test]
fn i4_a_forgery_is_told_from_its_neighbours() {
    let mut stand = stand(Config::default());
    let session = session(&stand.runtime, Algorithm::Aes256Gcm);
    let mut burst = session.burst(64);
    let mut sealed: Vec<Request> = (0..64)
        .filter(|number| number % 2 == 1)
        .map(|number| Job::new(Algorithm::Aes256Gcm, number * 6 + 1).request())
        .take(16)
        .collect();
    sealed[7].data[0] ^= 1;
    sealed[9].aad[0] ^= 1;
    let forged: Vec<u64> = [7, 9].map(|place: usize| sealed[place].user_data).to_vec();
    submit(&stand, &mut burst, &mut sealed);
    let all = finish(&mut stand, &mut burst);
    for completion in &all {
        match forged.contains(&completion.user_data) {
            true => {
                assert_eq!(completion.result, Err(OpError::DecryptionFailed));
                assert!(completion.data.is_empty());
            }
            false => assert_eq!(completion.result, Ok(())),
        }
    }
    assert_eq!(all.len(), 16);
}

#[test]
fn i2_a_deadline_ends_each_operation_of_a_parcel_once() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    let mut late: Vec<Request> =
        requests(OPS).into_iter().map(|request| request.with_deadline_ns(SECOND)).collect();
    submit(&stand, &mut burst, &mut late);
    stand.runtime.clock().advance(2 * SECOND);
    let all = finish(&mut stand, &mut burst);
    assert_eq!(all.len(), OPS);
    // Whoever came first, the worker or the end of its time.
    let timed_out = |completion: &&Completion| completion.outcome() == Outcome::TimedOut;
    assert!([0, OPS].contains(&all.iter().filter(timed_out).count()));
    sums_hold(&stand, OPS as u64);
}

/// What happens to the runtime while a parcel lies in the queue of the first device.
type Event = (&'static str, fn(&Stand));

const EVENTS: [Event; 8] = [
    ("removed", |stand| stand.runtime.remove_device("moody0", SECOND, 0).unwrap()),
    ("removed at once", |stand| stand.runtime.remove_device("moody0", 0, 0).unwrap()),
    ("drained", |stand| stand.runtime.drain_device("moody0", SECOND, 0).unwrap()),
    ("broken", |stand| stand.runtime.break_device("moody0", None, 0).unwrap()),
    ("placed anew", |stand| stand.runtime.rehash(0)),
    ("late", |stand| {
        stand.runtime.break_device("moody0", Some(FaultSpec::new(FaultMode::Delay)), 0).unwrap();
    }),
    ("watched", |stand| stand.runtime.set_shadow("moody0", 0.5, 0).unwrap()),
    ("with another key", |stand| stand.session.rekey(Key::new(vec![1; 16]), 0).unwrap()),
];

#[test]
fn i2_i4_a_parcel_outlives_what_happens_to_its_device() {
    for (name, event) in EVENTS {
        for seed in 0..8 {
            let mut stand = stand(Config { seed, ..Config::default() });
            let mut burst = stand.session.burst(64);
            submit(&stand, &mut burst, &mut requests(OPS));
            event(&stand);
            let all = finish(&mut stand, &mut burst);
            assert_eq!(all.len(), OPS, "{name}");
            all_right(&all, OPS);
            sums_hold(&stand, OPS as u64);
        }
    }
}

#[test]
fn i5_the_end_of_a_session_waits_for_its_parcel_and_not_longer() {
    let mut stand = stand(Config::default());
    let session = session(&stand.runtime, Algorithm::Aes128Ctr);
    let mut burst = session.burst(64);
    submit(&stand, &mut burst, &mut requests(OPS));
    drop((burst, session));
    assert_eq!(stand.runtime.stats().main_queue_ops, OPS as u64);
    stand.simulation.advance(SECOND);
    assert_eq!((stand.runtime.stats().main_queue_ops, stand.runtime.stats().completed_ops), (0, OPS as u64));
    assert_eq!(stand.runtime.sessions().len(), 1, "the one of the stand");
}

#[test]
fn i7_the_main_queue_counts_operations_and_not_parcels() {
    const LIMIT: usize = 40;
    let mut stand = stand(Config { main_queue_max_ops: LIMIT, ..Config::default() });
    let mut burst = stand.session.burst(200);
    let mut all_requests = requests(LIMIT + 1);
    assert_eq!(burst.submit(&mut all_requests), LIMIT);
    assert_eq!(all_requests.iter().map(|request| request.user_data).collect::<Vec<_>>(), [LIMIT as u64]);
    assert_eq!(stand.runtime.stats().main_queue_ops, LIMIT as u64);
    assert_eq!(burst.submit(&mut all_requests), 0, "one more than the limit");
    let mut all = finish(&mut stand, &mut burst);
    assert_eq!(burst.submit(&mut all_requests), 1);
    all.extend(finish(&mut stand, &mut burst));
    all_right(&all, LIMIT + 1);
    sums_hold(&stand, LIMIT as u64 + 1);
}

#[test]
fn i7_a_parcel_that_nobody_fetches_keeps_no_slot() {
    const LIMIT: usize = 32;
    for is_done in [false, true] {
        let mut stand = stand(Config { main_queue_max_ops: LIMIT, ..Config::default() });
        let mut burst = stand.session.burst(LIMIT);
        submit(&stand, &mut burst, &mut requests(LIMIT));
        if is_done {
            stand.simulation.advance(SECOND);
        }
        drop(burst);
        stand.simulation.advance(SECOND);
        sums_hold(&stand, LIMIT as u64);
        let mut burst = stand.session.burst(LIMIT);
        assert_eq!(burst.submit(&mut requests(LIMIT)), LIMIT);
    }
}

#[test]
fn i2_a_parcel_goes_on_after_a_shutdown() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    submit(&stand, &mut burst, &mut requests(OPS));
    stand.runtime.shutdown();
    assert_eq!(burst.submit(&mut requests(OPS)), 0);
    assert!(burst.refused().iter().all(|refused| refused.error == Error::ShuttingDown));
    all_right(&finish(&mut stand, &mut burst), OPS);
}

#[test]
fn i2_the_end_of_a_runtime_ends_each_operation_of_a_parcel() {
    for _ in 0..50 {
        let config = Config { workers: 1, inline_max_ns: 0, ..Config::default() };
        let runtime = Runtime::start(config).unwrap();
        runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
        let mut burst = session(&runtime, Algorithm::Aes128Ctr).burst(64);
        assert_eq!(burst.submit(&mut requests(OPS)), OPS);
        drop(runtime);
        let mut all = Vec::new();
        assert_eq!(burst.poll(&mut all, usize::MAX), OPS, "no thread is left that could bring one later");
        all.sort_by_key(|completion| completion.user_data);
        // The worker may have been quicker.
        if all.iter().all(|completion| completion.outcome() == Outcome::Done) {
            all_right(&all, OPS);
            continue;
        }
        for (completion, request) in all.iter().zip(requests(OPS)) {
            assert_eq!(completion.result, Err(OpError::Cancelled));
            assert_eq!((completion.user_data, &completion.data), (request.user_data, &request.data));
            assert!(completion.source_intact);
        }
    }
}

#[test]
fn what_is_not_alike_goes_apart() {
    let mut stand = stand(Config::default());
    let mut burst = stand.session.burst(64);
    let mut mixed = requests(8);
    mixed[4].deadline_ns = SECOND;
    mixed[6] = Request::encrypt_with_runtime_iv(vec![6; 100]).with_user_data(6);
    assert_eq!(burst.submit(&mut mixed), 8);
    assert_eq!(together(&stand.runtime), [4], "up to the first that differs");
    assert_eq!(finish(&mut stand, &mut burst).len(), 8);
    sums_hold(&stand, 8);

    let mut few = requests(3);
    assert_eq!(burst.submit(&mut few), 3);
    assert!(together(&stand.runtime).is_empty());
    assert_eq!(finish(&mut stand, &mut burst).len(), 3);

    let mut wrong = requests(8);
    wrong[5].iv = acrypto_core::Iv::NONE;
    assert_eq!(burst.submit(&mut wrong), 7);
    let refused = burst.refused();
    assert_eq!((refused.len(), refused[0].request.user_data, refused[0].request.data.len()), (1, 5, 100));
    assert_eq!(finish(&mut stand, &mut burst).len(), 7);
    sums_hold(&stand, 18);
}
