//! Routes: encrypt then MAC, MAC then encrypt, and back; each stage on a device of its own.

use acrypto_core::{
    Algorithm, Bind, Completion, Config, Error, FaultMode, FaultSpec, Key, OpError, OpKind, Padding, Request,
    Runtime, Session, SessionSpec, Stage,
};
use proptest::prelude::*;

use super::{add_sim, add_soft, simulation};

const IV: [u8; 16] = [8; 16];

fn keys() -> [Key; 2] {
    [Key::new((0..16).collect()), Key::new((100..132).collect())]
}

fn encrypt_then_mac(runtime: &Runtime) -> Session {
    let stages = [Stage::new(Algorithm::Aes128Cbc), Stage::new(Algorithm::HmacSha256)];
    let spec = SessionSpec::with_route(stages).padding(Padding::Pkcs7);
    runtime.session_with_keys(spec, keys()).unwrap()
}

fn mac_then_encrypt(runtime: &Runtime) -> Session {
    let stages = [Stage::new(Algorithm::HmacSha256), Stage::new(Algorithm::Aes128Cbc)];
    let [cipher, mac] = keys();
    let spec = SessionSpec::with_route(stages).padding(Padding::Pkcs7);
    runtime.session_with_keys(spec, [mac, cipher]).unwrap()
}

fn single_pass(runtime: &Runtime) -> Session {
    let key = (0..16).chain(100..132).collect();
    let spec = SessionSpec::new(Algorithm::Aes128CbcHmacSha256).padding(Padding::Pkcs7);
    runtime.session(spec, Key::new(key)).unwrap()
}

fn call(session: &Session, kind: OpKind, data: Vec<u8>, aad: &[u8]) -> Completion {
    session.call(Request::new(kind, data).with_iv(IV.into()).with_aad(aad.to_vec())).unwrap()
}

fn threaded() -> Runtime {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    add_soft(&runtime, "soft0");
    runtime
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_route_gives_the_bytes_of_the_single_pass_and_both_ways_come_back(
        text in prop::collection::vec(any::<u8>(), 0..300), aad in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let runtime = threaded();
        let (route, single) = (encrypt_then_mac(&runtime), single_pass(&runtime));
        let sealed = call(&route, OpKind::Encrypt, text.clone(), &aad);
        prop_assert_eq!(&sealed.data, &call(&single, OpKind::Encrypt, text.clone(), &aad).data);
        prop_assert_eq!(sealed.data.len(), text.len() / 16 * 16 + 16 + 16);
        let opened = call(&route, OpKind::Decrypt, sealed.data, &aad);
        prop_assert_eq!((&opened.result, &opened.data), (&Ok(()), &text));
        let other = mac_then_encrypt(&runtime);
        let sealed = call(&other, OpKind::Encrypt, text.clone(), &aad);
        prop_assert_eq!(sealed.data.len(), (text.len() + 32) / 16 * 16 + 16);
        prop_assert_eq!(call(&other, OpKind::Decrypt, sealed.data, &aad).data, text);
    }

    #[test]
    fn i4_a_route_releases_nothing_of_a_forgery(place in 0_usize..112, bit in 0_u8..8, in_aad in any::<bool>()) {
        let runtime = threaded();
        for session in [encrypt_then_mac(&runtime), mac_then_encrypt(&runtime)] {
            let mut sealed = call(&session, OpKind::Encrypt, b"secret".repeat(14), b"header").data;
            let mut aad = b"header".to_vec();
            if in_aad { aad[place % 6] ^= 1 << bit } else { let at = place % sealed.len(); sealed[at] ^= 1 << bit }
            let opened = call(&session, OpKind::Decrypt, sealed, &aad);
            prop_assert_eq!(opened.result, Err(OpError::DecryptionFailed));
            prop_assert!(opened.data.is_empty() && !opened.source_intact);
        }
    }
}

#[test]
fn each_stage_runs_on_its_own_device() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_sim(&runtime, "sim0", 1);
    add_sim(&runtime, "sim1", 2);
    let stages = [
        Stage::new(Algorithm::Aes128Cbc).bind(Bind::only("sim0")),
        Stage::new(Algorithm::HmacSha256).bind(Bind::only("sim1")),
    ];
    let session = runtime.session_with_keys(SessionSpec::with_route(stages), keys()).unwrap();
    let mut burst = session.burst(64);
    burst.submit(&mut (0..50).map(|_| Request::encrypt(vec![0; 64], IV)).collect());
    simulation.advance(1_000_000_000);
    let mut done = Vec::new();
    assert_eq!(burst.poll(&mut done, 64), 50);
    assert!(done.iter().all(|completion| completion.result.is_ok() && completion.stage == 2));
    let finished = |name: &str| runtime.device(name).unwrap().counters.finished_ops;
    assert_eq!((finished("sim0"), finished("sim1")), (50, 50));
    let stats = runtime.stats();
    assert_eq!((stats.completed_ops, stats.by_kind[0]), (50, 50), "each is one encryption");
    assert_eq!(session.status().route, [Algorithm::Aes128Cbc, Algorithm::HmacSha256]);
}

