//! Accepting operations: checks, slots, and a first place in a queue.

use std::collections::VecDeque;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::{Body, Shape, Tried};
use crate::algorithm::OpKind;
use crate::balancer::routing::Pick;
use crate::binding::Binding;
use crate::clock::Nanos;
use crate::device::RUN_MAX_OPS;
use crate::device::registry::Device;
use crate::error::Error;
use crate::op::{DeviceId, Refused, Request};
use crate::padding;
use crate::queue::ring::Ring;
use crate::queue::slab::Held;
use crate::queue::word::{State, Word};
use crate::session::SessionState;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Device number of an operation that no device has.
pub(crate) const NO_DEVICE: DeviceId = DeviceId(u16::MAX);

type Slots<'a> = ArrayVec<Held<'a, Body>, RUN_MAX_OPS>;

impl Shared {
    /// Why a request can't be accepted, or what it is.
    fn check(&self, session: &SessionState, request: &Request) -> Result<Shape, Error> {
        let algorithm = session.spec.algorithm;
        let kind = match (request.kind, algorithm.ops()) {
            (Some(kind), ops) if ops.contains(&kind) => kind,
            (None, [kind]) => *kind,
            (kind, _) => {
                return Err(Error::NotSupported { algorithm, op: kind.unwrap_or(OpKind::Encrypt) });
            }
        };
        let got = request.data.len();
        if got > self.config.op_max_bytes {
            return Err(Error::OpTooLarge { got, limit: self.config.op_max_bytes });
        }
        if request.iv.len() != algorithm.iv_len() {
            return Err(Error::IvLength { algorithm, want: algorithm.iv_len(), got: request.iv.len() });
        }
        if !algorithm.is_authenticated() && !request.aad.is_empty() {
            return Err(Error::NoAad { algorithm });
        }
        let want = algorithm.tag_len(kind);
        let text_len = got.checked_sub(want).ok_or(Error::TooShort { algorithm, want, got })?;
        let is_last = request.chain.as_ref().is_none_or(|chain| chain.last);
        let is_padded_now = session.spec.pads() && kind == OpKind::Encrypt && is_last;
        if algorithm.needs_whole_blocks() && !is_padded_now && !text_len.is_multiple_of(algorithm.block_len())
        {
            return Err(Error::PartialBlock { algorithm, block: algorithm.block_len(), got });
        }
        let shape = Shape::new(algorithm, kind, session.spec.priority, got);
        Ok(if request.chain.is_some() { shape.chunk() } else { shape })
    }

