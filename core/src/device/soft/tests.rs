use hmac::{KeyInit, Mac};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Sha256, Sha384, Sha512};

use crate::algorithm::{Class, OpKind};
use crate::op::{Chain, Iv, Output};

use super::harness::{Attempt, Case};
use super::*;

const KEY: &[u8] = &[0x5a; 48];
const IV: [u8; 16] = [0xc3; 16];

fn ciphers() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| algorithm.ops().contains(&OpKind::Encrypt) && *algorithm != Algorithm::Null)
}

fn hashes() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.iter().copied().filter(|algorithm| matches!(algorithm.class(), Class::Digest | Class::Mac))
}

fn case<'a>(algorithm: Algorithm, kind: OpKind, input: &'a [u8]) -> Case<'a> {
    let key = &KEY[..(*algorithm.key_len().end()).min(KEY.len())];
    Case { key, iv: &IV[..algorithm.iv_len()], input, ..Case::new(algorithm, kind) }
}

fn is_refused(attempt: &Attempt) -> bool {
    matches!(
        attempt.result,
        Err(DeviceError::Failed { progress: Progress::NotStarted, source_intact: true, .. })
    )
}

#[test]
fn i4_any_flipped_bit_of_an_aead_fails_and_leaves_no_data() {
    for algorithm in ciphers().filter(|algorithm| algorithm.is_authenticated()) {
        let sealed = Case { aad: b"head", ..case(algorithm, OpKind::Encrypt, &[7; 48]) }.run().data;
        for index in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[index] ^= 1;
            let opened = Case { aad: b"head", ..case(algorithm, OpKind::Decrypt, &forged) }.run();
            assert_eq!(opened.result, Err(DeviceError::DecryptionFailed));
            assert!(opened.data.is_empty());
        }
        let other_aad = Case { aad: b"heap", ..case(algorithm, OpKind::Decrypt, &sealed) }.run();
        assert_eq!(other_aad.result, Err(DeviceError::DecryptionFailed));
    }
}

#[test]
fn a_counter_wraps_after_its_last_value() {
    let keystream =
        Case { iv: &[0xff; 16], ..case(Algorithm::Aes128Ctr, OpKind::Encrypt, &[0; 48]) }.run().data;
    let counters = [[0xff; 16], 0u128.to_be_bytes(), 1u128.to_be_bytes()].concat();
    assert_eq!(keystream, case(Algorithm::Aes128Ecb, OpKind::Encrypt, &counters).run().data);
}

#[test]
fn random_bytes_differ_from_call_to_call() {
    let draw = || case(Algorithm::Random, OpKind::Random, &[0; 32]).run().data;
    assert_ne!(draw(), draw());
}

#[test]
fn wrong_lengths_and_kinds_are_refused_and_nothing_panics() {
    for algorithm in Algorithm::ALL.iter().copied().filter(|algorithm| *algorithm != Algorithm::Null) {
        for kind in OpKind::ALL {
            for (iv_len, len) in (0..=16).flat_map(|iv_len| [0, 1, 15, 16, 17, 33].map(|len| (iv_len, len))) {
                let input = vec![1; len];
                let done = Case { iv: &IV[..iv_len], ..case(algorithm, kind, &input) }.run();
                let fits = algorithm.ops().contains(&kind)
                    && (iv_len == algorithm.iv_len() || algorithm.iv_len() == 0)
                    && !(algorithm.needs_whole_blocks() && len % 16 != 0)
                    && len >= algorithm.tag_len(kind);
                assert_eq!(is_refused(&done), !fits, "{algorithm} {kind}, {len} bytes, iv of {iv_len}");
                assert!(fits || done.data == input);
            }
        }
    }
}

#[test]
fn a_key_of_the_wrong_length_is_refused_with_the_right_one() {
    let device = Soft::new();
    let open = |algorithm, len| device.open(&SessionSpec::new(algorithm), &Key::new(vec![0; len]));
    assert_eq!(
        open(Algorithm::Aes192Gcm, 16).unwrap_err().to_string(),
        "aes-192-gcm needs a key of 24 bytes, got 16"
    );
    assert_eq!(
        open(Algorithm::HmacSha256, 0).unwrap_err().to_string(),
        "hmac-sha256 needs a key of 1 to 4096 bytes, got 0"
    );
    assert!(open(Algorithm::Null, 0).is_err());
    for algorithm in Algorithm::ALL.iter().copied().filter(|algorithm| *algorithm != Algorithm::Null) {
        for len in 0..=64 {
            assert_eq!(
                open(algorithm, len).is_ok(),
                algorithm.key_len().contains(&len),
                "{algorithm}, {len}"
            );
        }
    }
}

