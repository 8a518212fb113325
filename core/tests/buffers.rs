//! Where the bytes of an operation lie: in place, out of place, or scattered, it is the same operation.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use acrypto_core::buffers::SEGMENTS_MAX;
use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DeviceError, DeviceInfo, DirectDevice, Engine, Handle, Run, Score};
use acrypto_core::error::Progress;
use acrypto_core::simulation::Simulation;
use acrypto_core::{
    Algorithm, Bind, BufferPool, Completion, Config, DeviceState, Error, FaultMode, FaultSpec, Iv, Key,
    OpError, OpKind, Padding, Request, Runtime, Session, SessionSpec, Source, Stage, block_on,
};
use allocation_counter::measure;

/// Kinds of device that are there in every build, and those of this one.
const DEVICES: &[&str] = &[
    "soft",
    "sim",
    "multi",
    #[cfg(feature = "aws-lc")]
    "aws-lc",
];

const AAD: &[u8] = b"with it";

/// An algorithm, its padding, and lengths to try.
type Case = (Algorithm, Padding, &'static [usize]);

const CASES: [Case; 9] = [
    (Algorithm::Aes128Ctr, Padding::None, &[0, 1, 33]),
    (Algorithm::Aes256Cbc, Padding::None, &[0, 32]),
    (Algorithm::Aes256Cbc, Padding::Pkcs7, &[0, 5, 32]),
    (Algorithm::Aes128Ecb, Padding::None, &[32]),
    (Algorithm::Aes256Gcm, Padding::None, &[0, 21]),
    (Algorithm::ChaCha20Poly1305, Padding::None, &[0, 21]),
    (Algorithm::Aes128CbcHmacSha256, Padding::Pkcs7, &[0, 21]),
    (Algorithm::Sha256, Padding::None, &[0, 70]),
    (Algorithm::HmacSha256, Padding::None, &[0, 70]),
];

fn runtime(kind: &str) -> Runtime {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device_of_kind("dut", kind, &[], 0).unwrap();
    // For what the device cannot do.
    runtime.add_device_of_kind("other", "soft", &[], 0).unwrap();
    runtime
}

fn key(algorithm: Algorithm) -> Key {
    Key::new(vec![7; *algorithm.key_len().start()])
}

fn session(runtime: &Runtime, algorithm: Algorithm, padding: Padding) -> Session {
    let spec = SessionSpec::new(algorithm).padding(padding).allow_ecb(true).bind(Bind::prefer("dut"));
    runtime.session(spec, key(algorithm)).unwrap()
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + 5) as u8).collect()
}

fn dress(request: Request, algorithm: Algorithm) -> Request {
    let request = request.with_iv(Iv::new(&[9; 16][..algorithm.iv_len()]).unwrap());
    if algorithm.is_authenticated() { request.with_aad(AAD.to_vec()) } else { request }
}

fn call(session: &Session, request: Request) -> Completion {
    session.call(dress(request, session.spec().algorithm)).unwrap()
}

/// Every way to cut `data` in three.
fn cuts(data: &[u8]) -> impl Iterator<Item = Vec<Vec<u8>>> {
    (0..=data.len()).flat_map(move |first| {
        (first..=data.len()).map(move |second| {
            vec![data[..first].to_vec(), data[first..second].to_vec(), data[second..].to_vec()]
        })
    })
}

