//! One operation: what is asked, what comes back, and what passes between core and a device.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::algorithm::{IV_LEN_MAX, OUTPUT_LEN_MAX, OpKind};
use crate::error::{Error, OpError};

/// Initialisation vector, nonce or initial counter block: up to 16 bytes, held inline.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Iv {
    bytes: [u8; IV_LEN_MAX],
    len: u8,
}

impl Iv {
    /// No iv.
    pub const NONE: Iv = Iv { bytes: [0; IV_LEN_MAX], len: 0 };

    /// Copies `bytes`; `None` when there are more than 16.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut iv = Self::NONE;
        iv.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        iv.len = bytes.len() as u8;
        Some(iv)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Length in bytes, 0 to 16.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl From<[u8; 12]> for Iv {
    fn from(bytes: [u8; 12]) -> Self {
        let mut iv = Self { bytes: [0; IV_LEN_MAX], len: 12 };
        iv.bytes[..12].copy_from_slice(&bytes);
        iv
    }
}

impl From<[u8; 16]> for Iv {
    fn from(bytes: [u8; 16]) -> Self {
        Self { bytes, len: 16 }
    }
}

impl fmt::Debug for Iv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iv({} bytes)", self.len)
    }
}

/// Digest or MAC of an operation: up to 64 bytes, held inline.
#[derive(Clone, Copy)]
pub struct Output(Held);

/// Most operations make none: then no byte of the array is written.
#[derive(Clone, Copy)]
enum Held {
    Nothing,
    Bytes([u8; OUTPUT_LEN_MAX], u8),
}

impl Output {
    /// No output.
    pub const NONE: Output = Output(Held::Nothing);

    /// Copies `bytes`.
    ///
    /// # Panics
    /// When there are more than 64: a device's programming error.
    pub fn set(&mut self, bytes: &[u8]) {
        let mut held = [0; OUTPUT_LEN_MAX];
        held[..bytes.len()].copy_from_slice(bytes);
        self.0 = Held::Bytes(held, bytes.len() as u8);
    }

    /// The bytes; empty when the operation makes none.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Held::Nothing => &[],
            Held::Bytes(bytes, len) => &bytes[..usize::from(*len)],
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::NONE
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Output {}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes)", self.as_slice().len())
    }
}

/// State of a hash or MAC between two chunks of a stream, in the form `soft` defines; wiped when dropped.
///
/// Ciphers need none: their chain is the iv.
#[derive(Clone, Default)]
pub struct Midstate(Zeroizing<Vec<u8>>);

impl Midstate {
    /// The serialised state; empty before the first chunk.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Replaces the state, wiping the old one.
    pub fn set(&mut self, bytes: &[u8]) {
        self.0.zeroize();
        self.0.extend_from_slice(bytes);
    }
}

impl fmt::Debug for Midstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Midstate({} bytes)", self.0.len())
    }
}

/// Place of a chunk in its stream, and what is carried from chunk to chunk.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Nothing came before.
    pub first: bool,
    /// Nothing comes after: a hash or MAC gives its output now.
    pub last: bool,
    /// Hash or MAC state; a device reads it unless `first`, and writes it unless `last`.
    pub midstate: Midstate,
}

/// One operation to submit. The runtime owns the buffers from submission to completion.
#[derive(Debug, Default)]
pub struct Request {
    /// What to do; `None` takes the only kind the session's algorithm has.
    pub kind: Option<OpKind>,
    /// Input, and the place of the output: encrypt and decrypt work in place, random fills it, digest and mac
    /// leave it alone. An AEAD's ciphertext carries its 16-byte tag at the end; leave that much spare capacity to
    /// spare a copy.
    pub data: Vec<u8>,
    /// Initialisation vector, of the algorithm's length.
    pub iv: Iv,
    /// Associated data of an AEAD.
    pub aad: Vec<u8>,
    /// The caller's own word; comes back untouched.
    pub user_data: u64,
    /// Time to live in nanoseconds; 0 takes the session's.
    pub deadline_ns: u64,
    /// The runtime makes the iv, at random, and gives it back with the completion. It is made when the operation is
    /// accepted and stays the same in every attempt.
    pub runtime_iv: bool,
    pub(crate) chain: Option<Box<Chain>>,
}

impl Request {
    /// An operation of `kind` on `data`.
    pub fn new(kind: OpKind, data: Vec<u8>) -> Self {
        Self { kind: Some(kind), data, ..Self::default() }
    }

