//! What a device is: the two traits a provider implements, and the plain data that describes it.

use std::fmt;
use std::sync::Arc;

use crate::algorithm::{Algorithm, OpKind};
use crate::buffers::{Input, Source};
use crate::clock::Nanos;
use crate::error::{Error, Progress};
use crate::key::Key;
use crate::op::{Chain, Iv, Output};
use crate::session::SessionSpec;

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
mod best;
pub mod bridge;
pub mod fault;
mod faulted;
pub(crate) mod kind;
pub mod known_answers;
mod lane;
pub(crate) mod mount;
pub mod multi;
pub mod null;
pub(crate) mod opened;
pub(crate) mod registry;
pub mod sim;
pub mod soft;
pub(crate) mod staged;

pub use best::{best_kind, best_kinds, best_stream_kind};
pub use kind::direct;
pub use registry::Engine;

/// State of a device. The names are the only tokens: commands, messages and screens show them as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeviceState {
    /// Known answers are running after a repair.
    Selftest = 1,
    /// Known answers came out wrong after a repair; gets no work.
    Failed = 2,
    /// In service.
    Up = 3,
    /// In service, with errors below its budget.
    Degraded = 4,
    /// Gets no work until repaired.
    Broken = 5,
    /// Repaired; gets a growing share of work.
    Probation = 6,
    /// Finishes what it has, takes nothing new.
    Draining = 7,
    /// Empty, takes nothing new.
    Drained = 8,
    /// Removed.
    Gone = 9,
}

impl DeviceState {
    /// Every state, in the order of its number.
    pub const ALL: [DeviceState; 9] = [
        Self::Selftest,
        Self::Failed,
        Self::Up,
        Self::Degraded,
        Self::Broken,
        Self::Probation,
        Self::Draining,
        Self::Drained,
        Self::Gone,
    ];

    /// The token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selftest => "selftest",
            Self::Failed => "failed",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Broken => "broken",
            Self::Probation => "probation",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Gone => "gone",
        }
    }

    /// Whether a balancer may pick a device in this state.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::Degraded | Self::Probation)
    }

    #[inline]
    pub(crate) fn from_number(number: u8) -> Self {
        // Numbers count from 1, in the order of `ALL`.
        Self::ALL.get(usize::from(number).wrapping_sub(1)).copied().unwrap_or(Self::Gone)
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One (operation, algorithm) a device can do; lengths are those of the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capability {
    /// The operation.
    pub kind: OpKind,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether it may take a chunk of a stream.
    pub stream: bool,
}

impl Capability {
    /// Every operation of every one of `algorithms`, streamed where the algorithm can be.
    pub fn all_of(algorithms: &[Algorithm]) -> Vec<Capability> {
        algorithms
            .iter()
            .flat_map(|algorithm| {
                algorithm.ops().iter().map(|kind| Capability {
                    kind: *kind,
                    algorithm: *algorithm,
                    stream: algorithm.streams(),
                })
            })
            .collect()
    }
}

/// What a device says of itself. Asked once, when the device is added.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// Kind: `soft`, `null`, `sim` and so on.
    pub kind: &'static str,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// Most operations it holds at once (queued and in flight); the runtime's limit applies as well.
    pub queue_max_ops: usize,
    /// Most operations handed over in one run, 1 to [`RUN_MAX_OPS`].
    pub run_max_ops: usize,
    /// Most sessions open on it at once; the least used is closed to make room.
    pub sessions_max: usize,
}

/// Most operations in one run.
pub const RUN_MAX_OPS: usize = 64;

/// How well a device suits a session: higher is better, 100 makes no claim.
///
/// Among direct devices, which share the cores, those of a lower score give way while there are enough of a higher one to
/// keep every worker busy; see [`View::able`](crate::balancer::View::able). Asked when a device is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score(pub u32);

/// Index of an open session in the device's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u32);

/// Why a device did not do an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// A forged tag: the caller's failure, never the device's. Plaintext must have been wiped.
    DecryptionFailed,
    /// The device's own failure: counts in its error budget, and the operation is tried elsewhere.
    Failed {
        /// What went wrong, in the device's words.
        reason: &'static str,
        /// How far it got.
        progress: Progress,
        /// Whether `data` still holds the input.
        source_intact: bool,
    },
}

