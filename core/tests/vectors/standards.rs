//! NIST's own answers (CAVP, and the RFCs where it has none) and ours, on every device and path.

use acrypto_core::{Algorithm, OpKind};

use crate::devices::{benches, kinds_with};
use crate::direct::Operation;
use crate::file::{self, Vector};
use crate::paths::{Case, Expected, check_everywhere};

fn cases(algorithm: Algorithm, vectors: &[Vector]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, vector) in vectors.iter().enumerate() {
        for kind in algorithm.ops() {
            let Vector { key, iv, aad, input, output } = vector;
            let (input, expected) = match kind {
                OpKind::Encrypt => (input, Expected::Data(output.clone())),
                OpKind::Decrypt => (output, Expected::Data(input.clone())),
                _ => (input, Expected::Output(output.clone())),
            };
            cases.push(Case {
                name: format!("{algorithm} {kind}, vector {index}"),
                operation: Operation {
                    algorithm,
                    kind: *kind,
                    key: key.clone(),
                    iv: iv.clone(),
                    aad: aad.clone(),
                    input: input.clone(),
                },
                pads: false,
                expected,
            });
        }
    }
    cases
}

fn check(vectors_of: impl Fn(Algorithm) -> Option<Vec<Vector>>, at_least: usize) {
    let benches = benches();
    let mut count = 0;
    for algorithm in Algorithm::ALL {
        for case in cases(*algorithm, &vectors_of(*algorithm).unwrap_or_default()) {
            let wanted = kinds_with(case.operation.algorithm);
            assert_eq!(check_everywhere(&benches, &case), wanted, "{}", case.name);
            count += 1;
        }
    }
    assert!(count >= at_least, "{count} cases");
}

#[test]
fn i4_nist_s_vectors_hold_on_every_device_and_path() {
    check(file::nist, 350);
}

#[test]
fn i4_our_vectors_hold_on_every_device_and_path() {
    check(file::vectors, 800);
}
