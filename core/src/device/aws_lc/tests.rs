use std::collections::HashSet;

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::algorithm::OpKind;
use crate::device::soft::harness::{Attempt, Case};
use crate::op::{Chain, Iv, Output};

use super::*;

const KEY: &[u8] = &[0x5a; 48];
const IV: [u8; 16] = [0xc3; 16];

fn case<'a>(algorithm: Algorithm, kind: OpKind, input: &'a [u8]) -> Case<'a> {
    let key = &KEY[..(*algorithm.key_len().end()).min(KEY.len())];
    Case { key, iv: &IV[..algorithm.iv_len()], input, ..Case::new(algorithm, kind) }
}

fn run(case: &Case<'_>) -> Attempt {
    case.run_on(&AwsLc::new(), None)
}

fn aeads() -> impl Iterator<Item = Algorithm> {
    ALGORITHMS.into_iter().filter(|algorithm| algorithm.is_authenticated())
}

fn is_refused(attempt: &Attempt) -> bool {
    matches!(
        attempt.result,
        Err(DeviceError::Failed { progress: Progress::NotStarted, source_intact: true, .. })
    )
}

#[test]
fn i4_any_flipped_bit_of_an_aead_fails_and_leaves_no_data() {
    for algorithm in aeads() {
        let sealed = run(&Case { aad: b"head", ..case(algorithm, OpKind::Encrypt, &[7; 48]) }).data;
        for index in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[index] ^= 1;
            let opened = run(&Case { aad: b"head", ..case(algorithm, OpKind::Decrypt, &forged) });
            assert_eq!(opened.result, Err(DeviceError::DecryptionFailed));
            assert!(opened.data.is_empty());
        }
        let other_aad = run(&Case { aad: b"heap", ..case(algorithm, OpKind::Decrypt, &sealed) });
        assert_eq!(other_aad.result, Err(DeviceError::DecryptionFailed));
    }
}

#[test]
fn i4_the_library_itself_leaves_no_plaintext_of_a_forgery() {
    for algorithm in [&AES_256_GCM, &CHACHA20_POLY1305] {
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &[7; 32]).unwrap());
        let mut text = vec![0xab; 1_000];
        let nonce = || Nonce::from(&[9; 12]);
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut text).unwrap();
        let mut forged = tag.as_ref().to_vec();
        forged[15] ^= 1;
        assert!(key.open_in_place_separate_tag(nonce(), Aad::empty(), &forged, &mut text).is_err());
        assert!(text.iter().all(|byte| *byte == 0), "{algorithm:?}");
    }
}