fn same_in_every_layout(session: &Session, kind: OpKind, input: &[u8]) -> Vec<u8> {
    let in_place = call(session, Request::new(kind, input.to_vec()));
    assert_eq!(in_place.result, Ok(()));
    let has_output = matches!(kind, OpKind::Digest | OpKind::Mac);
    let made: &[u8] = if has_output { &[] } else { &in_place.data };

    let source = Arc::new([b"head", input, b"tail"].concat());
    let part = Source::from(Arc::clone(&source)).slice(4..4 + input.len()).unwrap();
    let destination = Vec::with_capacity(256);
    let place = destination.as_ptr();
    let mut out_of_place = call(session, Request::from_source(kind, part).into_data(destination));
    assert_eq!(out_of_place.result, Ok(()));
    assert_eq!((&*out_of_place.data, out_of_place.data.as_ptr()), (made, place), "{kind}");
    assert_eq!(out_of_place.output, in_place.output);
    assert_eq!(&*out_of_place.take_source().unwrap(), input);
    assert!(*source == [b"head", input, b"tail"].concat());

    for segments in cuts(input) {
        let lengths: Vec<usize> = segments.iter().map(Vec::len).collect();
        let mut scattered = call(session, Request::scattered(kind, segments));
        assert_eq!(scattered.result, Ok(()));
        assert_eq!((&*scattered.data, scattered.output), (&[][..], in_place.output));
        let back = scattered.take_segments();
        let expected = if has_output { input } else { made };
        assert_eq!(back.concat(), expected, "{kind} of {lengths:?}");
        let is_in_place = |(at, (segment, length)): (usize, (&Vec<u8>, &usize))| {
            segment.len() == *length || at == 2 || expected.len() < input.len()
        };
        assert!(back.iter().zip(&lengths).enumerate().all(is_in_place), "{kind} of {lengths:?}");
    }
    in_place.data
}

#[test]
fn i4_every_layout_gives_the_same_bytes_on_every_device() {
    for device in DEVICES {
        let runtime = runtime(device);
        for (algorithm, padding, lengths) in CASES {
            let session = session(&runtime, algorithm, padding);
            for length in lengths {
                let input = text(*length);
                match algorithm.ops() {
                    [kind] => {
                        same_in_every_layout(&session, *kind, &input);
                    }
                    _ => {
                        let sealed = same_in_every_layout(&session, OpKind::Encrypt, &input);
                        assert_eq!(same_in_every_layout(&session, OpKind::Decrypt, &sealed), input);
                    }
                }
            }
        }
    }
}

#[test]
fn i4_a_forgery_leaves_the_source_and_nothing_else() {
    for device in DEVICES {
        let runtime = runtime(device);
        for algorithm in [Algorithm::Aes256Gcm, Algorithm::Aes128CbcHmacSha256] {
            let session = session(&runtime, algorithm, Padding::Pkcs7);
            let mut forged = call(&session, Request::new(OpKind::Encrypt, text(40))).data;
            *forged.last_mut().unwrap() ^= 1;

            let request = Request::from_source(OpKind::Decrypt, forged.clone()).into_data(vec![0xaa; 100]);
            let mut completion = call(&session, request);
            assert_eq!(completion.result, Err(OpError::DecryptionFailed));
            assert!(completion.data.is_empty() && completion.source_intact);
            assert_eq!(&*completion.take_source().unwrap(), &*forged);

            let segments = vec![forged[..45].to_vec(), forged[45..].to_vec()];
            let mut completion = call(&session, Request::scattered(OpKind::Decrypt, segments.clone()));
            assert_eq!(completion.result, Err(OpError::DecryptionFailed));
            assert!(completion.data.is_empty());
            assert_eq!(completion.take_segments(), segments);
        }
    }
}

/// Spoils what it is given, and says that nothing is left of the input, once it is told to.
struct Spoiling(Soft, AtomicBool);

impl DirectDevice for Spoiling {
    fn info(&self) -> DeviceInfo {
        DeviceInfo { kind: "spoiling", ..self.0.info() }
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
        assert!(run.iter().all(|op| op.source.is_none()), "it never said that it reads sources");
        if !self.1.load(Ordering::Relaxed) {
            return self.0.execute(run);
        }
        let (reason, progress) = ("spoilt", Progress::MaybeExecuted);
        for op in run {
            op.data.fill(0xee);
            op.result = Some(Err(DeviceError::Failed { reason, progress, source_intact: false }));
        }
    }
}

