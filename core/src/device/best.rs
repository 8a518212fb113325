//! Which of the kinds that compute on the processor suits an algorithm best.
//!
//! They compete for the same cores, so that only the order matters, not by how much. The figures are of runs of 32
//! operations of 64 bytes to 16 KiB on one core; what `multi` gains is in `benches/RESULTS.md`.

use super::{Score, kind};
use crate::algorithm::{Algorithm, Class};

/// Score of a device that makes no claim, as `soft` and `sim` are.
const PLAIN: u32 = 100;
/// What a place in the order is worth.
const STEP: u32 = 10;

/// The kinds that have an algorithm, best first, whether they are built in or not.
const fn order(algorithm: Algorithm) -> &'static [&'static str] {
    match algorithm {
        Algorithm::Null => &["null"],
        // Interleaving operations is worth 2 times and more to encrypt, wide registers as much to decrypt. Of the other two
        // AWS-LC is up to 1.2 times faster to encrypt and 2.5 to decrypt, but slower below 256 bytes.
        Algorithm::Aes128Cbc | Algorithm::Aes192Cbc | Algorithm::Aes256Cbc => &["multi", "aws-lc", "soft"],
        // Wide registers; AWS-LC is 1.5 times soft from 1 KiB on, and slower below 256 bytes.
        Algorithm::Aes128Ctr | Algorithm::Aes192Ctr | Algorithm::Aes256Ctr => &["multi", "aws-lc", "soft"],
        // Nothing is gained by interleaving; AWS-LC is 1 (at 64 bytes) to 2 times soft, and 2 to 8 with chacha20-poly1305.
        Algorithm::Aes128Gcm | Algorithm::Aes192Gcm | Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => {
            &["aws-lc", "soft"]
        }
        // Interleaving again; the other two use the same instructions, AWS-LC with less ado around short messages.
        Algorithm::Sha256 => &["multi", "aws-lc", "soft"],
        // AWS-LC copies and wipes a whole context for each MAC: 0.8 of soft at 64 bytes.
        Algorithm::HmacSha256 => &["multi", "soft", "aws-lc"],
        Algorithm::HmacSha384 | Algorithm::HmacSha512 => &["soft", "aws-lc"],
        // Equal but for short messages, where AWS-LC is ahead.
        Algorithm::Sha384 | Algorithm::Sha512 => &["aws-lc", "soft"],
        // For checking old digests; equal.
        Algorithm::Sha1 => &["soft", "aws-lc"],
        // Nobody else has them.
        Algorithm::Aes128Ecb
        | Algorithm::Aes192Ecb
        | Algorithm::Aes256Ecb
        | Algorithm::Aes128CbcHmacSha256
        | Algorithm::Random => &["soft"],
    }
}

/// The built-in kind that suits an algorithm best.
///
/// ```
/// use acrypto_core::{Algorithm, device};
/// assert_eq!(device::best_kind(Algorithm::Random), "soft");
/// ```
pub fn best_kind(algorithm: Algorithm) -> &'static str {
    built_in(algorithm).next().unwrap_or("soft")
}

/// The built-in kind that suits the chunks of a stream best: one follows the other, so that what gains only by being many
/// gains nothing, and some kinds do not take those of a hash.
pub fn best_stream_kind(algorithm: Algorithm) -> &'static str {
    let suits = |name: &&str| {
        let Some(device) = kind::direct(name) else { return false };
        let streams = device.info().capabilities.iter().any(|can| can.algorithm == algorithm && can.stream);
        streams && !algorithm.ops().iter().any(|op| device.gains(*op, algorithm))
    };
    built_in(algorithm).find(suits).unwrap_or_else(|| best_kind(algorithm))
}

/// The built-in kinds that suit some algorithm best, in chunks or whole; what a runtime needs to be at its best with
/// every algorithm. `null` is none of them.
pub fn best_kinds() -> Vec<&'static str> {
    let algorithms = || Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.class() != Class::Null);
    let is_best = |name: &&str| {
        algorithms().any(|algorithm| best_kind(algorithm) == *name || best_stream_kind(algorithm) == *name)
    };
    kind::KINDS.iter().copied().filter(is_best).collect()
}

fn built_in(algorithm: Algorithm) -> impl Iterator<Item = &'static str> {
    order(algorithm).iter().copied().filter(|name| kind::KINDS.contains(name))
}

/// What a device of this kind answers when it is probed: `soft` is the measure. `None` where the order has no such kind.
pub(crate) fn score(kind: &str, algorithm: Algorithm) -> Option<Score> {
    let order = order(algorithm);
    let place = |name: &str| order.iter().position(|kind| *kind == name);
    let (own, measure) = (place(kind)? as u32, place("soft").unwrap_or(0) as u32);
    Some(Score((PLAIN + STEP * measure).saturating_sub(STEP * own)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionSpec;

    #[test]
    fn every_algorithm_has_a_best_kind_that_is_built_in_and_has_it() {
        for algorithm in Algorithm::ALL.iter().copied() {
            for (kind, is_stream) in [(best_kind(algorithm), false), (best_stream_kind(algorithm), true)] {
                assert!(kind::KINDS.contains(&kind));
                let Some(device) = kind::direct(kind) else { panic!("{kind}") };
                let mut capabilities = device.info().capabilities.into_iter();
                let has = capabilities.any(|can| {
                    can.algorithm == algorithm && (can.stream || !is_stream || !algorithm.streams())
                });
                assert!(has, "{algorithm}: {kind}");
            }
        }
    }

    #[test]
    fn soft_is_the_measure_of_scores() {
        for algorithm in Algorithm::ALL.iter().copied().filter(|algorithm| *algorithm != Algorithm::Null) {
            assert_eq!(score("soft", algorithm), Some(Score(PLAIN)));
        }
        assert!(score("aws-lc", Algorithm::Aes256Gcm) > score("soft", Algorithm::Aes256Gcm));
        assert!(score("aws-lc", Algorithm::HmacSha512) < score("soft", Algorithm::HmacSha512));
        assert!(score("multi", Algorithm::Aes128Cbc) > score("aws-lc", Algorithm::Aes128Cbc));
        assert_eq!(score("null", Algorithm::Null), Some(Score(PLAIN)));
        assert_eq!((score("aws-lc", Algorithm::Random), score("sim", Algorithm::Random)), (None, None));
    }

    #[test]
    fn soft_is_there_for_what_nobody_else_has_and_null_for_nothing() {
        let kinds = best_kinds();
        assert!(kinds.contains(&"soft") && !kinds.contains(&"null") && !kinds.contains(&"sim"));
        assert_eq!(kinds.contains(&"aws-lc"), cfg!(feature = "aws-lc"));
    }

    #[test]
    fn what_a_device_has_and_answers_is_the_order() {
        for (kind, algorithm) in kind::KINDS
            .iter()
            .flat_map(|kind| Algorithm::ALL.iter().map(move |algorithm| (*kind, *algorithm)))
        {
            let Some(device) = kind::direct(kind) else { continue };
            let answer = device.probe(&SessionSpec::new(algorithm));
            assert_eq!(answer, score(kind, algorithm), "{kind}, {algorithm}");
            let has = device.info().capabilities.iter().any(|can| can.algorithm == algorithm);
            assert_eq!(has, answer.is_some(), "{kind}, {algorithm}");
        }
    }
}
