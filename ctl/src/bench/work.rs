//! What is measured: an algorithm, a length, and operations that anybody can make again from their number.

use std::fmt;

use acrypto_core::{Algorithm, Error, Iv, Key, OpKind, Padding, SessionSpec};

use crate::exit::Failure;

/// Most bytes that the operations of all clients hold at once.
const HELD_MAX_BYTES: u64 = 8 << 30;
/// Longest operation.
const SIZE_MAX_BYTES: usize = 1 << 30;

/// What every client does again and again.
#[derive(Clone, Debug)]
pub struct Work {
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Operation.
    pub kind: OpKind,
    /// Bytes an operation.
    pub size_bytes: usize,
    /// Operations submitted together; 1 awaits each.
    pub burst_ops: usize,
    /// Sessions used in turn.
    pub sessions: u32,
}

impl Work {
    /// The operation that measures an algorithm: its first.
    pub fn new(algorithm: Algorithm, size_bytes: usize, burst_ops: usize, sessions: u32) -> Self {
        let kind = algorithm.ops().first().copied().unwrap_or(OpKind::Encrypt);
        Self { algorithm, kind, size_bytes, burst_ops, sessions }
    }

    /// Whether it can be done by so many clients.
    pub fn check(&self, clients: u32) -> Result<(), Failure> {
        let (algorithm, size_bytes) = (self.algorithm, self.size_bytes);
        if algorithm.needs_whole_blocks() && !size_bytes.is_multiple_of(algorithm.block_len()) {
            return Err(
                Error::PartialBlock { algorithm, block: algorithm.block_len(), got: size_bytes }.into()
            );
        }
        if size_bytes > SIZE_MAX_BYTES {
            return Err(Failure::usage(format!(
                "{size_bytes} bytes are too many for an operation: at most 1 GiB"
            )));
        }
        let held_bytes = size_bytes as u64 * self.burst_ops as u64 * u64::from(clients);
        if held_bytes > HELD_MAX_BYTES {
            return Err(Failure::usage(format!(
                "{clients} clients with {} operations of {size_bytes} bytes would hold more than 8 GiB",
                self.burst_ops
            )));
        }
        Ok(())
    }

    /// The session every client opens.
    pub fn spec(&self) -> SessionSpec {
        SessionSpec::new(self.algorithm).padding(Padding::None).allow_ecb(true).allow_sha1(true)
    }

    /// The key of session number `session`: another for each, the same in every run.
    pub fn key(&self, session: u64) -> Key {
        let mut bytes = pattern(*self.algorithm.key_len().end().min(&32), session);
        for (byte, number) in bytes.iter_mut().zip(session.to_be_bytes()) {
            *byte ^= number;
        }
        Key::new(bytes)
    }

    /// The iv of operation number `operation`.
    pub fn iv(&self, operation: u64) -> Iv {
        let len = self.algorithm.iv_len();
        let mut bytes = [0; 16];
        if len >= 12 {
            bytes[4..12].copy_from_slice(&operation.to_be_bytes());
        }
        Iv::new(&bytes[..len]).unwrap_or_default()
    }

    /// The input of the operation at this place of a burst.
    pub fn input(&self, place: usize) -> Vec<u8> {
        pattern(self.size_bytes, place as u64)
    }

    /// Bytes that an operation leaves in its buffer.
    pub fn data_len(&self) -> usize {
        let tag_len = if self.algorithm.is_authenticated() { self.algorithm.output_len() } else { 0 };
        self.size_bytes + tag_len
    }

    /// Bytes of digest or MAC that an operation gives.
    pub fn output_len(&self) -> usize {
        if self.algorithm.is_authenticated() { 0 } else { self.algorithm.output_len() }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes, burst {}", self.algorithm, self.size_bytes, self.burst_ops)
    }
}

/// Bytes that look random and follow from a number.
fn pattern(len: usize, number: u64) -> Vec<u8> {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_session_has_a_key_of_its_own_and_every_operation_an_iv() {
        let work = Work::new(Algorithm::Aes256Gcm, 64, 4, 3);
        let keys: HashSet<Vec<u8>> = (0..1_000).map(|session| work.key(session).expose().to_vec()).collect();
        let ivs: HashSet<Vec<u8>> = (0..1_000).map(|number| work.iv(number).as_slice().to_vec()).collect();
        assert_eq!((keys.len(), ivs.len()), (1_000, 1_000));
        assert_ne!(work.input(0), work.input(1));
        assert_eq!((work.data_len(), work.output_len()), (80, 0));
        let hash = Work::new(Algorithm::Sha384, 64, 4, 3);
        assert_eq!((hash.data_len(), hash.output_len()), (64, 48));
    }
}
