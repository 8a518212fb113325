//! Accepting operations: checks, slots, and a first place in a queue.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::{Body, Shape, Tried, check};
use crate::algorithm::OpKind;
use crate::balancer::routing::Pick;
use crate::binding::Binding;
use crate::buffers::scatter;
use crate::clock::Nanos;
use crate::context::{Context, at_stage};
use crate::device::RUN_MAX_OPS;
use crate::device::registry::Device;
use crate::error::Error;
use crate::op::{DeviceId, Refused, Request};
use crate::padding;
use crate::queue::slab::{Held, Meta};
use crate::queue::word::{State, Word};
use crate::route;
use crate::session::SessionState;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Device number of an operation that no device has.
pub(crate) const NO_DEVICE: DeviceId = DeviceId(u16::MAX);

pub(crate) type Slots<'a> = ArrayVec<Held<'a, Body>, RUN_MAX_OPS>;

/// In the word of ties: how many operations a slot stands for beyond the first.
const OPS_SHIFT: u32 = 48;

/// How many operations a slot stands for.
#[inline]
pub(crate) fn ops_of(meta: &Meta) -> usize {
    (meta.ties.load(Ordering::Relaxed) >> OPS_SHIFT) as usize + 1
}

/// Writes what a slot's operation is tied to, and how many it stands for.
#[inline]
pub(crate) fn tie(meta: &Meta, tenant: u16, binding: Binding, ops: usize) {
    let ties = (ops as u64 - 1) << OPS_SHIFT | u64::from(tenant) << 32 | u64::from(binding.0);
    meta.ties.store(ties, Ordering::Relaxed);
}

/// The tenant and the tie of a slot's operation.
#[inline]
pub(crate) fn ties(meta: &Meta) -> (u16, Binding) {
    let ties = meta.ties.load(Ordering::Relaxed);
    ((ties >> 32) as u16, Binding(ties as u32))
}

/// The tie of a slot's operation; most have none.
#[inline]
pub(crate) fn binding(meta: &Meta, shape: Shape) -> Binding {
    if shape.is_bound() { ties(meta).1 } else { Binding::NONE }
}

impl Shared {
    /// Accepts requests, at most [`RUN_MAX_OPS`], and gives each a place. `on` hears of each by its position in
    /// `requests`: the slot it lives in, or the refusal. A caller that has `pinned` a context holds it until it has the
    /// results. The first operations go to the device that was `picked` for them already, if one was.
    #[allow(clippy::too_many_arguments, reason = "what is accepted, of whom, for whom, and where it goes")]
    pub(crate) fn accept(
        &self,
        session: &SessionState,
        pinned: Option<&Arc<Context>>,
        requests: impl ExactSizeIterator<Item = Request>,
        face: u64,
        first_position: u32,
        picked: Option<(Arc<Device>, usize)>,
        mut on: impl FnMut(u32, Result<u32, Box<Refused>>),
    ) {
        let mut slots: Slots<'_> = ArrayVec::new();
        let asked = requests.len().min(RUN_MAX_OPS);
        let opened = self.open_for(session, pinned, asked);
        let admitted = opened.as_ref().map_or(0, |(_, admitted)| *admitted);
        self.slab.allocate(admitted, |held| slots.push(held));
        let (mut filled, mut refused) = (0, 0);
        let now = self.now();
        for (position, mut request) in (first_position..).zip(requests) {
            let verdict = match &opened {
                Err(error) => Err(error.clone()),
                Ok((context, _)) => self.judge_request(context, &request).and_then(|shape| {
                    let held = match slots.get_mut(filled) {
                        Some(held) => held,
                        // Fewer were admitted than asked, and all of those got a slot.
                        None if filled == admitted && admitted < asked => return Err(session.tenant.full()),
                        None => return Err(self.no_room()),
                    };
                    // Made when there is room for it: a refused request comes back as it was.
                    if request.runtime_iv {
                        request.iv = check::make_iv(self, context)?;
                    }
                    Ok((context, shape, held))
                }),
            };
            match verdict {
                Ok((context, shape, held)) => {
                    self.fill(held, context, request, shape, face, position, now);
                    filled += 1;
                    on(position, Ok(held.index()));
                }
                Err(error) => {
                    refused += 1;
                    on(position, Err(Box::new(Refused { error, request })));
                }
            }
        }
        if filled < slots.len() {
            slots.drain(filled..).for_each(Held::recycle);
            self.room_again();
        }
        let shard = self.shards.mine();
        if refused > 0 {
            shard.refused.add(refused);
        }
        if let Ok((context, admitted)) = &opened
            && filled < *admitted
        {
            self.release_context(context, (*admitted - filled) as u64);
        }
        if slots.is_empty() {
            return;
        }
        let count = slots.len() as u64;
        session.submitted.add(count);
        session.tenant.accepted.add(count);
        shard.accepted.add(count);
        self.arrivals.note(now, Shape(slots[0].meta().shape.load(Ordering::Relaxed)), slots.len());
        self.place(&mut slots, picked);
    }

    /// Counts operations into the session's context, as many as its tenant may submit.
    fn open_for(
        &self,
        session: &SessionState,
        pinned: Option<&Arc<Context>>,
        count: usize,
    ) -> Result<(Arc<Context>, usize), Error> {
        if self.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        let algorithm = session.spec.algorithm;
        // Each stage of a route finds its own device, or none.
        let is_simple = session.spec.route.is_empty() && !session.binding().is_only();
        if is_simple && !self.serves(algorithm) {
            return Err(Error::NoDevice { algorithm });
        }
        let admitted = session.tenant.admits(count)?;
        let context = match pinned {
            None => session.hold_current(admitted as u64)?,
            Some(context) if context.hold(admitted as u64) => Arc::clone(context),
            Some(_) => return Err(Error::UnknownSession { id: session.id }),
        };
        Ok((context, admitted))
    }

