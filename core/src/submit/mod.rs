//! From a request to a place in a queue, and the ways a result comes back.

pub(crate) mod accept;
pub(crate) mod batch;
pub(crate) mod blocking;
pub(crate) mod burst;
pub(crate) mod callback;
pub(crate) mod check;
pub(crate) mod face;
pub(crate) mod future;
mod in_place;
pub(crate) mod inline;
pub(crate) mod iv;
pub(crate) mod parcel;
mod ready;

use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::algorithm::{Algorithm, OpKind};
use crate::buffers::{Input, scatter};
use crate::error::OpError;
use crate::op::{Chain, Completion, DeviceId, Iv, Output, Request};
use crate::order::Order;
use crate::route::Route;
use parcel::Parcel;

pub use batch::BatchFuture;
pub use burst::Burst;
pub use callback::CallbackSession;
pub use future::OpFuture;
pub use in_place::{CallError, Op};

/// Devices that failed an operation. Of more than it holds, the oldest are forgotten and may be tried again.
#[derive(Debug, Default)]
pub(crate) struct Tried(ArrayVec<DeviceId, 8>);

impl Tried {
    /// Of an operation that is new.
    pub(crate) fn none() -> Self {
        Self(ArrayVec::new_const())
    }

    #[inline]
    pub(crate) fn contains(&self, device: DeviceId) -> bool {
        self.0.contains(&device)
    }

    /// The next stage of a route begins anew.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, device: DeviceId) {
        if self.0.is_full() {
            self.0.remove(0);
        }
        self.0.push(device);
    }
}

/// The body of a slot: a request, then its result.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) data: Vec<u8>,
    /// The input while a queued device reads it; `data` is empty then.
    pub(crate) shared: Option<Arc<Vec<u8>>>,
    /// Input that does not lie in `data`; it is as it was until the operation has succeeded.
    pub(crate) input: Option<Box<Input>>,
    pub(crate) iv: Iv,
    pub(crate) aad: Vec<u8>,
    pub(crate) chain: Option<Box<Chain>>,
    pub(crate) output: Output,
    pub(crate) user_data: u64,
    /// Number of the face that gets the result.
    pub(crate) face: u64,
    /// Place in its batch.
    pub(crate) position: u32,
    /// Its session's order, and its number there, if the session is ordered.
    pub(crate) order: Option<(Arc<Order>, u64)>,
    /// Operations that this slot stands for, all together; then it has none of its own.
    pub(crate) parcel: Option<Box<Parcel>>,
    /// Its way through several stages, if its session has a route.
    pub(crate) route: Option<Box<Route>>,
    /// Attempts at the stages of the route that it has passed.
    pub(crate) attempts_before: u16,
    /// Number of the kind of operation that was asked for.
    pub(crate) asked: u8,
    /// Stage of its route at which it ended, from 0.
    pub(crate) stage: u8,
    pub(crate) attempts: u16,
    pub(crate) device: Option<DeviceId>,
    /// Devices that failed it, the latest of them.
    pub(crate) tried: Tried,
    /// Why the last attempt failed.
    pub(crate) last_reason: &'static str,
    pub(crate) source_intact: bool,
    pub(crate) is_padded: bool,
    pub(crate) started_ns: u64,
    pub(crate) queue_ns: u64,
    pub(crate) service_ns: u64,
    pub(crate) total_ns: u64,
    pub(crate) error: Option<OpError>,
}

impl Body {
    /// Fills an empty body.
    pub(crate) fn fill(&mut self, mut request: Request, face: u64, position: u32) {
        self.data = request.data;
        self.iv = request.iv;
        self.aad = request.aad;
        self.chain = request.chain.take();
        self.input = request.input.take();
        self.user_data = request.user_data;
        self.face = face;
        self.position = position;
        self.attempts_before = 0;
        self.stage = 0;
        self.attempts = 0;
        self.device = None;
        self.tried.0.clear();
        self.last_reason = "";
        self.source_intact = true;
        self.output = Output::none();
        self.queue_ns = 0;
        self.service_ns = 0;
        self.error = None;
    }