/// No thread but this one, a device that spoils everything, and maybe another.
fn spoiling(with_other: bool) -> Simulation {
    let simulation = Simulation::new(Config { error_budget_ops: 1_000, ..Config::default() });
    let device = Arc::new(Spoiling(Soft::new(), AtomicBool::new(false)));
    simulation.runtime().add_device("dut", Engine::Direct(Arc::clone(&device) as _), 0).unwrap();
    if with_other {
        simulation.runtime().add_device_of_kind("other", "soft", &[], 0).unwrap();
    }
    device.1.store(true, Ordering::Relaxed);
    simulation
}

#[test]
fn i2_an_attempt_out_of_place_can_always_be_repeated() {
    let simulation = spoiling(true);
    let session = session(simulation.runtime(), Algorithm::Aes128Ctr, Padding::None);
    let expected = {
        let simulation = Simulation::new(Config::default());
        simulation.runtime().add_device_of_kind("dut", "soft", &[], 0).unwrap();
        let session = self::session(simulation.runtime(), Algorithm::Aes128Ctr, Padding::None);
        call(&session, Request::new(OpKind::Encrypt, text(100))).data
    };
    let completion = call(&session, Request::from_source(OpKind::Encrypt, text(100)));
    assert_eq!((completion.result, completion.attempts, &completion.data), (Ok(()), 2, &expected));
    let segments = vec![text(100)[..30].to_vec(), text(100)[30..].to_vec()];
    let mut completion = call(&session, Request::scattered(OpKind::Encrypt, segments));
    assert_eq!((completion.attempts, completion.take_segments().concat()), (2, expected));
    // In place there is nothing left to repeat it with.
    let completion = call(&session, Request::new(OpKind::Encrypt, text(100)));
    assert!(matches!(completion.result, Err(OpError::Broken { attempts: 1, .. })));
}

#[test]
fn i4_what_a_failed_device_left_half_done_out_of_place_gets_to_nobody() {
    let simulation = spoiling(false);
    let session = session(simulation.runtime(), Algorithm::Aes128Ctr, Padding::None);
    let mut completion = call(&session, Request::from_source(OpKind::Encrypt, text(100)));
    assert!(matches!(completion.result, Err(OpError::Broken { .. })));
    assert!(completion.data.is_empty() && completion.source_intact);
    assert_eq!(&*completion.take_source().unwrap(), &*text(100));
    let mut completion = call(&session, Request::scattered(OpKind::Encrypt, vec![text(100)]));
    assert!(completion.result.is_err() && completion.data.is_empty());
    assert_eq!(completion.take_segments(), [text(100)]);
}

#[test]
fn i4_the_second_opinion_is_about_the_source() {
    for kind in ["soft", "sim"] {
        let runtime = runtime(kind);
        runtime.set_shadow("dut", 1.0, 0).unwrap();
        let session = session(&runtime, Algorithm::Aes256Cbc, Padding::Pkcs7);
        let sealed = same_in_every_layout(&session, OpKind::Encrypt, &text(20));
        let compared = runtime.device("dut").unwrap().shadowed_ops;
        assert!(compared > 0, "{kind}");
        runtime.break_device("dut", Some(FaultSpec::new(FaultMode::Corrupt)), 0).unwrap();
        while runtime.device("dut").unwrap().state != DeviceState::Broken {
            let completion = call(&session, Request::from_source(OpKind::Encrypt, text(20)));
            assert_eq!((completion.result, &completion.data), (Ok(()), &sealed), "{kind}");
            let segments = vec![text(20)[..3].to_vec(), text(20)[3..].to_vec()];
            let mut completion = call(&session, Request::scattered(OpKind::Encrypt, segments));
            assert_eq!(completion.take_segments().concat(), sealed, "{kind}");
        }
    }
}

