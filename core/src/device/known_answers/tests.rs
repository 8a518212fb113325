use crate::device::soft::harness::{Attempt, Case};

use super::*;

fn attempt(answer: &KnownAnswer, key: &[u8], iv: &[u8], aad: &[u8], input: &[u8]) -> Attempt {
    Case { key, iv, aad, input, ..Case::new(answer.algorithm, answer.kind) }.run()
}

fn check(answer: &KnownAnswer, attempt: &Attempt) -> Result<(), String> {
    answer.check(attempt.result, &attempt.data, attempt.output.as_slice())
}

fn flipped(bytes: &[u8], index: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[index] ^= 0x40;
    bytes
}

#[test]
fn i10_soft_passes_every_known_answer() {
    for answer in all().filter(|answer| answer.algorithm != Algorithm::Null) {
        assert_eq!(check(answer, &attempt(answer, answer.key, answer.iv, answer.aad, answer.input)), Ok(()));
    }
}

#[test]
fn i10_every_operation_of_every_algorithm_has_one() {
    for algorithm in Algorithm::ALL {
        for kind in algorithm.ops() {
            assert!(for_algorithm(*algorithm).any(|answer| answer.kind == *kind), "{algorithm} {kind}");
        }
    }
}

#[test]
fn i10_every_aead_has_a_forgery() {
    for algorithm in Algorithm::ALL.iter().filter(|algorithm| algorithm.is_authenticated()) {
        assert!(for_algorithm(*algorithm).any(|answer| answer.expected == Expected::DecryptionFailed));
    }
}

#[test]
fn i10_one_corrupted_byte_of_any_result_is_noticed() {
    for answer in all() {
        for index in 0..answer.input.len() + answer.algorithm.output_len() {
            let verdict = match answer.expected {
                Expected::Data(good) if index < good.len() => {
                    answer.check(Ok(()), &flipped(good, index), &[])
                }
                Expected::Output(good) if index < good.len() => {
                    answer.check(Ok(()), &[], &flipped(good, index))
                }
                _ => continue,
            };
            assert!(verdict.unwrap_err().contains(&format!("wrong at byte {index}")));
        }
    }
}

#[test]
fn i10_one_corrupted_byte_of_any_input_is_noticed() {
    let deterministic = all().filter(|answer| {
        matches!(answer.expected, Expected::Data(_) | Expected::Output(_))
            && answer.algorithm != Algorithm::Null
    });
    for answer in deterministic {
        let KnownAnswer { key, iv, aad, input, .. } = *answer;
        for index in 0..input.len() {
            assert!(check(answer, &attempt(answer, key, iv, aad, &flipped(input, index))).is_err());
        }
        for index in 0..key.len() {
            assert!(check(answer, &attempt(answer, &flipped(key, index), iv, aad, input)).is_err());
        }
        for index in 0..iv.len() {
            assert!(check(answer, &attempt(answer, key, &flipped(iv, index), aad, input)).is_err());
        }
        for index in 0..aad.len() {
            assert!(check(answer, &attempt(answer, key, iv, &flipped(aad, index), input)).is_err());
        }
    }
}

#[test]
fn i10_missing_and_surplus_bytes_are_noticed() {
    for answer in all() {
        let (data, output): (&[u8], &[u8]) = match answer.expected {
            Expected::Data(good) => (good, &[]),
            Expected::Output(good) => (&[], good),
            _ => continue,
        };
        assert_eq!(answer.check(Ok(()), data, output), Ok(()));
        assert!(answer.check(Ok(()), &[], &[]).is_err());
        assert!(answer.check(Ok(()), &[data, &[0]].concat(), &[output, &[0]].concat()).is_err());
    }
}

#[test]
fn i10_an_accepted_forgery_is_noticed_and_so_is_one_that_leaks() {
    for answer in all().filter(|answer| answer.expected == Expected::DecryptionFailed) {
        let refusal = Err(DeviceError::DecryptionFailed);
        assert_eq!(answer.check(refusal, &[], &[]), Ok(()));
        assert!(answer.check(refusal, &[1], &[]).unwrap_err().contains("released"));
        assert!(answer.check(Ok(()), &[], &[]).unwrap_err().contains("accepted"));
    }
}

#[test]
fn i10_a_stuck_generator_is_noticed() {
    let answer = for_algorithm(Algorithm::Random).next().unwrap();
    assert!(answer.check(Ok(()), &[7; 64], &[]).unwrap_err().contains("the same"));
    assert!(answer.check(Ok(()), &[1, 2], &[]).is_err());
    assert!(answer.check(Ok(()), &[], &[]).is_err());
}

#[test]
fn a_device_error_is_told_in_the_device_s_words() {
    let answer = for_algorithm(Algorithm::Sha256).next().unwrap();
    let failure = DeviceError::Failed {
        reason: "link down",
        progress: crate::error::Progress::NotStarted,
        source_intact: true,
    };
    assert_eq!(
        answer.check(Err(failure), &[], &[]).unwrap_err(),
        "sha256 digest (FIPS 180-4 example, one block): link down"
    );
}
