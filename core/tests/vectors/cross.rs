//! Cross-check: devices that share an algorithm give the same bytes.

use acrypto_core::{Algorithm, Completion, OpKind};
use proptest::prelude::*;

use crate::devices::{Bench, benches};
use crate::direct::request;

/// Around the blocks of ciphers and hashes, the size classes of runs, and the limit of what a caller does itself.
const LENS: [usize; 31] = [
    0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129, 255, 256, 257, 4_095, 4_096, 4_097,
    16_383, 16_384, 16_385, 40_000, 65_519, 65_520, 65_535, 65_536,
];

/// Bytes that depend on the seed alone.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut word = seed | 1;
    let next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn run(bench: &Bench, algorithm: Algorithm, kind: OpKind, input: &[u8], seed: u64) -> Completion {
    let pads = kind != OpKind::Digest && kind != OpKind::Mac && algorithm.needs_whole_blocks();
    let session = bench.session(algorithm, &bytes((*algorithm.key_len().end()).min(48), seed), pads);
    let aad_len = if algorithm.is_authenticated() { seed as usize % 40 } else { 0 };
    let (iv, aad) = (bytes(algorithm.iv_len(), seed ^ 2), bytes(aad_len, seed ^ 4));
    session.call(request(kind, input.to_vec(), &iv, &aad)).unwrap()
}

/// Every pair of benches, on one input, there and (for a cipher) back.
fn compare(benches: &[Bench], algorithm: Algorithm, len: usize, seed: u64) {
    let input = bytes(len, seed);
    for kind in algorithm.ops().iter().filter(|kind| **kind != OpKind::Decrypt) {
        let able: Vec<&Bench> =
            benches.iter().filter(|bench| bench.claims(algorithm, *kind).is_some()).collect();
        let made: Vec<Completion> =
            able.iter().map(|bench| run(bench, algorithm, *kind, &input, seed)).collect();
        for (one, other) in pairs(made.len()) {
            let names =
                || format!("{algorithm} {kind}: {} and {}, {len} bytes", able[one].name, able[other].name);
            assert!(made[one].result.is_ok() && made[other].result.is_ok(), "{}", names());
            assert!(made[one].data == made[other].data, "{}: other data", names());
            assert!(made[one].output == made[other].output, "{}: other output", names());
            if *kind == OpKind::Encrypt {
                // What one has sealed, the other opens.
                for (sealer, opener) in [(one, other), (other, one)] {
                    let opened = run(able[opener], algorithm, OpKind::Decrypt, &made[sealer].data, seed);
                    assert!(opened.result.is_ok() && opened.data == input, "{}: back", names());
                }
            }
        }
    }
}

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |one| (one + 1..count).map(move |other| (one, other)))
}

fn shared() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| algorithm.is_deterministic() && *algorithm != Algorithm::Null)
}

#[test]
fn i4_devices_agree_at_every_boundary() {
    let benches = benches();
    for algorithm in shared() {
        for len in LENS {
            compare(&benches, algorithm, len, len as u64 + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn i4_devices_agree_on_any_length(lens in proptest::collection::vec(0usize..=65_536, 3), seed in any::<u64>()) {
        let benches = benches();
        for algorithm in shared() {
            for len in &lens {
                compare(&benches, algorithm, *len, seed);
            }
        }
    }
}
