//! Streams: the key they began with, and the chunks that were refused.

use acrypto_core::{
    Algorithm, Bind, Config, Error, Iv, Key, OpKind, Padding, Request, Runtime, Session, SessionSpec, Stream,
    StreamError,
};
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, StreamCipher, block_padding::Pkcs7};
use hmac::{KeyInit, Mac};

use super::{add_soft, ctr, simulation};

const IV: [u8; 16] = [5; 16];

fn runtime() -> Runtime {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    add_soft(&runtime, "soft0");
    runtime
}

fn text() -> Vec<u8> {
    (0..=250).collect()
}

fn session(runtime: &Runtime, algorithm: Algorithm) -> Session {
    let spec = SessionSpec::new(algorithm).padding(Padding::Pkcs7);
    runtime.session(spec, Key::new(vec![1; 16])).unwrap()
}

/// The first chunk, a re-key, the second, another, the last.
fn streamed(session: &Session, mut stream: Stream) -> (Vec<u8>, Vec<u8>) {
    let mut data = stream.update_blocking(text()[..64].to_vec()).unwrap();
    session.rekey(Key::new(vec![2; 16]), 0).unwrap();
    data.extend(stream.update_blocking(text()[64..192].to_vec()).unwrap());
    session.rekey(Key::new(vec![3; 16]), 0).unwrap();
    let (last, output) = stream.finish_blocking(text()[192..].to_vec()).unwrap();
    data.extend(last);
    (data, output.as_slice().to_vec())
}

fn library(algorithm: Algorithm, key: u8) -> Vec<u8> {
    let (key, mut data) = ([key; 16], text());
    match algorithm {
        Algorithm::HmacSha256 => {
            let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(&data);
            mac.finalize().into_bytes().to_vec()
        }
        Algorithm::Aes128Cbc => {
            let length = data.len();
            data.resize(length / 16 * 16 + 16, 0);
            let cipher = cbc::Encryptor::<aes::Aes128>::new(&key.into(), &IV.into());
            cipher.encrypt_padded::<Pkcs7>(&mut data, length).unwrap();
            data
        }
        _ => {
            ctr::Ctr128BE::<aes::Aes128>::new(&key.into(), &IV.into()).apply_keystream(&mut data);
            data
        }
    }
}

#[test]
fn a_stream_goes_on_under_the_key_it_began_with() {
    let runtime = runtime();
    for algorithm in [Algorithm::Aes128Cbc, Algorithm::Aes128Ctr] {
        let session = session(&runtime, algorithm);
        let stream = session.stream(OpKind::Encrypt, IV.into()).unwrap();
        assert_eq!(streamed(&session, stream).0, library(algorithm, 1), "{algorithm}");
        let whole = session.call(Request::encrypt(text(), IV)).unwrap();
        assert_eq!(whole.data, library(algorithm, 3), "{algorithm}: the session has its new key");
    }
    let session = session(&runtime, Algorithm::HmacSha256);
    let stream = session.stream(OpKind::Mac, Iv::NONE).unwrap();
    assert_eq!(streamed(&session, stream).1, library(Algorithm::HmacSha256, 1));
    let mut later = session.stream(OpKind::Mac, Iv::NONE).unwrap();
    let (_, mac) = later.finish_blocking(text()).unwrap();
    assert_eq!(mac.as_slice(), library(Algorithm::HmacSha256, 3));
}

#[test]
fn what_a_tenants_limit_refuses_comes_back_and_can_be_given_again() {
    let (mut simulation, runtime) = simulation(Config::default());
    add_soft(&runtime, "soft0");
    let session = session(&runtime, Algorithm::Aes128Cbc);
    let mut stream = session.stream(OpKind::Encrypt, IV.into()).unwrap();
    let mut data = stream.update_blocking(text()[..64].to_vec()).unwrap();

    runtime.set_tenant("uid:0", None, Some(1), 0).unwrap();
    let mut occupant = ctr(&runtime, |spec| spec.bind(Bind::only("none"))).burst(1);
    assert_eq!(occupant.submit(&mut vec![Request::encrypt(vec![0; 16], IV)]), 1);
    let given_back = |refused: StreamError| match refused {
        StreamError::Refused { error: Error::TenantFull { limit: 1, .. }, chunk } => chunk,
        other => panic!("{other}"),
    };
    let chunk = given_back(stream.update_blocking(text()[64..128].to_vec()).unwrap_err());
    let last = given_back(stream.finish_blocking(text()[128..].to_vec()).unwrap_err());
    add_soft(&runtime, "none");
    simulation.advance(100_000_000);
    data.extend(stream.update_blocking(chunk).unwrap());
    data.extend(stream.finish_blocking(last).unwrap().0);
    assert_eq!(data, library(Algorithm::Aes128Cbc, 1));
}

#[cfg(feature = "aws-lc")]
#[test]
fn chunks_of_a_hash_go_where_a_midstate_is_taken_and_those_of_a_cipher_anywhere() {
    let runtime = Runtime::start(Config { workers: 1, ..Config::default() }).unwrap();
    runtime.add_device_of_kind("lc0", "aws-lc", &[], 0).unwrap();
    let hashing = runtime.session(SessionSpec::new(Algorithm::HmacSha256), Key::new(vec![1; 16])).unwrap();
    let mut alone = hashing.stream(OpKind::Mac, Iv::NONE).unwrap();
    let refused = alone.update_blocking(text()[..64].to_vec()).unwrap_err();
    assert!(matches!(refused, StreamError::Op(acrypto_core::OpError::Broken { .. })), "{refused}");
    let ciphering = session(&runtime, Algorithm::Aes128Cbc);
    let mut whole = ciphering.stream(OpKind::Encrypt, Iv::from(IV)).unwrap();
    let (data, _) = whole.finish_blocking(text()).unwrap();
    assert_eq!(data, library(Algorithm::Aes128Cbc, 1));

    add_soft(&runtime, "soft0");
    let finished_ops = |name: &str| runtime.device(name).unwrap().counters.finished_ops;
    let before = finished_ops("lc0");
    for _ in 0..20 {
        let mut stream = hashing.stream(OpKind::Mac, Iv::NONE).unwrap();
        stream.update_blocking(text()[..128].to_vec()).unwrap();
        let (_, output) = stream.finish_blocking(text()[128..].to_vec()).unwrap();
        assert_eq!(output.as_slice(), library(Algorithm::HmacSha256, 1));
    }
    assert_eq!((finished_ops("lc0"), finished_ops("soft0")), (before, 40));
}
