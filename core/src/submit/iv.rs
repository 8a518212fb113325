//! Initialisation vectors that the runtime makes: random, by NIST SP 800-38D section 8.2.2 for the AEADs.

use crate::algorithm::{Algorithm, Class};
use crate::error::Error;
use crate::op::Iv;

/// An iv for an algorithm: all of it random, but for a counter block, whose last four bytes count from 0.
///
/// Each comes from the operating system: random bytes kept in this process would be found again in a forked child, and
/// an iv under the same key twice.
pub(crate) fn make(algorithm: Algorithm) -> Result<Iv, Error> {
    let mut bytes = [0; 16];
    let iv = &mut bytes[..algorithm.iv_len()];
    let random = if algorithm.class() == Class::Ctr { 12 } else { iv.len() };
    getrandom::fill(&mut iv[..random]).map_err(|_| Error::NoRandom)?;
    Ok(Iv::new(iv).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ivs_have_the_algorithms_length_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2_000 {
            let iv = make(Algorithm::Aes128Gcm).unwrap();
            assert_eq!(iv.len(), 12);
            assert!(seen.insert(iv.as_slice().to_vec()));
        }
        let counter = make(Algorithm::Aes256Ctr).unwrap();
        assert_eq!((counter.len(), &counter.as_slice()[12..]), (16, [0; 4].as_slice()));
    }
}