    /// Accepts requests, at most [`RUN_MAX_OPS`], and gives each a place. `on` hears of each by its position in
    /// `requests`: the slot it lives in, or the refusal.
    pub(crate) fn accept(
        &self,
        session: &SessionState,
        requests: impl ExactSizeIterator<Item = Request>,
        face: u64,
        first_position: u32,
        mut on: impl FnMut(u32, Result<u32, Box<Refused>>),
    ) {
        let algorithm = session.spec.algorithm;
        let obstacle = if self.is_stopping() {
            Some(Error::ShuttingDown)
        } else if !self.serves(algorithm) {
            Some(Error::NoDevice { algorithm })
        } else {
            None
        };
        let mut slots: Slots<'_> = ArrayVec::new();
        self.slab.allocate(requests.len().min(RUN_MAX_OPS), |held| slots.push(held));
        let (mut filled, mut refused) = (0, 0);
        let now = self.now();
        for (position, request) in (first_position..).zip(requests) {
            let verdict = match &obstacle {
                Some(error) => Err(error.clone()),
                None => self.check(session, &request),
            };
            let error = match (verdict, slots.get_mut(filled)) {
                (Ok(shape), Some(held)) => {
                    self.fill(held, session, request, shape, face, position, now);
                    filled += 1;
                    on(position, Ok(held.index()));
                    continue;
                }
                (Ok(_), None) => Error::Full { limit: self.slab.limit() },
                (Err(error), _) => error,
            };
            refused += 1;
            on(position, Err(Box::new(Refused { error, request })));
        }
        if filled < slots.len() {
            slots.drain(filled..).for_each(Held::recycle);
            self.room.notify();
        }
        let shard = self.shards.mine();
        if refused > 0 {
            shard.refused.add(refused);
        }
        if slots.is_empty() {
            return;
        }
        let count = slots.len() as u64;
        session.live.fetch_add(count, Ordering::AcqRel);
        session.submitted.add(count);
        shard.accepted.add(count);
        self.place(&mut slots);
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "each is a field of the slot")]
    fn fill(
        &self,
        held: &mut Held<'_, Body>,
        session: &SessionState,
        request: Request,
        shape: Shape,
        face: u64,
        position: u32,
        now: Nanos,
    ) {
        let time_to_live = match (request.deadline_ns, session.spec.deadline_ns) {
            (0, 0) => self.config.deadline_ns,
            (0, of_session) => of_session,
            (of_request, _) => of_request,
        };
        let meta = held.meta();
        meta.session.store(session.id, Ordering::Relaxed);
        meta.shape.store(shape.0, Ordering::Relaxed);
        meta.submitted.store(now.0, Ordering::Relaxed);
        meta.deadline.store(now.plus(time_to_live).0, Ordering::Relaxed);
        let is_last = request.chain.as_ref().is_none_or(|chain| chain.last);
        let body = held.body();
        body.fill(request, face, position);
        body.is_padded = session.spec.pads() && is_last;
        if body.is_padded && shape.kind() == OpKind::Encrypt {
            padding::pad_pkcs7(&mut body.data, shape.algorithm().block_len());
        }
    }

    /// Gives accepted operations their first place: on a device, or in line.
    fn place(&self, slots: &mut Slots<'_>) {
        let routing = self.routing.load();
        while let Some(first) = slots.first() {
            let shape = Shape(first.meta().shape.load(Ordering::Relaxed));
            if self.waiting.blocks(shape.priority()) {
                break;
            }
            let Pick::Device(device, room) = routing.pick(shape, &Tried::none(), Binding::NONE) else {
                break;
            };
            self.lend_first(device, room, shape, slots);
            self.kick(device);
        }
        if slots.is_empty() {
            return self.sweep_if_stopped();
        }
        for held in slots.drain(..) {
            let priority = Shape(held.meta().shape.load(Ordering::Relaxed)).priority();
            let entry = held.post(State::Waiting, 0, NO_DEVICE);
            self.wait_in_line(priority, entry);
        }
        self.dispatch();
        self.sweep_if_stopped();
    }

    /// Lends operations like the first to a device, from the front of `slots`, as many as it has room for.
    fn lend_first(&self, device: &Arc<Device>, room: usize, shape: Shape, slots: &mut Slots<'_>) {
        let mut count = 0;
        for held in slots.iter().take(room) {
            let meta = held.meta();
            let this = Shape(meta.shape.load(Ordering::Relaxed));
            if !this.runs_with(shape) {
                break;
            }
            meta.shape.store(this.dispatched().0, Ordering::Relaxed);
            count += 1;
        }
        device.cells.taken_first.add(count as u64);
        let mut entries: ArrayVec<u64, RUN_MAX_OPS> = ArrayVec::new();
        for held in slots.drain(..count) {
            entries.push(held.post(State::Queued, 1, device.id));
        }
        let pushed = device.ring.push(&entries);
        // Another submitter was quicker: back into line.
        for entry in &entries[pushed..] {
            self.back_into_line(device, *entry);
        }
    }

    /// Takes an operation whose ring entry could not be pushed into the line of its priority.
    pub(crate) fn back_into_line(&self, device: &Device, entry: u64) {
        let Some((index, word)) = self.slab.current(entry) else { return };
        let Some(held) = self.slab.claim(index, word, State::Held) else { return };
        device.cells.moved_out.add(1);
        let priority = Shape(held.meta().shape.load(Ordering::Relaxed)).priority();
        match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
            Ok(entry) => self.wait_in_line(priority, entry),
            Err(held) => self.cancel_held(held),
        }
    }

    /// Puts an entry at the end of its priority's line, sweeping stale entries out if there is no room.
    pub(crate) fn wait_in_line(&self, priority: usize, entry: u64) {
        let ring = self.waiting.ring(priority);
        if ring.push(&[entry]) == 0 {
            let _token = self.waiting.token.lock();
            self.push_sweeping(ring, entry);
        }
    }

    /// Puts an entry at the end of a line, for the holder of the waiting token: where there is no room, stale entries
    /// are swept out. It ends, because there are fewer operations than places.
    pub(crate) fn push_sweeping(&self, ring: &Ring, entry: u64) {
        let mut carried = VecDeque::from([entry]);
        while let Some(first) = carried.front().copied() {
            if ring.push(&[first]) == 1 {
                carried.pop_front();
            } else if let Some(old) = ring.pop()
                && self.slab.current(old).is_some()
            {
                carried.push_back(old);
            }
        }
    }

    /// Cancels the operation in a slot that the caller's face still waits for. A result that is there already is
    /// dropped if `drops_result`, else left to the face.
    pub(crate) fn abandon(&self, index: u32, drops_result: bool) {
        loop {
            let word = self.slab.word(index);
            match word.state() {
                State::Waiting | State::Queued | State::Lent => {
                    if let Some(mut held) = self.slab.claim(index, word, State::Held) {
                        held.detach();
                        self.count_taken_back(word);
                        self.cancel_held(held);
                        return;
                    }
                }
                State::Held | State::Running => {
                    if self.slab.detach(index, word) {
                        return;
                    }
                }
                State::Done if drops_result => {
                    if let Some(held) = self.slab.adopt(index, word) {
                        self.slab.slot(index).meta.waker.take();
                        held.free();
                        self.room.notify();
                    }
                    return;
                }
                State::Done | State::Free => return,
            }
        }
    }

    /// Counts an attempt that was taken from a device by somebody else.
    pub(crate) fn count_taken_back(&self, word: Word) {
        if let Some(device) = self.device_by_id(word.device()) {
            match word.state() {
                State::Queued => device.cells.abandoned_queued.add(1),
                State::Lent => device.cells.abandoned_running.add(1),
                _ => {}
            }
        }
    }
}