    /// Empties the body of its result. What stays behind holds no buffer.
    pub(crate) fn take(&mut self) -> Completion {
        self.restore_source();
        if self.input.is_some() {
            scatter::end(self);
        }
        self.aad = Vec::new();
        Completion {
            result: self.error.take().map_or(Ok(()), Err),
            total_ns: self.total_ns,
            stage: self.stage + 1,
            iv: self.iv,
            data: std::mem::take(&mut self.data),
            output: std::mem::take(&mut self.output),
            user_data: self.user_data,
            device: self.device,
            attempts: self.attempts,
            queue_ns: self.queue_ns,
            service_ns: self.service_ns,
            source_intact: self.source_intact,
            chain: self.chain.take().into(),
            input: self.input.take().into(),
        }
    }

    /// Gets the input back from a queued device: its own buffer if the device let go of it, else a copy.
    pub(crate) fn restore_source(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.data = Arc::try_unwrap(shared).unwrap_or_else(|shared| shared.as_ref().clone());
        }
    }
}

/// What placing an operation needs to know of it, in one word: kind, algorithm, priority, flags, length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) u64);

/// Lengths at which the size classes begin, in bytes. A run never mixes classes.
pub const SIZE_CLASS_STARTS: [usize; SIZE_CLASSES] = [0, 257, 4_097, 65_537];
/// Number of size classes.
pub const SIZE_CLASSES: usize = 4;

/// The class of a length.
#[inline]
pub fn size_class(bytes: usize) -> usize {
    match bytes {
        0..=256 => 0,
        257..=4_096 => 1,
        4_097..=65_536 => 2,
        _ => 3,
    }
}

impl Shape {
    const BOUND: u64 = 1 << 55;
    const CHUNK: u64 = 1 << 56;
    const ORDERED: u64 = 1 << 57;
    const PARCEL: u64 = 1 << 58;
    const DISPATCHED: u64 = 1 << 62;
    const STARTED: u64 = 1 << 63;

    pub(crate) fn new(algorithm: Algorithm, kind: OpKind, priority: u8, bytes: usize) -> Self {
        // 40 bits of length, 8 of algorithm, 4 of kind, 3 of priority.
        let bytes = (bytes as u64).min((1 << 40) - 1);
        Self(bytes | (algorithm as u64) << 40 | (kind as u64) << 48 | u64::from(priority) << 52)
    }

    /// Without its kind.
    pub(crate) fn without_kind(self) -> Self {
        Self(self.0 & !(0xf << 48))
    }

    /// Of this kind, by number, and length; it had neither.
    #[inline]
    pub(crate) fn with_kind_and_bytes(self, kind: u8, bytes: usize) -> Self {
        Self(self.0 | u64::from(kind) << 48 | (bytes as u64).min((1 << 40) - 1))
    }

    #[inline]
    pub(crate) fn bytes(self) -> usize {
        (self.0 & ((1 << 40) - 1)) as usize
    }

    #[inline]
    pub(crate) fn algorithm(self) -> Algorithm {
        Algorithm::from_number((self.0 >> 40) as u8).unwrap_or(Algorithm::Null)
    }

    #[inline]
    pub(crate) fn kind_number(self) -> u8 {
        (self.0 >> 48) as u8 & 0xf
    }

    #[inline]
    pub(crate) fn kind(self) -> OpKind {
        OpKind::ALL[usize::from(self.kind_number().clamp(1, 7)) - 1]
    }

    #[inline]
    pub(crate) fn priority(self) -> usize {
        (self.0 >> 52) as usize & 7
    }

