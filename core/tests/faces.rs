//! Every way to submit gives every result back, once, and equal to the direct library call.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use acrypto_core::{
    Algorithm, Completion, Config, Iv, Key, OpError, OpKind, Padding, Request, Runtime, Session, SessionSpec,
    block_on,
};

const KEY: [u8; 16] = [0x2b; 16];
const IV: [u8; 16] = [9; 16];

fn runtime_of(devices: &[(&str, &str)]) -> Runtime {
    let runtime = Runtime::start(Config { workers: 2, statistics: 2, ..Config::default() }).unwrap();
    for (name, kind) in devices {
        runtime.add_device_of_kind(name, kind, &[], 0).unwrap();
    }
    runtime
}

fn ctr(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(KEY.to_vec())).unwrap()
}

/// The direct library call.
fn expected(len: usize) -> Vec<u8> {
    use ctr::cipher::{KeyIvInit, StreamCipher};
    let mut data = vec![1; len];
    ctr::Ctr128BE::<aes::Aes128>::new(&KEY.into(), &IV.into()).apply_keystream(&mut data);
    data
}

fn check(completion: &Completion, len: usize) {
    assert_eq!(completion.result, Ok(()));
    assert_eq!(completion.data, expected(len));
    assert!(completion.device.is_some() && completion.attempts == 1);
}

#[test]
fn an_awaited_operation_gives_the_bytes_of_the_library() {
    let runtime = runtime_of(&[("soft0", "soft"), ("sim0", "sim")]);
    let session = ctr(&runtime);
    for len in [0, 1, 15, 16, 64, 1_000, 20_000, 300_000] {
        for _ in 0..4 {
            check(&block_on(session.submit(Request::encrypt(vec![1; len], IV))).unwrap(), len);
        }
    }
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops, stats.main_queue_ops), (32, 32, 0));
}

#[test]
fn a_batch_keeps_the_order_of_its_requests_and_one_bad_one_fails_alone() {
    let runtime = runtime_of(&[("soft0", "soft"), ("soft1", "soft"), ("sim0", "sim")]);
    let session = ctr(&runtime);
    let mut requests: Vec<Request> = (0..500).map(|len| Request::encrypt(vec![1; len], IV)).collect();
    requests[77].iv = Iv::from([0; 12]);
    let results = block_on(session.submit_batch(requests));
    assert_eq!(results.len(), 500);
    for (len, result) in results.iter().enumerate() {
        match result {
            Ok(completion) => check(completion, len),
            Err(refused) => {
                assert_eq!(len, 77);
                assert_eq!(refused.to_string(), "aes-128-ctr needs an iv of 16 bytes, got 12");
                assert_eq!(refused.request.data, vec![1; 77]);
            }
        }
    }
    assert!(results[77].is_err());
}

#[test]
fn a_burst_ring_gives_back_what_was_submitted() {
    let runtime = runtime_of(&[("soft0", "soft")]);
    let session = ctr(&runtime);
    let mut burst = session.burst(32);
    let mut requests: Vec<Request> =
        (0..1_000_u64).map(|number| Request::encrypt(vec![1; 64], IV).with_user_data(number)).collect();
    let mut completions = Vec::new();
    while completions.len() < 1_000 {
        let before = requests.len();
        let accepted = burst.submit(&mut requests);
        assert_eq!(before - requests.len(), accepted);
        assert!(burst.outstanding_ops() <= 32);
        burst.poll(&mut completions, 32);
    }
    let mut seen: Vec<u64> = completions.iter().map(|completion| completion.user_data).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    completions.iter().for_each(|completion| check(completion, 64));
}

