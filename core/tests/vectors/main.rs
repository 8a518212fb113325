//! Known results on every device and by every way in: fixtures/vectors, NIST, Wycheproof, and the devices against
//! each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod cross;
mod devices;
mod direct;
mod file;
mod paths;
mod standards;
mod streams;
mod wycheproof;

use acrypto_core::algorithm::{Algorithm, Class, OpKind};
use acrypto_core::device::soft::Soft;
use acrypto_core::device::{DeviceError, DirectDevice};

use crate::direct::Operation;
use crate::file::Vector;

/// Chunk lengths in blocks of the algorithm, at least 16 bytes each.
const CHUNK_BLOCKS: [usize; 4] = [1, 2, 3, 9];

#[test]
fn every_algorithm_but_null_and_random_has_a_file_with_cases() {
    for algorithm in Algorithm::ALL {
        let expected = !matches!(algorithm.class(), Class::Null | Class::Random);
        assert_eq!(
            file::vectors(*algorithm).is_some_and(|vectors| !vectors.is_empty()),
            expected,
            "{algorithm}"
        );
    }
}

#[test]
fn soft_agrees_with_every_vector() {
    let soft = Soft::new();
    for_each_vector(&soft, |operation, expected, output| {
        let done = operation.run(&soft);
        assert_eq!(done.result, Ok(()));
        assert!(done.data == expected && done.output.as_slice() == output);
    });
}

#[test]
fn soft_agrees_with_every_vector_in_chunks() {
    let soft = Soft::new();
    for_each_vector(&soft, |operation, expected, output| {
        if !operation.algorithm.streams() {
            return;
        }
        for blocks in CHUNK_BLOCKS {
            let done = operation.run_in_chunks(&soft, &[blocks; 64]);
            assert!(done.data == expected && done.output.as_slice() == output, "chunks of {blocks} blocks");
        }
    });
}

#[test]
fn i4_soft_refuses_every_sealed_vector_with_one_bit_flipped() {
    let soft = Soft::new();
    for_each_vector(&soft, |operation, _, _| {
        if !operation.algorithm.is_authenticated() || operation.kind != OpKind::Decrypt {
            return;
        }
        for index in [0, operation.input.len() / 2, operation.input.len() - 1] {
            let mut forged = operation.clone();
            forged.input[index] ^= 0x80;
            let done = forged.run(&soft);
            assert_eq!(done.result, Err(DeviceError::DecryptionFailed));
            assert!(done.data.is_empty());
        }
    });
}

/// Calls `body` with each operation of each vector, the data it must leave and the digest or MAC it must give.
fn for_each_vector(device: &dyn DirectDevice, body: impl Fn(&Operation, &[u8], &[u8])) {
    for capability in device.info().capabilities {
        for vector in file::vectors(capability.algorithm).unwrap_or_default() {
            let operation = |input: &[u8]| Operation {
                algorithm: capability.algorithm,
                kind: capability.kind,
                key: vector.key.clone(),
                iv: vector.iv.clone(),
                aad: vector.aad.clone(),
                input: input.to_vec(),
            };
            let Vector { input, output, .. } = &vector;
            match capability.kind {
                OpKind::Encrypt => body(&operation(input), output, &[]),
                OpKind::Decrypt => body(&operation(output), input, &[]),
                _ => body(&operation(input), input, output),
            }
        }
    }
}