    /// The same operation at another stage: flags and priority stay.
    pub(crate) fn with_work(self, algorithm: Algorithm, kind: OpKind, bytes: usize) -> Self {
        const FLAGS: u64 = Shape::BOUND | Shape::CHUNK | Shape::ORDERED | Shape::DISPATCHED | Shape::STARTED;
        Self(Self::new(algorithm, kind, self.priority() as u8, bytes).0 | self.0 & FLAGS)
    }

    /// Its session is tied to a device or a kind of device.
    #[inline]
    pub(crate) fn is_bound(self) -> bool {
        self.0 & Self::BOUND != 0
    }

    /// It is a chunk of a stream.
    #[inline]
    pub(crate) fn is_chunk(self) -> bool {
        self.0 & Self::CHUNK != 0
    }

    /// Its result is handed over in the order of submission.
    #[inline]
    pub(crate) fn is_ordered(self) -> bool {
        self.0 & Self::ORDERED != 0
    }

    /// With the flags that are true; those that are set stay.
    #[inline]
    pub(crate) fn flagged(self, is_bound: bool, is_chunk: bool, is_ordered: bool) -> Self {
        let flag = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
        let flags =
            flag(is_bound, Self::BOUND) | flag(is_chunk, Self::CHUNK) | flag(is_ordered, Self::ORDERED);
        Self(self.0 | flags)
    }

    /// It stands for several, of which this is the mean.
    #[inline]
    pub(crate) fn is_parcel(self) -> bool {
        self.0 & Self::PARCEL != 0
    }

    #[inline]
    pub(crate) fn parcel(self) -> Self {
        Self(self.0 | Self::PARCEL)
    }

    #[inline]
    pub(crate) fn is_dispatched(self) -> bool {
        self.0 & Self::DISPATCHED != 0
    }

    #[inline]
    pub(crate) fn is_started(self) -> bool {
        self.0 & Self::STARTED != 0
    }

    #[inline]
    pub(crate) fn dispatched(self) -> Self {
        Self(self.0 | Self::DISPATCHED)
    }

    #[inline]
    pub(crate) fn started(self) -> Self {
        Self(self.0 | Self::STARTED)
    }

    /// Whether a submitter may carry both out at once: same algorithm and kind, both chunks or neither.
    #[inline]
    pub(crate) fn is_like(self, other: Self) -> bool {
        (self.0 ^ other.0) & (0xfff << 40 | Shape::CHUNK) == 0
    }

    /// Whether both may be in one run: same algorithm, kind and size class, both chunks or neither.
    #[inline]
    pub(crate) fn runs_with(self, other: Self) -> bool {
        const SAME: u64 = 0xfff << 40 | Shape::CHUNK;
        (self.0 ^ other.0) & SAME == 0 && size_class(self.bytes()) == size_class(other.bytes())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_shape_gives_back_what_was_put_in() {
        let shape = Shape::new(Algorithm::Random, OpKind::Random, 7, 1 << 30);
        assert_eq!(
            (shape.algorithm(), shape.kind(), shape.priority(), shape.bytes()),
            (Algorithm::Random, OpKind::Random, 7, 1 << 30)
        );
        assert!(!shape.is_dispatched() && shape.dispatched().is_dispatched() && shape.started().is_started());
        assert!(shape.runs_with(shape.started()));
        let chunk = shape.flagged(false, true, false);
        assert!(!shape.is_chunk() && chunk.is_chunk() && !chunk.runs_with(shape));
        assert!(
            shape.flagged(true, false, false).is_bound() && shape.flagged(false, false, true).is_ordered()
        );
    }

    #[test]
    fn a_run_never_mixes_size_classes() {
        for (class, start) in SIZE_CLASS_STARTS.into_iter().enumerate() {
            assert_eq!(size_class(start), class);
            assert!(class == 0 || size_class(start - 1) == class - 1);
        }
        let shape = |bytes| Shape::new(Algorithm::Aes128Ctr, OpKind::Encrypt, 3, bytes);
        assert!(shape(64).runs_with(shape(256)));
        assert!(!shape(64).runs_with(shape(65_536)));
    }
}