#[test]
fn wrong_lengths_and_kinds_are_refused_and_nothing_panics() {
    let device = AwsLc::new();
    for algorithm in ALGORITHMS {
        for kind in OpKind::ALL {
            for (iv_len, len) in (0..=16).flat_map(|iv_len| [0, 1, 15, 16, 17, 33].map(|len| (iv_len, len))) {
                let input = vec![1; len];
                let done = Case { iv: &IV[..iv_len], ..case(algorithm, kind, &input) }.run_on(&device, None);
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
fn a_key_of_the_wrong_length_and_an_algorithm_it_has_not_are_refused() {
    let device = AwsLc::new();
    for algorithm in Algorithm::ALL.iter().copied() {
        let spec = SessionSpec::new(algorithm);
        let is_known = ALGORITHMS.contains(&algorithm);
        assert_eq!(device.probe(&spec).is_some(), is_known, "{algorithm}");
        for len in 0..=64 {
            let opened = device.open(&spec, &Key::new(vec![0; len]));
            let fits = is_known && algorithm.key_len().contains(&len);
            assert_eq!(opened.is_ok(), fits, "{algorithm}, {len}: {opened:?}");
        }
    }
}

#[test]
fn only_what_needs_no_midstate_is_taken_in_chunks() {
    for capability in AwsLc::new().info().capabilities {
        let algorithm = capability.algorithm;
        assert_eq!(capability.stream, algorithm.iv_len() == 16, "{algorithm}");
        let mut chain = Chain { first: true, last: true, ..Chain::default() };
        let done = case(algorithm, capability.kind, &[0; 32]).run_on(&AwsLc::new(), Some(&mut chain));
        assert_eq!(is_refused(&done), !capability.stream, "{algorithm}");
    }
}

#[test]
fn a_session_of_another_algorithm_and_one_that_was_closed_are_refused() {
    let device = AwsLc::new();
    let handle = device.open(&SessionSpec::new(Algorithm::Sha256), &Key::none()).unwrap();
    let attempt = |algorithm| execute(&device, algorithm, OpKind::Digest, &[handle])[0].0;
    assert_eq!(attempt(Algorithm::Sha256), Ok(()));
    assert_eq!(attempt(Algorithm::Sha384), Err(refused("the session has another algorithm")));
    device.close(handle);
    assert_eq!(attempt(Algorithm::Sha256), Err(refused("no such session on the device")));
    device.close(handle);
}

#[test]
fn each_operation_of_a_run_uses_its_own_session() {
    let device = AwsLc::new();
    let algorithm = Algorithm::Aes128Gcm;
    let open = |key: u8| device.open(&SessionSpec::new(algorithm), &Key::new(vec![key; 16])).unwrap();
    let handles: Vec<Handle> = (0..100).map(open).collect();
    let made = execute(&device, algorithm, OpKind::Encrypt, &handles);
    for (key, (result, data)) in made.iter().enumerate() {
        let key = [key as u8; 16];
        let expected = Case { key: &key, ..case(algorithm, OpKind::Encrypt, &[0; 20]) }.run().data;
        assert_eq!((result, data), (&Ok(()), &expected));
    }
    assert_eq!(made.into_iter().map(|(_, data)| data).collect::<HashSet<_>>().len(), 100);
}

/// One operation for each session, in one run.
fn execute(
    device: &AwsLc,
    algorithm: Algorithm,
    kind: OpKind,
    handles: &[Handle],
) -> Vec<(Result<(), DeviceError>, Vec<u8>)> {
    let iv = Iv::new(&IV[..algorithm.iv_len()]).unwrap();
    let (mut data, mut outputs) = (vec![vec![0; 20]; handles.len()], vec![Output::none(); handles.len()]);
    let mut ops: Vec<DirectOp<'_>> = (handles.iter().zip(&mut data).zip(&mut outputs))
        .map(|((handle, data), output)| DirectOp {
            handle: *handle,
            algorithm,
            kind,
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
    let results: Vec<_> = ops.iter().map(|op| op.result.unwrap()).collect();
    results.into_iter().zip(data).collect()
}

#[test]
fn i9_an_operation_with_room_for_its_tag_is_carried_out_in_place_without_allocation() {
    let device = AwsLc::new();
    for capability in device.info().capabilities {
        let algorithm = capability.algorithm;
        let key = Key::new(KEY[..(*algorithm.key_len().end()).min(KEY.len())].to_vec());
        let handle = device.open(&SessionSpec::new(algorithm), &key).unwrap();
        let iv = Iv::new(&IV[..algorithm.iv_len()]).unwrap();
        let (mut data, mut output) = (Vec::with_capacity(1_040), Output::none());
        data.resize(1_024, 0);
        let before = data.as_ptr();
        let mut ops = [DirectOp {
            handle,
            algorithm,
            kind: capability.kind,
            iv: &iv,
            aad: b"",
            data: &mut data,
            source: None,
            output: &mut output,
            chain: None,
            result: None,
        }];
        let counted = allocation_counter::measure(|| device.execute(&mut ops));
        assert!(ops[0].result.is_some());
        assert_eq!((counted.count_total, data.as_ptr()), (0, before), "{algorithm}");
    }
}

proptest! {
    #[test]
    fn i4_it_gives_the_bytes_of_soft(
        key in vec(any::<u8>(), 300),
        iv in any::<[u8; 16]>(),
        aad in vec(any::<u8>(), 0..50),
        text in vec(any::<u8>(), 0..3_000),
    ) {
        let device = AwsLc::new();
        for algorithm in ALGORITHMS {
            let mut len = text.len();
            if algorithm.needs_whole_blocks() {
                len -= len % 16;
            }
            let kind = algorithm.ops()[0];
            let key = &key[..(*algorithm.key_len().end()).min(key.len())];
            let aad: &[u8] = if algorithm.is_authenticated() { &aad } else { &[] };
            let iv = &iv[..algorithm.iv_len()];
            let there = Case { algorithm, kind, key, iv, aad, input: &text[..len] };
            let made = there.run_on(&device, None);
            prop_assert_eq!(&made, &there.run());
            if kind == OpKind::Encrypt {
                let back = Case { kind: OpKind::Decrypt, input: &made.data, ..there }.run_on(&device, None);
                prop_assert_eq!(back.data, &text[..len]);
            }
        }
    }
}
