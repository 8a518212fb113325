//! Operations that are called in place: what each is owed, and that it can be used again whatever came of it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use acrypto_core::device::fault::{FaultMode, FaultSpec};
use acrypto_core::{
    Algorithm, Bind, CallError, Config, Error, Iv, Key, Op, OpError, OpKind, Padding, Request, Runtime,
    Session, SessionSpec,
};
use proptest::prelude::*;

#[path = "direct_call/mod.rs"]
mod direct_call;

#[path = "moody/mod.rs"]
mod moody;

use direct_call::Job;
use moody::{Moody, PANICS, REFUSES, STOPS_HALF_WAY, WELL};

const IV: [u8; 16] = [9; 16];

/// A moody device, and another one to fall back on.
fn with_moody(config: Config) -> (Runtime, Arc<AtomicU8>) {
    let runtime = Runtime::start(Config { workers: 1, error_budget_ops: 1_000_000, ..config }).unwrap();
    let (engine, mood) = Moody::engine(|place| place % 3 == 0);
    runtime.add_device("moody0", engine, 0).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    (runtime, mood)
}

fn session(runtime: &Runtime, algorithm: Algorithm) -> Session {
    let spec = SessionSpec::new(algorithm).bind(Bind::prefer("moody0"));
    runtime.session(spec, direct_call::key(algorithm)).unwrap()
}

fn ops(count: usize) -> Vec<Op> {
    let request = |number| Request::encrypt(vec![number as u8; 100], IV).with_user_data(number as u64);
    (0..count).map(|number| Op::new(request(number))).collect()
}

/// Encrypted twice in counter mode is what it was.
fn are_as_they_were(ops: &[Op]) {
    for (number, op) in ops.iter().enumerate() {
        assert_eq!(op.request.data, vec![number as u8; 100], "{number}");
        assert_eq!((op.request.user_data, op.request.iv), (number as u64, Iv::from(IV)));
        assert_eq!(op.request.kind, Some(OpKind::Encrypt));
    }
}

fn sums_hold(runtime: &Runtime, ops: u64) {
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (ops, ops, 0));
    assert_eq!((stats.dispatched_ops, stats.started_ops, stats.finished_ops), (ops, ops, ops));
    assert_eq!(stats.by_kind.iter().sum::<u64>(), ops);
    let sessions = runtime.sessions();
    assert_eq!(sessions.iter().map(|session| session.submitted_ops).sum::<u64>(), ops);
    assert_eq!(sessions.iter().map(|session| session.completed_ops).sum::<u64>(), ops);
    assert_eq!(runtime.tenants().iter().map(|tenant| tenant.completed_ops).sum::<u64>(), ops);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of any algorithms, in any order, in a session each or several, at once or by way of the queue, again and again.
    #[test]
    fn i4_each_gives_what_a_direct_call_gives(
        picks in prop::collection::vec((0..direct_call::ALGORITHMS.len(), 0..40_u64), 1..90),
        calls in 1..4_usize,
        (inline, own_ring) in (any::<bool>(), any::<bool>()),
    ) {
        let limit = if inline { Config::default().inline_max_ns } else { 0 };
        let (runtime, _) = with_moody(Config { inline_max_ns: limit, ..Config::default() });
        let sessions = direct_call::ALGORITHMS.map(|algorithm| session(&runtime, algorithm));
        let jobs: Vec<(usize, Job)> = picks
            .iter()
            .map(|(place, number)| (*place, Job::new(direct_call::ALGORITHMS[*place], *number)))
            .collect();
        let mut ops: Vec<(&Session, Op)> =
            jobs.iter().map(|(place, job)| (&sessions[*place], Op::new(job.request()))).collect();
        let mut ring = sessions[0].burst(1);
        for _ in 0..calls {
            let succeeded = if own_ring { ring.call_each_in(&mut ops) } else { runtime.call_each(&mut ops) };
            prop_assert_eq!(succeeded, ops.len());
            for ((_, job), (_, op)) in jobs.iter().zip(&mut ops) {
                let asked = job.request();
                prop_assert_eq!(&op.result, &Ok(()));
                prop_assert_eq!(&op.request.data, &job.data_after);
                prop_assert_eq!(op.output.as_slice(), &job.output[..]);
                prop_assert_eq!((op.request.kind, op.request.user_data), (asked.kind, asked.user_data));
                prop_assert_eq!((&op.request.aad, op.iv()), (&asked.aad, asked.iv));
                prop_assert!(op.device.is_some() && op.attempts == 1);
                op.request.data = asked.data;
            }
        }
        sums_hold(&runtime, (calls * ops.len()) as u64);
    }
}