#[test]
fn a_route_gives_the_same_bytes_from_a_source() {
    let runtime = runtime("soft");
    let route = [Stage::new(Algorithm::Aes128Cbc), Stage::new(Algorithm::HmacSha256)];
    let spec = SessionSpec::with_route(route).padding(Padding::Pkcs7);
    let keys = [Key::new(vec![1; 16]), Key::new(vec![2; 32])];
    let session = runtime.session_with_keys(spec, keys).unwrap();
    let iv = Iv::from([9; 16]);
    let call = |request: Request| session.call(request.with_iv(iv)).unwrap();
    let sealed = call(Request::new(OpKind::Encrypt, text(40))).data;
    assert_eq!(call(Request::from_source(OpKind::Encrypt, text(40))).data, sealed);
    for segments in cuts(&text(12)) {
        let sealed = call(Request::scattered(OpKind::Encrypt, segments)).take_segments().concat();
        assert_eq!(call(Request::from_source(OpKind::Decrypt, sealed)).data, text(12));
    }
    let mut forged = sealed;
    forged[3] ^= 1;
    let mut completion = call(Request::from_source(OpKind::Decrypt, forged.clone()));
    assert_eq!((&completion.result, completion.data.len()), (&Err(OpError::DecryptionFailed), 0));
    assert_eq!(completion.take_source().unwrap().to_vec(), forged);
}

#[test]
fn i7_the_limits_are_those_of_the_sum() {
    let runtime = Runtime::start(Config { workers: 1, op_max_bytes: 64, ..Config::default() }).unwrap();
    runtime.add_device_of_kind("dut", "soft", &[], 0).unwrap();
    let session = session(&runtime, Algorithm::Sha256, Padding::None);
    let parts = |last: usize| vec![text(32), text(last)];
    assert_eq!(call(&session, Request::scattered(OpKind::Digest, parts(32))).result, Ok(()));
    let mut refused = session.call(Request::scattered(OpKind::Digest, parts(33))).unwrap_err();
    assert!(matches!(refused.error, Error::OpTooLarge { got: 65, limit: 64 }));
    assert_eq!(refused.request.take_segments(), parts(33));
    let refused = session.call(Request::from_source(OpKind::Digest, text(65))).unwrap_err();
    assert!(matches!(refused.error, Error::OpTooLarge { got: 65, limit: 64 }));
    assert_eq!(**refused.request.source().unwrap(), *text(65));

    let many = |count| Request::scattered(OpKind::Digest, vec![Vec::new(); count]);
    assert_eq!(call(&session, many(SEGMENTS_MAX)).result, Ok(()));
    let refused = session.call(many(SEGMENTS_MAX + 1)).unwrap_err();
    assert!(matches!(refused.error, Error::TooManySegments { got, .. } if got == SEGMENTS_MAX + 1));
}

#[test]
fn random_bytes_fill_segments_and_have_no_source() {
    let runtime = runtime("soft");
    let session = runtime.session(SessionSpec::new(Algorithm::Random), Key::new(Vec::new())).unwrap();
    let refused = session.call(Request::from_source(OpKind::Random, text(8))).unwrap_err();
    assert_eq!(refused.error, Error::NothingToRead { op: OpKind::Random });
    let segments = vec![vec![0; 20], vec![0; 30]];
    let back = session.call(Request::scattered(OpKind::Random, segments)).unwrap().take_segments();
    assert_eq!((back[0].len(), back[1].len()), (20, 30));
    assert!(back.iter().all(|segment| segment.iter().any(|byte| *byte != 0)));
}