    #[inline]
    fn judge_request(&self, context: &Context, request: &Request) -> Result<Shape, Error> {
        let session = &context.session;
        let quick = match session.is_plain {
            true => session.rules.shape(request, context.uses, self.config.op_max_bytes),
            false => None,
        };
        quick.map_or_else(|| check::check(self, context, request), Ok)
    }

    fn no_room(&self) -> Error {
        self.room.filled_up();
        Error::Full { limit: self.slab.limit() }
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "each is a field of the slot")]
    pub(crate) fn fill(
        &self,
        held: &mut Held<'_, Body>,
        context: &Arc<Context>,
        request: Request,
        shape: Shape,
        face: u64,
        position: u32,
        now: Nanos,
    ) {
        let session = &context.session;
        let deadline = self.expiry(session, request.deadline_ns, now);
        let meta = held.meta();
        meta.submitted.store(now.0, Ordering::Relaxed);
        meta.deadline.store(deadline.0, Ordering::Relaxed);
        let is_chunk = request.chain.is_some();
        let is_last = request.chain.as_ref().is_none_or(|chain| chain.last);
        let body = held.body();
        body.fill(request, face, position);
        body.asked = shape.kind_number();
        body.is_padded = session.spec.pads() && is_last;
        body.order = session.order.as_ref().map(|order| (Arc::clone(order), order.take_number()));
        if body.input.is_some() {
            scatter::begin(body, context.parts.len() > 1);
        }
        if context.parts.len() > 1 {
            route::begin(body, Arc::clone(context), shape.kind());
        } else if body.is_padded && shape.kind() == OpKind::Encrypt && body.input.is_none() {
            padding::pad_pkcs7(&mut body.data, shape.algorithm().block_len());
        }
        self.describe(held, context, shape.flagged(false, is_chunk, session.order.is_some()));
    }

    /// Writes what placing an operation needs to know of it, at the stage of its route that it is ready for.
    pub(crate) fn describe(&self, held: &mut Held<'_, Body>, context: &Context, shape: Shape) {
        let session = &context.session;
        let meta = held.meta();
        let body = held.body();
        let (stage, own) = match &body.route {
            Some(route) => (route.stage(), route.part().binding),
            None => (0, None),
        };
        let binding = own.unwrap_or_else(|| session.binding());
        let shape = route::shape(body, shape).flagged(!binding.is_none(), false, false);
        meta.context.store(at_stage(context.number, stage), Ordering::Relaxed);
        tie(meta, session.tenant.number, binding, 1);
        meta.shape.store(shape.0, Ordering::Relaxed);
    }

    /// Gives accepted operations their first place: on a device, or in line.
    fn place(&self, slots: &mut Slots<'_>, picked: Option<(Arc<Device>, usize)>) {
        if let (Some((device, room)), Some(first)) = (picked, slots.first()) {
            let shape = Shape(first.meta().shape.load(Ordering::Relaxed));
            if device.can(shape) {
                self.lend_first(&device, room, shape, slots);
                self.kick(&device);
            }
        }
        let routing = self.routing.load();
        while let Some(first) = slots.first() {
            let meta = first.meta();
            let shape = Shape(meta.shape.load(Ordering::Relaxed));
            if self.waiting.blocks(shape.priority()) {
                break;
            }
            let Pick::Device(device, room) = routing.pick(shape, &Tried::none(), binding(meta, shape)) else {
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
            self.wait_in_line(priority, entry, false);
        }
        self.dispatch();
        self.sweep_if_stopped();
    }

    /// Lends operations like the first to a device, from the front of `slots`, as many as it has room for.
    fn lend_first(&self, device: &Arc<Device>, room: usize, shape: Shape, slots: &mut Slots<'_>) {
        let tie = slots.first().map_or(Binding::NONE, |first| binding(first.meta(), shape));
        let mut count = 0;
        for held in slots.iter().take(room) {
            let meta = held.meta();
            let this = Shape(meta.shape.load(Ordering::Relaxed));
            if !this.runs_with(shape) || binding(meta, this) != tie {
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
        for held in self.unpack(held) {
            device.cells.moved_out.add(1);
            let priority = Shape(held.meta().shape.load(Ordering::Relaxed)).priority();
            match held.repost(State::Waiting, word.attempt(), NO_DEVICE) {
                Ok(entry) => self.wait_in_line(priority, entry, true),
                Err(held) => self.cancel_held(held),
            }
        }
    }

    /// Puts a ticket into the line of its priority: at the end, or in front if it has been on a device.
    pub(crate) fn wait_in_line(&self, priority: usize, entry: u64, was_out: bool) {
        while !self.waiting.push(priority, entry, was_out) {
            // The inbox is full of what nobody has sorted yet.
            let mut lines = self.waiting.lines.lock();
            self.sort_lines(&mut lines);
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
                State::Held | State::Running | State::Parked => {
                    if self.slab.detach(index, word) {
                        return;
                    }
                }
                State::Done if drops_result => {
                    if let Some(held) = self.slab.adopt(index, word) {
                        self.slab.slot(index).meta.waker.take();
                        held.free();
                        self.room_again();
                    }
                    return;
                }
                State::Done | State::Free => return,
            }
        }
    }

    /// Counts an attempt that was taken from a device by somebody else.
    pub(crate) fn count_taken_back(&self, word: Word) {
        if word.state() == State::Waiting {
            return;
        }
        if let Some(device) = self.device_by_id(word.device()) {
            match word.state() {
                State::Queued => device.cells.abandoned_queued.add(1),
                State::Lent => device.cells.abandoned_running.add(1),
                _ => {}
            }
        }
    }
}