#[test]
fn i1_i2_what_a_device_fails_is_carried_out_elsewhere() {
    let (runtime, mood) = with_moody(Config::default());
    let session = session(&runtime, Algorithm::Aes128Ctr);
    let mut ops = ops(64);
    for failing in [REFUSES, WELL, REFUSES, REFUSES] {
        mood.store(failing, Ordering::Relaxed);
        assert_eq!(session.call_each(&mut ops), 64);
        for (number, op) in ops.iter().enumerate() {
            let attempts = if failing == REFUSES && number % 3 == 0 { 2 } else { 1 };
            assert_eq!((&op.result, op.attempts), (&Ok(()), attempts));
        }
    }
    are_as_they_were(&ops);
    sums_hold(&runtime, 4 * 64);
}

#[test]
fn i4_what_was_left_half_done_is_wiped_and_told() {
    let (runtime, mood) = with_moody(Config::default());
    let session = session(&runtime, Algorithm::Aes128Ctr);
    for (failing, broken) in [(STOPS_HALF_WAY, 11), (PANICS, 32)] {
        mood.store(failing, Ordering::Relaxed);
        let mut ops = ops(32);
        let before = runtime.stats().completed_ops;
        assert_eq!(session.call_each(&mut ops), 32 - broken);
        let failed: Vec<&Op> = ops.iter().filter(|op| op.result.is_err()).collect();
        assert_eq!(failed.len(), broken);
        for op in failed {
            assert!(matches!(op.result, Err(CallError::Op(OpError::Broken { attempts: 1, .. }))));
            assert!(op.request.data.iter().all(|byte| *byte == 0));
        }
        sums_hold(&runtime, before + 32);
    }
}

#[test]
fn i4_a_forgery_releases_nothing_and_its_neighbours_pass() {
    let (runtime, _) = with_moody(Config::default());
    let session = session(&runtime, Algorithm::Aes256Gcm);
    let sealed = |number: u64| Op::new(Job::new(Algorithm::Aes256Gcm, number * 6 + 1).request());
    let mut ops: Vec<Op> = (0..20).filter(|number| number % 2 == 0).map(sealed).collect();
    ops[3].request.data[0] ^= 1;
    ops[5].request.aad[0] ^= 1;
    assert_eq!(session.call_each(&mut ops), 8);
    for (number, op) in ops.iter().enumerate() {
        match number {
            3 | 5 => {
                assert_eq!(op.result, Err(CallError::Op(OpError::DecryptionFailed)));
                assert!(op.request.data.is_empty());
            }
            _ => assert_eq!(op.result, Ok(())),
        }
        assert!(!op.request.aad.is_empty(), "what was asked stays");
    }
    sums_hold(&runtime, 10);
}

#[test]
fn i5_a_runtime_iv_is_new_in_each_call() {
    let (runtime, _) = with_moody(Config::default());
    let session = session(&runtime, Algorithm::Aes256Gcm);
    let mut ops: Vec<Op> =
        (0..8).map(|byte| Op::new(Request::encrypt_with_runtime_iv(vec![byte; 40]))).collect();
    let mut seen = HashSet::new();
    for _ in 0..3 {
        assert_eq!(session.call_each(&mut ops), 8);
        for op in &mut ops {
            assert!(op.request.runtime_iv && op.request.iv.is_empty(), "the request is as it was");
            assert!(seen.insert(op.iv().as_slice().to_vec()) && op.iv().len() == 12);
            op.request.data.truncate(40);
        }
    }
    // One with an iv of its own among them has just that one.
    ops[3].request = Request::encrypt(vec![3; 40], [5; 12]);
    assert_eq!(session.call_each(&mut ops), 8);
    assert_eq!(ops[3].iv(), Iv::from([5; 12]));
}

#[test]
fn what_is_refused_comes_back_as_it_was_and_the_rest_goes_on() {
    let (runtime, _) = with_moody(Config { op_max_bytes: 200, ..Config::default() });
    let session = session(&runtime, Algorithm::Aes128Ctr);
    let mut ops = ops(10);
    ops[2].request.iv = Iv::from([1; 12]);
    ops[7].request.data = vec![7; 201];
    for (calls, expected) in [(1, 8), (2, 8)] {
        assert_eq!(session.call_each(&mut ops), expected, "call {calls}");
        let refused = |place: usize| match &ops[place].result {
            Err(CallError::Refused(error)) => (**error).clone(),
            other => panic!("{place}: {other:?}"),
        };
        assert!(matches!(refused(2), Error::IvLength { want: 16, got: 12, .. }));
        assert_eq!(refused(7), Error::OpTooLarge { got: 201, limit: 200 });
        assert_eq!((ops[2].request.data.len(), ops[7].request.data.len()), (100, 201));
        assert!(ops[2].device.is_none() && ops[2].attempts == 0);
    }
    ops[7].request.data.truncate(200);
    assert_eq!(session.call_each(&mut ops[7..8]), 1, "one byte less fits");

    let (other, _) = with_moody(Config::default());
    let foreign = other.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![1; 16])).unwrap();
    let mut mixed: Vec<(&Session, Op)> = self::ops(6)
        .into_iter()
        .zip([&session, &foreign].into_iter().cycle())
        .map(|(op, of)| (of, op))
        .collect();
    assert_eq!(runtime.call_each(&mut mixed), 3);
    for (number, (_, op)) in mixed.iter().enumerate() {
        let is_refused = matches!(&op.result, Err(CallError::Refused(error)) if matches!(**error, Error::UnknownSession { .. }));
        assert_eq!((is_refused, op.request.data.len()), (number % 2 == 1, 100));
    }

    runtime.shutdown();
    assert_eq!(session.call_each(&mut ops), 0);
    for op in &ops {
        assert_eq!(op.result, Err(CallError::Refused(Box::new(Error::ShuttingDown))));
    }
}