#[test]
fn a_burst_takes_requests_of_every_layout() {
    let runtime = runtime("multi");
    let session = session(&runtime, Algorithm::Aes128Ctr, Padding::None);
    let expected = call(&session, Request::new(OpKind::Encrypt, text(50))).data;
    let mut burst = session.burst(64);
    let mut requests: Vec<Request> = (0..30)
        .map(|number| {
            let request = match number % 3 {
                0 => Request::new(OpKind::Encrypt, text(50)),
                1 => Request::from_source(OpKind::Encrypt, text(50)),
                _ => {
                    Request::scattered(OpKind::Encrypt, vec![text(50)[..7].to_vec(), text(50)[7..].to_vec()])
                }
            };
            dress(request, Algorithm::Aes128Ctr).with_user_data(number)
        })
        .collect();
    assert_eq!(burst.submit(&mut requests), 30);
    let mut completions = Vec::new();
    while completions.len() < 30 {
        burst.poll(&mut completions, 64);
        block_on(burst.readable());
    }
    for mut completion in completions {
        assert_eq!(completion.result, Ok(()));
        let made =
            if completion.user_data % 3 == 2 { completion.take_segments().concat() } else { completion.data };
        assert_eq!(made, expected);
    }
}

/// As much as a submitter carries out itself, so that it is measured.
const LARGE: usize = 16 * 1024;

#[test]
fn nothing_is_copied_to_hash_what_is_only_read() {
    for device in DEVICES.iter().filter(|device| **device != "sim") {
        let simulation = Simulation::new(Config::default());
        simulation.runtime().add_device_of_kind("dut", device, &[], 0).unwrap();
        for algorithm in [Algorithm::Sha256, Algorithm::HmacSha256] {
            let session = session(simulation.runtime(), algorithm, Padding::None);
            let kind = algorithm.ops()[0];
            let source = Source::from(text(LARGE));
            let segments = vec![text(LARGE / 2), text(LARGE / 2)];
            call(&session, Request::from_source(kind, source.clone()));
            let shared = measure(|| drop(call(&session, Request::from_source(kind, source.clone()))));
            assert!(shared.bytes_total < LARGE as u64 / 8, "{device}: {} bytes", shared.bytes_total);
            let scattered = Request::scattered(kind, segments);
            let scattered = measure(|| drop(call(&session, scattered)));
            // The lanes of `multi` take one text each.
            assert!(*device == "multi" || scattered.bytes_total < LARGE as u64 / 8, "{device}");
        }
    }
}

#[test]
fn output_goes_to_the_callers_memory_without_another() {
    let simulation = Simulation::new(Config::default());
    simulation.runtime().add_device_of_kind("dut", "soft", &[], 0).unwrap();
    let session = session(simulation.runtime(), Algorithm::Aes256Gcm, Padding::None);
    let source = Source::from(text(LARGE));
    let mut destination = Vec::with_capacity(LARGE + 16);
    // The first one opens the session on the device.
    call(&session, Request::from_source(OpKind::Encrypt, source.clone()));
    for _ in 0..2 {
        let request = Request::from_source(OpKind::Encrypt, source.clone()).into_data(destination);
        let mut completion = None;
        let used = measure(|| completion = Some(call(&session, request)));
        assert!(used.bytes_total < LARGE as u64 / 8, "{} bytes", used.bytes_total);
        destination = completion.unwrap().data;
        assert_eq!(destination.len(), LARGE + 16);
    }
}

#[test]
fn a_pool_in_steady_state_allocates_nothing() {
    let simulation = Simulation::new(Config::default());
    simulation.runtime().add_device_of_kind("dut", "soft", &[], 0).unwrap();
    let session = session(simulation.runtime(), Algorithm::Aes128Ctr, Padding::None);
    let pool = BufferPool::new(2, 1_024);
    let round = || {
        let mut buffer = pool.take().unwrap();
        buffer.resize(1_000, 1);
        let completion = call(&session, Request::new(OpKind::Encrypt, buffer.lend()));
        buffer.restore(completion.data);
    };
    round();
    assert_eq!(measure(|| (0..100).for_each(|_| round())).count_total, 0);
    assert_eq!((pool.counts().taken, pool.counts().idle), (0, 1));
}
