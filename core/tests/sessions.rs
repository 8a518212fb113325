//! Sessions that take turns on a device with little room, and streams that meet a full queue.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use acrypto_core::device::{DeviceInfo, DirectDevice, Handle, Run, Score, soft::Soft};
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Config, Engine, Error, Key, OpKind, Padding, Request, Runtime, SessionSpec, StreamError,
};

const IV: [u8; 16] = [9; 16];

/// `Soft` with room for two sessions.
struct Cramped(Soft);

impl DirectDevice for Cramped {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { sessions_max: 2, ..self.0.info() }
    }
    fn probe(&self, spec: &SessionSpec) -> Option<Score> {
        self.0.probe(spec)
    }
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error> {
        self.0.open(spec, key)
    }
    fn close(&self, handle: Handle) {
        self.0.close(handle);
    }
    fn execute(&self, run: &mut Run<'_>) {
        self.0.execute(run);
    }
}

#[test]
fn i4_sessions_that_make_room_for_each_other_keep_their_own_keys() {
    let mut simulation = Simulation::new(Config { workers: 1, inline_max_ns: 0, ..Config::default() });
    let runtime = simulation.runtime().clone();
    runtime.add_device("cramped", Engine::Direct(Arc::new(Cramped(Soft::new()))), 0).unwrap();
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
