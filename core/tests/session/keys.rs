//! Keys: replaced while operations are on their way, named, for one use only, and used up.

use acrypto_core::{
    Algorithm, Completion, Config, Error, Key, OpKind, Request, Runtime, Session, SessionSpec, Stage, Uses,
};
use aes_gcm::aead::AeadInOut;
use ctr::cipher::{KeyIvInit, StreamCipher};

use super::{add_sim, add_soft, simulation};

const IV: [u8; 16] = [5; 16];

fn key(number: u8) -> Key {
    Key::new(vec![number; 16])
}

fn encrypted(number: u8, text: &[u8]) -> Vec<u8> {
    let mut data = text.to_vec();
    ctr::Ctr128BE::<aes::Aes128>::new(&[number; 16].into(), &IV.into()).apply_keystream(&mut data);
    data
}

fn session(runtime: &Runtime) -> Session {
    runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), key(0)).unwrap()
}

#[test]
fn each_operation_uses_the_key_it_was_submitted_under() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_sim(&runtime, "sim0", 1);
    add_sim(&runtime, "sim1", 2);
    let session = session(&runtime);
    let mut burst = session.burst(1_024);
    for number in 0..20_u8 {
        if number > 0 {
            session.rekey(key(number), 0).unwrap();
        }
        let requests = (0..20).map(|_| Request::encrypt(vec![0; 300], IV).with_user_data(number.into()));
        assert_eq!(burst.submit(&mut requests.collect()), 20);
        simulation.advance(20_000);
    }
    let mut done: Vec<Completion> = Vec::new();
    simulation.advance(1_000_000_000);
    burst.poll(&mut done, 1_024);
    assert_eq!(done.len(), 400);
    for completion in &done {
        assert_eq!(completion.data, encrypted(completion.user_data as u8, &[0; 300]));
    }
    assert_eq!((session.status().rekeys, runtime.sessions().len()), (19, 1));
}

#[test]
fn a_key_of_the_wrong_length_leaves_the_old_one_in_force() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    let session = session(&runtime);
    let error = session.rekey(Key::new(vec![1; 15]), 0).unwrap_err();
    assert!(matches!(error, Error::KeyLength { got: 15, .. }), "{error}");
    let error = session.rekey(vec![key(1), key(2)], 0).unwrap_err();
    assert_eq!(error, Error::KeyCount { want: 1, got: 2 });
    let mut burst = session.burst(1);
    burst.submit(&mut vec![Request::encrypt(vec![0; 40], IV)]);
    simulation.advance(1_000_000);
    let mut done = Vec::new();
    burst.poll(&mut done, 1);
    assert_eq!(done[0].data, encrypted(0, &[0; 40]));
}