    /// Encrypt `data` in place.
    pub fn encrypt(data: Vec<u8>, iv: impl Into<Iv>) -> Self {
        Self { iv: iv.into(), ..Self::new(OpKind::Encrypt, data) }
    }

    /// Encrypt `data` in place with an iv that the runtime makes: [`Completion::iv`]. The last four bytes of a counter
    /// block are 0.
    pub fn encrypt_with_runtime_iv(data: Vec<u8>) -> Self {
        Self { runtime_iv: true, ..Self::new(OpKind::Encrypt, data) }
    }

    /// Decrypt `data` in place.
    pub fn decrypt(data: Vec<u8>, iv: impl Into<Iv>) -> Self {
        Self { iv: iv.into(), ..Self::new(OpKind::Decrypt, data) }
    }

    /// Hash `data`.
    pub fn digest(data: Vec<u8>) -> Self {
        Self::new(OpKind::Digest, data)
    }

    /// MAC over `data`.
    pub fn mac(data: Vec<u8>) -> Self {
        Self::new(OpKind::Mac, data)
    }

    /// `len` random bytes.
    pub fn random(len: usize) -> Self {
        Self::new(OpKind::Random, vec![0; len])
    }

    /// With this iv, of the algorithm's length.
    pub fn with_iv(mut self, iv: Iv) -> Self {
        self.iv = iv;
        self
    }

    /// With this time to live, in nanoseconds; 0 takes the session's.
    pub fn with_deadline_ns(mut self, deadline_ns: u64) -> Self {
        self.deadline_ns = deadline_ns;
        self
    }

    /// With associated data.
    pub fn with_aad(mut self, aad: Vec<u8>) -> Self {
        self.aad = aad;
        self
    }

    /// With a word of the caller's.
    pub fn with_user_data(mut self, user_data: u64) -> Self {
        self.user_data = user_data;
        self
    }
}

/// A request that was not accepted, with everything that was handed in.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// The request, untouched.
    pub request: Request,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// Index of a device in its runtime; never used twice for different devices within one runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub u16);

/// What became of an accepted operation.
#[derive(Debug)]
pub struct Completion {
    /// Success, or the one way it failed.
    pub result: Result<(), OpError>,
    /// The buffer handed in, holding the output of encrypt, decrypt and random. After a failure the input if the
    /// source is intact, else nothing.
    pub data: Vec<u8>,
    /// Digest or MAC; empty for other kinds.
    pub output: Output,
    /// The caller's word.
    pub user_data: u64,
    /// Device of the last attempt; `None` when no device had it.
    pub device: Option<DeviceId>,
    /// Attempts made.
    pub attempts: u16,
    /// Nanoseconds from submission to the start of the last attempt (granularity: the run).
    pub queue_ns: u64,
    /// Nanoseconds of the last attempt (granularity: the run).
    pub service_ns: u64,
    /// Nanoseconds from submission to the end.
    pub total_ns: u64,
    /// Stage of the route at which the operation ended, from 1; 1 without a route.
    pub stage: u8,
    /// The iv it was carried out with.
    pub iv: Iv,
    /// Whether `data` still holds the input after a failure.
    pub source_intact: bool,
    pub(crate) chain: Option<Box<Chain>>,
}

/// How an operation ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Carried out.
    Done,
    /// The caller's own failure: authentication or padding was wrong.
    Refused,
    /// No device could do it.
    Broken,
    /// The deadline passed.
    TimedOut,
    /// Cancelled by the caller, or by the end of the runtime.
    Cancelled,
}

impl Completion {
    /// The outcome's class.
    pub fn outcome(&self) -> Outcome {
        match &self.result {
            Ok(()) => Outcome::Done,
            Err(OpError::DecryptionFailed) => Outcome::Refused,
            Err(OpError::Broken { .. }) => Outcome::Broken,
            Err(OpError::TimedOut { .. }) => Outcome::TimedOut,
            Err(OpError::Cancelled) => Outcome::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iv_holds_sixteen_bytes_and_not_seventeen() {
        assert_eq!(Iv::new(&[7; 16]).map(|iv| iv.as_slice().to_vec()), Some(vec![7; 16]));
        assert_eq!(Iv::new(&[7; 17]), None);
    }

    #[test]
    fn i5_debug_of_a_midstate_shows_no_byte() {
        let mut midstate = Midstate::default();
        midstate.set(&[0xaa; 40]);
        assert_eq!(format!("{midstate:?}"), "Midstate(40 bytes)");
    }
}
