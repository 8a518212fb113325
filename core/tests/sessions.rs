//! Sessions that take turns on a device with little room, and streams that meet a full queue.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use acrypto_core::device::{DeviceInfo, DirectDevice, Handle, Run, Score, soft::Soft};
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Config, Engine, Error, Key, OpKind, Padding, Request, Runtime, SessionSpec, StreamError,
};

const IV: [u8; 16] = [9; 16];

/// `Soft` with room for two sessions; it counts those that are open on it.
#[derive(Default)]
struct Cramped {
    soft: Soft,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl DirectDevice for Cramped {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { sessions_max: 2, ..self.soft.info() }
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.soft.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_open.fetch_max(open, Ordering::Relaxed);
        self.soft.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.soft.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        self.soft.execute(run);
    }
}

#[test]
fn i4_sessions_that_make_room_for_each_other_keep_their_own_keys() {
    let mut simulation = Simulation::new(Config { workers: 1, inline_max_ns: 0, ..Config::default() });
    let runtime = simulation.runtime().clone();
    runtime.add_device("cramped", Engine::Direct(Arc::new(Cramped::default())), 0).unwrap();
    let own = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    own.add_device_of_kind("soft0", "soft", &[], 0).unwrap();

    let spec = SessionSpec::new(Algorithm::Aes128Ctr);
    let session =
        |runtime: &Runtime, key: u8| runtime.session(spec.clone(), Key::new(vec![key; 16])).unwrap();
    let mut bursts: Vec<_> = (0..5_u8).map(|key| (key, session(&runtime, key).burst(8))).collect();
    for round in 0..20 {
        for (key, burst) in &mut bursts {
            // Nothing is carried out yet: the operations of all sessions lie in one queue.
            let mut requests =
                vec![Request::encrypt(vec![*key; 64], IV), Request::encrypt(vec![round; 64], IV)];
            assert_eq!(burst.submit(&mut requests), 2);
        }
        while simulation.step() {}
        for (key, burst) in &mut bursts {
            let mut completions = Vec::new();
            assert_eq!(burst.poll(&mut completions, 8), 2);
            for (completion, byte) in completions.iter().zip([*key, round]) {
                let expected = session(&own, *key).call(Request::encrypt(vec![byte; 64], IV)).unwrap();
                assert_eq!(completion.data, expected.data, "key {key}");
            }
        }
    }
}

#[test]
fn i4_sessions_of_one_batch_do_not_close_each_other_on_a_device_with_little_room() {
    let simulation = Simulation::new(Config { workers: 1, ..Config::default() });
    let runtime = simulation.runtime().clone();
    let device = Arc::new(Cramped::default());
    runtime.add_device("cramped", Engine::Direct(Arc::clone(&device) as Arc<dyn DirectDevice>), 0).unwrap();
    let own = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    own.add_device_of_kind("soft0", "soft", &[], 0).unwrap();

    let spec = SessionSpec::new(Algorithm::Aes128Ctr);
    let sessions = |runtime: &Runtime| -> Vec<_> {
        (0..5).map(|key| runtime.session(spec.clone(), Key::new(vec![key; 16])).unwrap()).collect()
    };
    let (cramped, roomy) = (sessions(&runtime), sessions(&own));
    let mut burst = cramped[0].burst(32);
    for round in 0..20 {
        // One order in which sessions come back after they had to make room, and one in which each comes once.
        let order: Vec<usize> = (0..12).map(|place| (place * (1 + round % 3) + round) % 5).collect();
        let mut requests: Vec<_> = order
            .iter()
            .map(|number| (&cramped[*number], Request::encrypt(vec![*number as u8; 64], IV)))
            .collect();
        let mut completions = Vec::new();
        while completions.len() < order.len() {
            let submitted = burst.submit_each(&mut requests);
            assert_eq!(burst.poll(&mut completions, 32), submitted, "all of it at once");
            assert!(submitted > 0);
        }
        for (number, completion) in order.iter().zip(completions) {
            let expected = roomy[*number].call(Request::encrypt(vec![*number as u8; 64], IV)).unwrap();
            assert_eq!(completion.data, expected.data, "round {round}, key {number}");
        }
    }
    assert_eq!(device.most_open.load(Ordering::Relaxed), 2);
}

#[test]
fn a_refused_chunk_leaves_the_stream_as_it_was() {
    // What is carried out at once needs no place in the main queue.
    let config = Config { workers: 1, main_queue_max_ops: 1, inline_max_ns: 0, ..Config::default() };
    let runtime = Runtime::start(config).unwrap();
    runtime.add_device_of_kind("soft0", "soft", &[], 0).unwrap();
    let spec = SessionSpec::new(Algorithm::Aes128Cbc).padding(Padding::Pkcs7);
    let session = runtime.session(spec, Key::new(vec![7; 16])).unwrap();
    let plain: Vec<u8> = (0..100).collect();
    let sealed = session.call(Request::encrypt(plain.clone(), IV)).unwrap().data;

    let mut stream = session.stream(OpKind::Decrypt, IV.into()).unwrap();
    let mut opened = stream.update_blocking(sealed[..48].to_vec()).unwrap();
    let mut occupant = session.burst(1);
    occupant.submit(&mut vec![Request::encrypt(vec![0; 16], IV)]);
    let refused = stream.update_blocking(sealed[48..96].to_vec()).unwrap_err();
    let chunk = match refused {
        StreamError::Refused { error: Error::Full { limit: 1 }, chunk } => chunk,
        other => panic!("{other}"),
    };
    assert_eq!(chunk, sealed[48..96]);
    while occupant.poll(&mut Vec::new(), 1) == 0 {}
    opened.extend(stream.update_blocking(chunk).unwrap());

    occupant.submit(&mut vec![Request::encrypt(vec![0; 16], IV)]);
    let refused = stream.finish_blocking(sealed[96..].to_vec()).unwrap_err();
    let last = match refused {
        StreamError::Refused { error: Error::Full { limit: 1 }, chunk } => chunk,
        other => panic!("{other}"),
    };
    assert_eq!(last, sealed[96..]);
    while occupant.poll(&mut Vec::new(), 1) == 0 {}
    opened.extend(stream.finish_blocking(last).unwrap().0);
    assert_eq!(opened, plain);
    assert!(matches!(stream.finish_blocking(Vec::new()), Err(StreamError::BrokenOff)));
}