#[test]
fn a_failure_names_the_stage_and_gives_the_input_back_only_at_the_first() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_sim(&runtime, "cipher", 1);
    add_sim(&runtime, "mac", 2);
    let bound = |algorithm, device: &str| Stage::new(algorithm).bind(Bind::only(device));
    let stages = [bound(Algorithm::Aes128Cbc, "cipher"), bound(Algorithm::HmacSha256, "mac")];
    let spec = SessionSpec::with_route(stages).padding(Padding::Pkcs7).deadline_ns(200_000_000);
    let session = runtime.session_with_keys(spec, keys()).unwrap();
    let mut end = |broken: &str| {
        runtime.break_device(broken, None, 0).unwrap();
        let mut burst = session.burst(1);
        burst.submit(&mut vec![Request::encrypt(b"text".to_vec(), IV)]);
        simulation.advance(1_000_000_000);
        let mut done = Vec::new();
        assert_eq!(burst.poll(&mut done, 1), 1);
        done.remove(0)
    };
    let second = end("mac");
    assert!(matches!(second.result, Err(OpError::Broken { .. })), "{:?}", second.result);
    assert_eq!((second.stage, second.data.as_slice(), second.source_intact), (2, [].as_slice(), false));
    let first = end("cipher");
    assert_eq!((first.stage, first.data.as_slice(), first.source_intact), (1, b"text".as_slice(), true));
}

#[test]
fn a_stage_is_tried_on_another_device_when_one_fails() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_sim(&runtime, "sim0", 1);
    add_sim(&runtime, "sim1", 2);
    let fault = FaultSpec { op: Some(OpKind::Mac), ..FaultSpec::new(FaultMode::Error) };
    runtime.break_device("sim0", Some(fault), 0).unwrap();
    let session = encrypt_then_mac(&runtime);
    let mut burst = session.burst(64);
    burst.submit(&mut (0..50).map(|_| Request::encrypt(vec![0; 64], IV)).collect());
    simulation.advance(1_000_000_000);
    let mut done = Vec::new();
    assert_eq!(burst.poll(&mut done, 64), 50);
    assert!(done.iter().all(|completion| completion.result.is_ok()));
    assert!(done.iter().any(|completion| completion.attempts > 2));
}

#[test]
fn what_makes_no_route_is_refused_with_the_reason() {
    let runtime = threaded();
    let refused = |stages: &[Algorithm], keys: usize| {
        let stages: Vec<Stage> = stages.iter().map(|algorithm| Stage::new(*algorithm)).collect();
        let keys = vec![Key::new(vec![1; 16]); keys];
        runtime.session_with_keys(SessionSpec::with_route(stages), keys).unwrap_err().to_string()
    };
    let (cbc, hmac) = (Algorithm::Aes128Cbc, Algorithm::HmacSha256);
    assert_eq!(refused(&[cbc, hmac], 1), "session needs 2 keys, got 1");
    let shape = "is not one cipher (ecb, cbc, ctr) and at least one hmac, at most 4 stages";
    for stages in
        [vec![cbc], vec![cbc, cbc, hmac], vec![cbc, Algorithm::Sha256], vec![cbc, hmac, hmac, hmac, hmac]]
    {
        assert!(refused(&stages, stages.len()).ends_with(shape));
    }
    let session = encrypt_then_mac(&runtime);
    let short = session.call(Request::decrypt(vec![0; 15], IV)).unwrap_err();
    assert!(matches!(short.error, Error::TooShort { want: 16, got: 15, .. }), "{}", short.error);
    let partial = session.call(Request::decrypt(vec![0; 47], IV)).unwrap_err();
    assert!(matches!(partial.error, Error::PartialBlock { .. }), "{}", partial.error);
}

#[test]
fn explain_says_which_stage_and_device_lack_what() {
    let (_simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    runtime.add_device_of_kind("null0", "null", &[], 0).unwrap();
    let stages =
        [Stage::new(Algorithm::Aes128Cbc).bind(Bind::only("null0")), Stage::new(Algorithm::HmacSha256)];
    let report = runtime.explain_session(&SessionSpec::with_route(stages));
    let obstacle = |stage: usize, device: usize| report[stage].devices[device].obstacle.as_deref();
    assert_eq!(obstacle(0, 0), Some("is not what the session is tied to"));
    assert_eq!(obstacle(0, 1), Some("has no aes-128-cbc"));
    assert_eq!(obstacle(1, 0), None);
    assert_eq!((report[1].stage, report[1].algorithm), (2, Algorithm::HmacSha256));
}
