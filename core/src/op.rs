//! One operation: what is asked, what comes back, and what passes between core and a device.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::algorithm::{IV_LEN_MAX, OUTPUT_LEN_MAX, OpKind};
use crate::buffers::{Input, Lies, Source};
use crate::error::{Error, OpError};
use crate::rare::Rare;

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
    /// No output. Not a constant: of one, all bytes would be written.
    #[inline(always)]
    pub const fn none() -> Self {
        Self(Held::Nothing)
    }

    /// Copies `bytes`.
    ///
    /// # Panics
    /// When there are more than 64: a device's programming error.
    #[inline]
    pub fn set(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= OUTPUT_LEN_MAX, "{} bytes of output", bytes.len());
        // Made where it stays, not beside it and copied.
        self.0 = Held::Bytes([0; OUTPUT_LEN_MAX], bytes.len() as u8);
        if let Held::Bytes(held, _) = &mut self.0 {
            held[..bytes.len()].copy_from_slice(bytes);
        }
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
        Self::none()
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
    /// spare a copy. With [`Request::from_source`] it is the place of the output alone, with [`Request::scattered`] mere
    /// working memory: what it holds is lost.
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
    pub(crate) chain: Rare<Chain>,
    /// Input that does not lie in `data`.
    pub(crate) input: Rare<Input>,
}

impl Request {
    /// An operation of `kind` on `data`.
    pub fn new(kind: OpKind, data: Vec<u8>) -> Self {
        // Each field by name: a default to take the rest from would be written and copied first.
        Self {
            kind: Some(kind),
            data,
            iv: Iv::NONE,
            aad: Vec::new(),
            user_data: 0,
            deadline_ns: 0,
            runtime_iv: false,
            chain: Rare::none(),
            input: Rare::none(),
        }
    }

    /// Encrypt `data` in place.
    pub fn encrypt(data: Vec<u8>, iv: impl Into<Iv>) -> Self {
        Self::new(OpKind::Encrypt, data).with_iv(iv.into())
    }

    /// Encrypt `data` in place with an iv that the runtime makes: [`Completion::iv`]. The last four bytes of a counter
    /// block are 0.
    pub fn encrypt_with_runtime_iv(data: Vec<u8>) -> Self {
        Self { runtime_iv: true, ..Self::new(OpKind::Encrypt, data) }
    }

    /// Decrypt `data` in place.
    pub fn decrypt(data: Vec<u8>, iv: impl Into<Iv>) -> Self {
        Self::new(OpKind::Decrypt, data).with_iv(iv.into())
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

    /// Out of place: `source` is read and never written, the output goes to `data`, whose memory is used if it is large
    /// enough ([`Request::into_data`]). Digest and mac leave `data` empty.
    ///
    /// The source is whole whatever becomes of the operation, so every attempt that fails can be repeated elsewhere; it
    /// comes back with the completion ([`Completion::take_source`]), or the caller keeps a clone. See
    /// [`buffers`](crate::buffers) for where a copy is made.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use acrypto_core::{Algorithm, Config, Key, OpKind, Request, Runtime, SessionSpec};
    ///
    /// # let runtime = Runtime::start(Config::default())?;
    /// # runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
    /// let text = Arc::new(b"attack at dawn".to_vec());
    /// let hash = runtime.session(SessionSpec::new(Algorithm::Sha256), Key::new(Vec::new()))?;
    /// let cipher = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16]))?;
    ///
    /// let digest = hash.call(Request::from_source(OpKind::Digest, Arc::clone(&text)))?;
    /// let destination = Vec::with_capacity(64);
    /// let sealed = cipher.call(Request::encrypt_from(Arc::clone(&text), [0; 16]).into_data(destination))?;
    /// assert_eq!(digest.output.as_slice().len(), 32);
    /// assert_eq!((sealed.data.len(), sealed.data.capacity()), (14, 64));
    /// assert_eq!(*text, b"attack at dawn");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_source(kind: OpKind, source: impl Into<Source>) -> Self {
        Self { input: Input(Lies::Shared(source.into())).into(), ..Self::new(kind, Vec::new()) }
    }

    /// Encrypt `source` out of place: [`Request::from_source`].
    pub fn encrypt_from(source: impl Into<Source>, iv: impl Into<Iv>) -> Self {
        Self::from_source(OpKind::Encrypt, source).with_iv(iv.into())
    }

    /// Decrypt `source` out of place: [`Request::from_source`].
    pub fn decrypt_from(source: impl Into<Source>, iv: impl Into<Iv>) -> Self {
        Self::from_source(OpKind::Decrypt, source).with_iv(iv.into())
    }