/// A device whose calls never block: it works on the caller's buffers, in place, on whatever thread calls.
///
/// The runtime makes one call to `execute` at a time (the device is one lane of execution: add several for several
/// cores), but `open` and `close` may come from other threads meanwhile.
pub trait DirectDevice: Send + Sync {
    /// Describes the device.
    fn info(&self) -> DeviceInfo;
    /// Whether the device can serve a session like this one; asked with the real request.
    fn probe(&self, spec: &SessionSpec) -> Option<Score>;
    /// Sets up a session (key schedule and the like).
    ///
    /// # Errors
    /// [`Error::Device`] or one of the length errors; nothing stays allocated.
    fn open(&self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error>;
    /// Wipes and frees what `open` set up. An unknown handle is ignored.
    fn close(&self, handle: Handle);
    /// Carries out every operation of the run and sets each one's result.
    fn execute(&self, run: &mut Run<'_>);
    /// Whether operations like this are done sooner in a run of many than one after the other: then those of tasks that
    /// submit at the same time are put together. Asked once, when the device is added.
    fn gains(&self, kind: OpKind, algorithm: Algorithm) -> bool {
        let _ = (kind, algorithm);
        false
    }
    /// Whether the device looks at [`DirectOp::source`] in operations of this kind. For one that does not, the runtime
    /// copies the input into `data` first.
    fn reads_source(&self, kind: OpKind) -> bool {
        let _ = kind;
        false
    }
}

/// A device that answers later: it reads a shared source and writes memory of its own. No call may block.
pub trait QueuedDevice: Send {
    /// Describes the device.
    fn info(&self) -> DeviceInfo;
    /// Whether the device can serve a session like this one; asked with the real request.
    fn probe(&self, spec: &SessionSpec) -> Option<Score>;
    /// Sets up a session.
    ///
    /// # Errors
    /// [`Error::Device`] or one of the length errors; nothing stays allocated.
    fn open(&mut self, spec: &SessionSpec, key: &Key) -> Result<Handle, Error>;
    /// Wipes and frees what `open` set up. An unknown handle is ignored.
    fn close(&mut self, handle: Handle);
    /// Takes operations; answers come from `poll`. At most `room()` are handed over.
    fn submit(&mut self, now: Nanos, ops: &mut Vec<QueuedOp>);
    /// How many operations it would take now.
    fn room(&self) -> usize;
    /// How many it has and has not answered.
    fn in_flight(&self) -> usize;
    /// Hands over what is finished by pushing onto `done`. Returns when the next answer is due, if the device knows.
    fn poll(&mut self, now: Nanos, done: &mut Vec<Answer>) -> Option<Nanos>;
    /// Drops every operation in the device; answers to them must not come any more.
    ///
    /// # Errors
    /// [`Error::Device`] when the device does not come back.
    fn reset(&mut self) -> Result<(), Error>;
    /// Keys that calls which never returned may still use, after a reset or the end of their session.
    fn keys_held(&self) -> usize {
        0
    }
}

/// One operation of a run, on the caller's own buffers.
#[derive(Debug)]
pub struct DirectOp<'a> {
    /// The session, as the device opened it.
    pub handle: Handle,
    /// The session's algorithm.
    pub algorithm: Algorithm,
    /// What to do.
    pub kind: OpKind,
    /// The iv, of the algorithm's length.
    pub iv: &'a Iv,
    /// Associated data.
    pub aad: &'a [u8],
    /// Input and output, in place; whole blocks where the algorithm needs them (padding is the runtime's).
    /// For an AEAD the tag is at the end of the ciphertext: encrypt appends it, decrypt verifies and removes it.
    pub data: &'a mut Vec<u8>,
    /// Input that is to be read instead of `data`; only for devices that [read sources](DirectDevice::reads_source). Then
    /// `data` holds anything, and encrypt and decrypt make it hold the output alone; digest and mac leave it. In one piece
    /// for encrypt and decrypt. A failed operation always finds it as it was.
    pub source: Option<&'a Input>,
    /// Digest or MAC.
    pub output: &'a mut Output,
    /// Set for a chunk of a stream.
    pub chain: Option<&'a mut Chain>,
    /// The answer; an operation left without one is taken as failed.
    pub result: Option<Result<(), DeviceError>>,
}

impl DirectOp<'_> {
    /// Makes an operation in place of one that has a source, by a copy.
    pub fn load_source(&mut self) {
        if let Some(source) = self.source.take() {
            source.copy_to(self.data);
        }
    }
}

/// Operations of one (algorithm, kind) that a direct device carries out together, each with its own session.
/// Several may be worked on at once.
pub type Run<'a> = [DirectOp<'a>];

/// Names one attempt of one operation: an answer with a stale ticket is recognised and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub(crate) u64);

/// One attempt handed to a queued device.
#[derive(Debug)]
pub struct QueuedOp {
    /// To be given back with the answer.
    pub ticket: Ticket,
    /// The session, as the device opened it.
    pub handle: Handle,
    /// The session's algorithm.
    pub algorithm: Algorithm,
    /// What to do.
    pub kind: OpKind,
    /// The iv, of the algorithm's length.
    pub iv: Iv,
    /// Associated data.
    pub aad: Arc<[u8]>,
    /// Input, shared: it stays valid as long as the device holds it, and is never written.
    pub source: Source,
    /// Set for a chunk of a stream; a copy, given back in the answer.
    pub chain: Option<Box<Chain>>,
}

/// A queued device's answer to one attempt.
#[derive(Debug)]
pub struct Answer {
    /// The attempt.
    pub ticket: Ticket,
    /// How it ended.
    pub result: Result<Product, DeviceError>,
}

/// What an attempt made, in memory of the device's.
#[derive(Debug, Default)]
pub struct Product {
    /// Output of encrypt, decrypt and random; `None` where the source is to come back as it was (digest, mac).
    pub data: Option<Vec<u8>>,
    /// Digest or MAC.
    pub output: Output,
    /// The chunk's new chain.
    pub chain: Option<Box<Chain>>,
}