#[test]
fn each_operation_of_a_run_uses_its_own_session() {
    let device = Soft::new();
    let algorithm = Algorithm::Aes128Ctr;
    let keys: Vec<[u8; 16]> = (0..100).map(|index| [index; 16]).collect();
    let handles: Vec<Handle> = keys
        .iter()
        .map(|key| device.open(&SessionSpec::new(algorithm), &Key::new(key.to_vec())).unwrap())
        .collect();
    let (iv, mut data, mut outputs) = (Iv::from(IV), vec![vec![0; 20]; 100], vec![Output::none(); 100]);
    let mut ops: Vec<DirectOp<'_>> = (handles.iter().zip(&mut data).zip(&mut outputs))
        .map(|((handle, data), output)| DirectOp {
            handle: *handle,
            algorithm,
            kind: OpKind::Encrypt,
            iv: &iv,
            aad: &[],
            data,
            source: None,
            output,
            chain: None,
            result: None,
        })
        .collect();
    device.execute(&mut ops);
    assert!(ops.iter().all(|op| op.result == Some(Ok(()))));
    for (key, data) in keys.iter().zip(&data) {
        assert_eq!(*data, Case { key, ..case(algorithm, OpKind::Encrypt, &[0; 20]) }.run().data);
    }
}

#[test]
fn a_closed_session_and_one_of_another_algorithm_are_refused() {
    let device = Soft::new();
    let handle = device.open(&SessionSpec::new(Algorithm::Sha256), &Key::none()).unwrap();
    let attempt = |algorithm| {
        let (mut data, mut output) = (vec![0; 16], Output::none());
        let mut ops = [DirectOp {
            handle,
            algorithm,
            kind: OpKind::Digest,
            iv: &Iv::NONE,
            aad: &[],
            data: &mut data,
            source: None,
            output: &mut output,
            chain: None,
            result: None,
        }];
        device.execute(&mut ops);
        ops[0].result.unwrap()
    };
    assert_eq!(attempt(Algorithm::Sha256), Ok(()));
    assert_eq!(attempt(Algorithm::Sha384), Err(refused("the session has another algorithm")));
    device.close(handle);
    assert_eq!(attempt(Algorithm::Sha256), Err(refused("no such session on the device")));
    device.close(handle);
}

#[test]
fn i5_every_key_schedule_is_wiped_when_dropped() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<aes::Aes128>();
    wiped::<aes::Aes192>();
    wiped::<aes::Aes256>();
    wiped::<aes_gcm::AesGcm<aes::Aes192, aes_gcm::aead::consts::U12>>();
    wiped::<chacha20poly1305::ChaCha20Poly1305>();
    wiped::<sha1::Sha1>();
    wiped::<Sha256>();
    wiped::<Sha384>();
    wiped::<Sha512>();
}

#[test]
fn a_damaged_midstate_is_refused() {
    for algorithm in hashes() {
        let case = case(algorithm, algorithm.ops()[0], b"chunk");
        for damaged in [&[][..], &[1, 2, 3], &[0xff; 105], &[0xff; 209], &[0xff; 300]] {
            let mut chain = Chain::default();
            chain.midstate.set(damaged);
            assert!(is_refused(&case.run_in(Some(&mut chain))), "{algorithm}, {} bytes", damaged.len());
        }
    }
}

#[test]
fn an_aead_refuses_to_be_streamed() {
    for algorithm in ciphers().filter(|algorithm| algorithm.is_authenticated()) {
        let mut chain = Chain { first: true, last: true, ..Chain::default() };
        assert!(is_refused(&case(algorithm, OpKind::Encrypt, &[0; 16]).run_in(Some(&mut chain))));
    }
}

#[test]
fn a_midstate_of_whole_blocks_holds_no_message_bytes() {
    let mut chain = Chain { first: true, ..Chain::default() };
    assert_eq!(
        case(Algorithm::HmacSha256, OpKind::Mac, &[0xab; 128]).run_in(Some(&mut chain)).result,
        Ok(())
    );
    let (words_and_count, buffer) = chain.midstate.as_slice().split_at(40);
    assert!(words_and_count.iter().any(|byte| *byte != 0) && buffer.iter().all(|byte| *byte == 0));
}

fn reference_mac(algorithm: Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        <M as KeyInit>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
    }
    match algorithm {
        Algorithm::HmacSha256 => mac::<hmac::Hmac<Sha256>>(key, message),
        Algorithm::HmacSha384 => mac::<hmac::Hmac<Sha384>>(key, message),
        _ => mac::<hmac::Hmac<Sha512>>(key, message),
    }
}

proptest! {
    #[test]
    fn hmac_agrees_with_the_hmac_crate(key in vec(any::<u8>(), 1..300), text in vec(any::<u8>(), 0..300)) {
        for algorithm in hashes().filter(|algorithm| algorithm.class() == Class::Mac) {
            let done = Case { key: &key, ..case(algorithm, OpKind::Mac, &text) }.run();
            prop_assert_eq!(done.output.as_slice(), reference_mac(algorithm, &key, &text));
        }
    }
}