#[test]
fn a_callback_is_called_once_for_each_operation() {
    let runtime = runtime_of(&[("soft0", "soft"), ("sim0", "sim")]);
    let session = ctr(&runtime);
    let (sum, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (sender, receiver) = std::sync::mpsc::channel();
    let callback = {
        let (sum, count) = (Arc::clone(&sum), Arc::clone(&count));
        session.with_callback(move |completion| {
            sum.fetch_add(completion.user_data, Ordering::Relaxed);
            if count.fetch_add(1, Ordering::AcqRel) == 499 {
                sender.send(()).unwrap();
            }
        })
    };
    for number in 0..500 {
        callback.submit(Request::encrypt(vec![1; 64], IV).with_user_data(number)).unwrap();
    }
    drop(callback);
    receiver.recv().unwrap();
    assert_eq!((count.load(Ordering::Acquire), sum.load(Ordering::Relaxed)), (500, 499 * 500 / 2));
}

#[test]
fn threads_that_call_get_their_own_results() {
    let runtime = runtime_of(&[("soft0", "soft"), ("soft1", "soft")]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let session = ctr(&runtime);
            std::thread::spawn(move || {
                for len in 0..500 {
                    check(&session.call(Request::encrypt(vec![1; len], IV)).unwrap(), len);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = runtime.stats();
    assert_eq!((stats.accepted_ops, stats.completed_ops), (2_000, 2_000));
    assert_eq!(stats.by_kind[OpKind::Encrypt as usize - 1], 2_000);
    assert_eq!(stats.total.count(), 2_000);
}

#[test]
fn a_stream_gives_the_bytes_of_one_operation() {
    let runtime = runtime_of(&[("soft0", "soft"), ("sim0", "sim")]);
    runtime.set_balancer("round_robin_lb", None, 0).unwrap();
    let plain: Vec<u8> = (0..10_000_u32).map(|byte| byte as u8).collect();
    for algorithm in [Algorithm::Aes128Ctr, Algorithm::Aes128Cbc] {
        let spec = SessionSpec::new(algorithm).padding(Padding::Pkcs7);
        let session = runtime.session(spec, Key::new(KEY.to_vec())).unwrap();
        let whole = session.call(Request::encrypt(plain.clone(), IV)).unwrap().data;
        for (kind, input, output) in [(OpKind::Encrypt, &plain, &whole), (OpKind::Decrypt, &whole, &plain)] {
            let mut stream = session.stream(kind, IV.into()).unwrap();
            let mut made = Vec::new();
            let (body, tail) = input.split_at(9_984);
            for chunk in body.chunks(1_664) {
                made.extend(stream.update_blocking(chunk.to_vec()).unwrap());
            }
            made.extend(stream.finish_blocking(tail.to_vec()).unwrap().0);
            assert_eq!(&made, output, "{algorithm} {kind}");
        }
    }
    let session = runtime.session(SessionSpec::new(Algorithm::HmacSha512), Key::new(vec![3; 200])).unwrap();
    let whole = session.call(Request::mac(plain.clone())).unwrap().output;
    let mut stream = session.stream(OpKind::Mac, Iv::NONE).unwrap();
    for chunk in plain[..9_984].chunks(1_664) {
        stream.update_blocking(chunk.to_vec()).unwrap();
    }
    assert_eq!(stream.finish_blocking(plain[9_984..].to_vec()).unwrap().1, whole);
}

#[test]
fn i4_a_forged_tag_and_bad_padding_release_nothing_and_look_alike() {
    let runtime = runtime_of(&[("soft0", "soft")]);
    let gcm = runtime.session(SessionSpec::new(Algorithm::Aes128Gcm), Key::new(KEY.to_vec())).unwrap();
    let mut sealed = gcm.call(Request::encrypt(b"secret".to_vec(), [1; 12]).with_aad(vec![5])).unwrap().data;
    let opened = gcm.call(Request::decrypt(sealed.clone(), [1; 12]).with_aad(vec![5])).unwrap();
    assert_eq!(opened.data, b"secret");
    sealed[0] ^= 1;
    let forged = gcm.call(Request::decrypt(sealed, [1; 12]).with_aad(vec![5])).unwrap();
    let spec = SessionSpec::new(Algorithm::Aes128Cbc).padding(Padding::Pkcs7);
    let cbc = runtime.session(spec, Key::new(KEY.to_vec())).unwrap();
    let padded = cbc.call(Request::decrypt(vec![0; 32], IV)).unwrap();
    for completion in [forged, padded] {
        assert_eq!(completion.result, Err(OpError::DecryptionFailed));
        assert!(completion.data.is_empty() && !completion.source_intact);
    }
    let device = runtime.device("soft0").unwrap();
    assert_eq!((device.errors_ops, device.state.name()), (0, "up"));
}

#[test]
fn a_dropped_runtime_ends_what_is_on_its_way() {
    let runtime = runtime_of(&[]);
    runtime.add_device_of_kind("sim0", "sim", &[], 0).unwrap();
    let session = ctr(&runtime);
    let results = std::thread::spawn(move || {
        let requests = (0..2_000).map(|_| Request::encrypt(vec![1; 64], IV)).collect();
        block_on(session.submit_batch(requests))
    });
    runtime.shutdown();
    drop(runtime);
    for result in results.join().unwrap() {
        match result {
            Ok(completion) if completion.result.is_ok() => check(&completion, 64),
            Ok(completion) => assert_eq!(completion.result, Err(OpError::Cancelled)),
            Err(refused) => assert_eq!(refused.to_string(), "runtime is shutting down"),
        }
    }
}