#[test]
fn a_named_key_serves_sessions_and_outlives_its_name() {
    let (_simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    runtime.add_key("disk", key(9), Uses::only(&[OpKind::Encrypt]), 1_000).unwrap();
    assert_eq!(
        runtime.add_key("disk", key(8), Uses::ALL, 0),
        Err(Error::KeyExists { name: "disk".to_owned() })
    );
    let row = runtime.keys().remove(0);
    assert_eq!((row.name.as_str(), row.key_bytes, row.uid), ("disk", 16, 1_000));
    runtime.add_key("other", key(8), Uses::ALL, 0).unwrap();
    runtime.add_key("same", key(8), Uses::ALL, 0).unwrap();
    let values: Vec<[u8; 4]> = runtime.keys().iter().map(|row| row.check_value).collect();
    assert_ne!(values[0], values[1]);
    assert_eq!(values[1], values[2], "equal keys of one runtime show equal values");
    let (_simulation, elsewhere) = simulation(Config::default());
    elsewhere.add_key("other", key(8), Uses::ALL, 0).unwrap();
    assert_ne!(elsewhere.keys()[0].check_value, values[1], "a value cannot be worked out from a key alone");
    assert!(!format!("{row:?}").contains("9, 9, 9"));

    let spec = SessionSpec::new(Algorithm::Aes128Ctr);
    let session = runtime.session_with_named_keys(spec.clone(), &["disk"]).unwrap();
    runtime.remove_key("disk", 0).unwrap();
    let error = runtime.session_with_named_keys(spec, &["disk"]).unwrap_err();
    assert_eq!(error, Error::UnknownKey { name: "disk".to_owned() });
    let completion = session.call(Request::encrypt(vec![0; 40], IV)).unwrap();
    assert_eq!(completion.data, encrypted(9, &[0; 40]));
    let refused = session.call(Request::decrypt(vec![0; 40], IV)).unwrap_err();
    assert_eq!(refused.error, Error::NotAllowed { op: OpKind::Decrypt });
    assert_eq!(refused.request.data, [0; 40]);
}

fn add_keys(runtime: &Runtime) {
    let keys: [(&str, usize, &[OpKind]); 4] = [
        ("seal", 16, &[OpKind::Encrypt]),
        ("both", 16, &[OpKind::Encrypt, OpKind::Decrypt]),
        ("mac", 32, &[OpKind::Mac]),
        ("no-mac", 32, &[OpKind::Encrypt, OpKind::Decrypt]),
    ];
    for (name, length, uses) in keys {
        runtime.add_key(name, Key::new(vec![6; length]), Uses::only(uses), 0).unwrap();
    }
}

#[test]
fn each_stage_of_a_route_takes_a_key_that_may_do_no_more_than_it_does() {
    let (_simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    add_keys(&runtime);
    let stages = [Stage::new(Algorithm::Aes128Ctr), Stage::new(Algorithm::HmacSha256)];
    let spec = SessionSpec::with_route(stages);
    let open = |names: &[&str]| runtime.session_with_named_keys(spec.clone(), names);

    let both = open(&["both", "mac"]).unwrap();
    let sealed = both.call(Request::encrypt(vec![1; 40], IV)).unwrap();
    assert_eq!(sealed.result, Ok(()));
    let opened = both.call(Request::decrypt(sealed.data.clone(), IV)).unwrap();
    assert_eq!((opened.result, opened.data), (Ok(()), vec![1; 40]));

    let seal = open(&["seal", "mac"]).unwrap();
    assert_eq!(seal.call(Request::encrypt(vec![1; 40], IV)).unwrap().data, sealed.data);
    let refused = seal.call(Request::decrypt(sealed.data.clone(), IV)).unwrap_err();
    assert_eq!(refused.error, Error::NotAllowed { op: OpKind::Decrypt });
    assert_eq!(seal.status().uses, Uses::only(&[OpKind::Encrypt]));

    let no_mac = Error::NotAllowed { op: OpKind::Mac };
    assert_eq!(open(&["both", "no-mac"]).unwrap_err(), no_mac);
    assert_eq!(both.rekey_named(&["both", "no-mac"], 0), Err(no_mac));
    assert_eq!(both.call(Request::decrypt(sealed.data, IV)).unwrap().data, [1; 40], "it has its keys still");
}

#[test]
fn a_rekey_brings_the_uses_of_the_new_key_and_leaves_those_of_the_session() {
    let (_simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    add_keys(&runtime);
    let spec = SessionSpec::new(Algorithm::Aes128Ctr);
    let encrypt_only = spec.clone().uses(Uses::only(&[OpKind::Encrypt]));
    let decrypt = || Request::decrypt(encrypted(6, &[1; 40]), IV);
    let refusal = |session: &Session| session.call(decrypt()).map_err(|refused| refused.error).unwrap_err();
    let not_allowed = Error::NotAllowed { op: OpKind::Decrypt };

    let session = runtime.session(spec, key(1)).unwrap();
    session.rekey_named(&["seal"], 0).unwrap();
    assert_eq!(refusal(&session), not_allowed);
    assert_eq!(session.call(Request::encrypt(vec![1; 40], IV)).unwrap().data, encrypted(6, &[1; 40]));
    session.rekey_named(&["both"], 0).unwrap();
    assert_eq!(session.call(decrypt()).unwrap().data, [1; 40]);
    assert!(matches!(session.rekey_named(&["none"], 0), Err(Error::UnknownKey { .. })));

    let session = runtime.session_with_named_keys(encrypt_only, &["both"]).unwrap();
    assert_eq!(refusal(&session), not_allowed);
    session.rekey(key(6), 0).unwrap();
    assert_eq!(refusal(&session), not_allowed);
}

#[test]
fn i7_a_table_of_named_keys_holds_its_limit_and_not_one_more() {
    let (_simulation, runtime) = simulation(Config { named_keys_max: 2, ..Config::default() });
    runtime.add_key("a", key(1), Uses::ALL, 0).unwrap();
    runtime.add_key("b", key(1), Uses::ALL, 0).unwrap();
    let limit = Error::Limit { what: "named keys", limit: 2 };
    assert_eq!(runtime.add_key("c", key(1), Uses::ALL, 0), Err(limit));
}

#[test]
fn the_runtime_makes_ivs_that_differ_and_stops_at_the_limit() {
    let (_simulation, runtime) = simulation(Config { ivs_per_key_max: 3, ..Config::default() });
    add_soft(&runtime, "soft0");
    let shared = key(4);
    let spec = SessionSpec::new(Algorithm::Aes128Gcm);
    let first = runtime.session(spec.clone(), shared.clone()).unwrap();
    let second = runtime.session(spec, shared).unwrap();
    let mut ivs = Vec::new();
    for session in [&first, &second, &first] {
        let completion = session.call(Request::encrypt_with_runtime_iv(b"text".to_vec())).unwrap();
        completion.result.unwrap();
        let cipher: aes_gcm::Aes128Gcm = aes_gcm::aead::KeyInit::new(&[4; 16].into());
        let mut data = completion.data.clone();
        let tag: [u8; 16] = data.split_off(4).try_into().unwrap();
        let nonce: [u8; 12] = completion.iv.as_slice().try_into().unwrap();
        cipher.decrypt_inout_detached(&nonce.into(), &[], data.as_mut_slice().into(), &tag.into()).unwrap();
        assert_eq!(data, b"text");
        ivs.push(nonce);
    }
    ivs.sort_unstable();
    ivs.dedup();
    assert_eq!(ivs.len(), 3);
    let refused = second.call(Request::encrypt_with_runtime_iv(b"text".to_vec())).unwrap_err();
    assert_eq!((refused.error, refused.request.data), (Error::KeyUsedUp { limit: 3 }, b"text".to_vec()));
    first.rekey(key(5), 0).unwrap();
    assert!(first.call(Request::encrypt_with_runtime_iv(b"text".to_vec())).is_ok());

    let (_simulation, full) = simulation(Config { main_queue_max_ops: 1, ..Config::default() });
    add_sim(&full, "sim0", 1);
    let spec = SessionSpec::new(Algorithm::Aes128Gcm);
    let mut burst = full.session(spec, key(4)).unwrap().burst(4);
    let mut requests: Vec<Request> =
        (0..2).map(|_| Request::encrypt_with_runtime_iv(b"text".to_vec())).collect();
    assert_eq!(burst.submit(&mut requests), 1);
    assert!(requests[0].iv.is_empty(), "what found no room comes back as it was");

    let mut both = Request::encrypt(b"text".to_vec(), [1; 12]);
    both.runtime_iv = true;
    assert_eq!(first.call(both).unwrap_err().error, Error::RuntimeIv);
    let mut decrypt = Request::decrypt(vec![0; 32], [1; 12]);
    decrypt.runtime_iv = true;
    assert_eq!(first.call(decrypt).unwrap_err().error, Error::RuntimeIv);
}
