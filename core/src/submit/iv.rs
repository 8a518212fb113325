//! Initialisation vectors that the runtime makes: random, by NIST SP 800-38D section 8.2.2 for the AEADs.

use zeroize::Zeroize;

use crate::algorithm::{Algorithm, Class};
use crate::error::Error;
use crate::op::Iv;
use crate::sync::Lock;

/// Bytes fetched from the operating system at a time.
const POOL_BYTES: usize = 4_096;

/// Random bytes that were not used yet.
#[derive(Debug, Default)]
pub(crate) struct IvPool(Lock<Vec<u8>>);

impl IvPool {
    /// An iv for an algorithm: all of it random, but for a counter block, whose last four bytes count from 0.
    pub(crate) fn make(&self, algorithm: Algorithm) -> Result<Iv, Error> {
        let mut bytes = [0; 16];
        let iv = &mut bytes[..algorithm.iv_len()];
        let random = if algorithm.class() == Class::Ctr { 12 } else { iv.len() };
        let mut pool = self.0.lock();
        if pool.len() < random {
            pool.resize(POOL_BYTES, 0);
            getrandom::fill(&mut pool).map_err(|_| {
                pool.clear();
                Error::NoRandom
            })?;
        }
        let rest = pool.len() - random;
        iv[..random].copy_from_slice(&pool[rest..]);
        // What was given out must not be found here again.
        pool[rest..].zeroize();
        pool.truncate(rest);
        Ok(Iv::new(iv).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ivs_have_the_algorithms_length_and_differ() {
        let pool = IvPool::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2_000 {
            let iv = pool.make(Algorithm::Aes128Gcm).unwrap();
            assert_eq!(iv.len(), 12);
            assert!(seen.insert(iv.as_slice().to_vec()));
        }
        let counter = pool.make(Algorithm::Aes256Ctr).unwrap();
        assert_eq!((counter.len(), &counter.as_slice()[12..]), (16, [0; 4].as_slice()));
    }
}