#[test]
fn i7_a_call_of_more_than_the_main_queue_holds_is_refused_in_part() {
    const LIMIT: usize = 40;
    let config = Config { main_queue_max_ops: LIMIT, inline_max_ns: 0, ..Config::default() };
    let runtime = Runtime::start(Config { workers: 1, ..config }).unwrap();
    // It never answers: what is accepted stays until its time is over.
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    runtime.break_device("soft0", Some(FaultSpec::new(FaultMode::Hang)), 0).unwrap();
    let spec = SessionSpec::new(Algorithm::Aes128Ctr).deadline_ns(200_000_000);
    let session = runtime.session(spec, Key::new(vec![1; 16])).unwrap();
    let mut ops = ops(LIMIT + 1);
    assert_eq!(session.call_each(&mut ops), 0);
    let refused = |op: &&Op| matches!(&op.result, Err(CallError::Refused(error)) if matches!(**error, Error::Full { .. }));
    assert_eq!(ops.iter().filter(refused).count(), 1);
    let timed_out = |op: &&Op| matches!(op.result, Err(CallError::Op(OpError::TimedOut { .. })));
    assert_eq!(ops.iter().filter(timed_out).count(), LIMIT);
    are_as_they_were(&ops);
}

#[test]
fn padding_and_input_that_lies_elsewhere_go_the_longer_way() {
    let (runtime, _) = with_moody(Config::default());
    let spec = SessionSpec::new(Algorithm::Aes256Cbc).padding(Padding::Pkcs7);
    let session = runtime.session(spec, Key::new(vec![7; 32])).unwrap();
    let source = Arc::new(vec![4; 50]);
    let mut ops = vec![
        Op::new(Request::encrypt(vec![3; 50], IV)),
        Op::new(Request::encrypt_from(Arc::clone(&source), IV)),
        Op::new(Request::scattered(OpKind::Encrypt, vec![vec![5; 20], vec![5; 30]]).with_iv(IV.into())),
    ];
    assert_eq!(session.call_each(&mut ops), 3);
    assert_eq!((ops[0].request.data.len(), ops[1].request.data.len()), (64, 64));
    assert_eq!(ops[2].request.segments().iter().map(Vec::len).collect::<Vec<_>>(), [20, 44]);
    assert!(ops[1].request.source().is_some() && *source == [4; 50]);

    for (op, length) in ops.iter_mut().zip([50, 0, 50]) {
        op.request.kind = Some(OpKind::Decrypt);
        if length == 0 {
            op.request = Request::decrypt(std::mem::take(&mut op.request.data), IV);
        }
    }
    assert_eq!(session.call_each(&mut ops), 3);
    assert_eq!((&ops[0].request.data[..], &ops[1].request.data[..]), (&[3; 50][..], &[4; 50][..]));
    assert_eq!(ops[2].request.segments().concat(), [5; 50]);
}

#[test]
fn an_operation_takes_the_key_of_its_time() {
    let (runtime, _) = with_moody(Config::default());
    let session = session(&runtime, Algorithm::Aes128Ctr);
    let mut ring = session.burst(1);
    let mut ops = ops(8);
    assert_eq!(ring.call_each(&mut ops), 8);
    let first = ops[0].request.data.clone();
    session.rekey(Key::new(vec![1; 16]), 0).unwrap();
    ops[0].request.data = vec![0; 100];
    assert_eq!(ring.call_each(&mut ops), 8);
    assert_ne!(ops[0].request.data, first);
    session.rekey(direct_call::key(Algorithm::Aes128Ctr), 0).unwrap();
    ops[0].request.data = vec![0; 100];
    assert_eq!(ring.call_each(&mut ops), 8);
    assert_eq!(ops[0].request.data, first);
}

#[test]
fn nothing_is_nothing() {
    let (runtime, _) = with_moody(Config::default());
    let session = session(&runtime, Algorithm::Aes128Ctr);
    assert_eq!((session.call_each(&mut []), runtime.call_each(&mut [])), (0, 0));
    sums_hold(&runtime, 0);
}