    /// Over segments, as if they were one buffer. Each comes back with as many bytes as it had
    /// ([`Completion::take_segments`]); a tag or padding is added to the last, and taken off the end, over as many segments
    /// as it takes. At most [`SEGMENTS_MAX`](crate::buffers::SEGMENTS_MAX).
    ///
    /// Until the operation has succeeded the segments are as they were. Ciphers work on a gathered copy; hashes and MACs go
    /// from segment to segment where the device can. See [`buffers`](crate::buffers).
    ///
    /// ```
    /// use acrypto_core::{Algorithm, Config, Iv, Key, OpKind, Request, Runtime, SessionSpec};
    ///
    /// # let runtime = Runtime::start(Config::default())?;
    /// # runtime.add_device_of_kind("soft0", "soft", &[], 0)?;
    /// let session = runtime.session(SessionSpec::new(Algorithm::Aes128Gcm), Key::new(vec![7; 16]))?;
    /// let segments = vec![b"attack ".to_vec(), b"at dawn".to_vec()];
    /// let request = Request::scattered(OpKind::Encrypt, segments).with_iv(Iv::from([0; 12]));
    /// let mut completion = session.call(request)?;
    /// let lengths: Vec<usize> = completion.take_segments().iter().map(Vec::len).collect();
    /// assert_eq!(lengths, [7, 7 + 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scattered(kind: OpKind, segments: Vec<Vec<u8>>) -> Self {
        Self { input: Input(Lies::Scattered(segments)).into(), ..Self::new(kind, Vec::new()) }
    }

    /// With this vector as `data`: for the output of an operation out of place.
    pub fn into_data(mut self, data: Vec<u8>) -> Self {
        self.data = data;
        self
    }

    /// The source of an operation out of place.
    pub fn source(&self) -> Option<&Source> {
        self.input.as_deref().and_then(Input::source)
    }

    /// The segments of a scattered operation.
    pub fn segments(&self) -> &[Vec<u8>] {
        self.input.as_deref().map_or(&[], Input::segments)
    }

    /// Takes the segments of a scattered operation back, from a request that was refused.
    pub fn take_segments(&mut self) -> Vec<Vec<u8>> {
        self.input.take().map_or_else(Vec::new, |input| input.into_segments())
    }

    /// Length of the input in bytes, wherever it lies.
    pub fn input_len(&self) -> usize {
        self.input.as_deref().map_or(self.data.len(), Input::len)
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
///
/// In memory what every operation has comes first, in two cache lines; only a digest or MAC reaches the third.
#[derive(Debug)]
#[repr(C)]
pub struct Completion {
    /// The buffer handed in, holding the output of encrypt, decrypt and random. After a failure the input if the
    /// source is intact, else nothing. Of an operation out of place the output or nothing; of a scattered one nothing.
    pub data: Vec<u8>,
    /// Success, or the one way it failed.
    pub result: Result<(), OpError>,
    /// The caller's word.
    pub user_data: u64,
    pub(crate) chain: Rare<Chain>,
    pub(crate) input: Rare<Input>,
    /// Nanoseconds from submission to the start of the last attempt (granularity: the run).
    pub queue_ns: u64,
    /// Nanoseconds of the last attempt (granularity: the run). 0 if it was carried out at once and not measured:
    /// [`Config::statistics`](crate::Config::statistics).
    pub service_ns: u64,
    /// Nanoseconds from submission to the end; 0 as `service_ns`.
    pub total_ns: u64,
    /// The iv it was carried out with.
    pub iv: Iv,
    /// Whether the input is still there after a failure: in `data`, or out of place, where it always is.
    pub source_intact: bool,
    /// Stage of the route at which the operation ended, from 1; 1 without a route.
    pub stage: u8,
    /// Attempts made.
    pub attempts: u16,
    /// Device of the last attempt; `None` when no device had it.
    pub device: Option<DeviceId>,
    /// Digest or MAC; empty for other kinds.
    pub output: Output,
}

const _: () = assert!(std::mem::offset_of!(Completion, output) <= 128 && size_of::<Completion>() <= 192);

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

    /// The source of an operation out of place, as it was; once.
    pub fn take_source(&mut self) -> Option<Source> {
        self.input.take_if(|input| input.source().is_some()).and_then(|input| input.into_source())
    }

    /// The segments of a scattered operation, once: with the output of one that succeeded, else as they were.
    pub fn take_segments(&mut self) -> Vec<Vec<u8>> {
        let scattered = self.input.take_if(|input| input.source().is_none());
        scattered.map_or_else(Vec::new, |input| input.into_segments())
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
