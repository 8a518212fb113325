//! A burst that goes to a device as one: one slot, one ticket, one result for all of its operations.
//!
//! Most of what an operation costs on its way to another thread and back is its own slot. Operations that a caller hands in
//! together, for one session, and that a device has room for, need none: they are carried out one after the other anyway.
//! Each is counted, limited and accounted for as itself. Whatever is not the ordinary case (the device fails one, breaks, is
//! removed or slower than planned, a deadline passes, a second opinion is asked for) makes of a parcel what was handed in:
//! operations with a slot each (`worker/parcel.rs`). The slots for that are reserved, so that there is always one.

use std::mem::take;
use std::sync::Arc;

use super::burst::take_front;
use super::face::Face;
use super::inline::{Alike, Entry, begin};
use super::{Shape, Tried, accept};
use crate::algorithm::OpKind;
use crate::balancer::routing::{Pick, Routing};
use crate::clock::Nanos;
use crate::context::{Context, at_stage};
use crate::device::RUN_MAX_OPS;
use crate::device::registry::Device;
use crate::key::Uses;
use crate::op::{Completion, Request};
use crate::queue::word::State;
use crate::session::SessionState;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Fewer are not worth it.
const OPS_MIN: usize = 4;
/// Where a device gains by many at once, fewer had better go with others.
const GAINING_OPS_MIN: usize = RUN_MAX_OPS / 4;

/// Operations that travel together, and then their results.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// Under which they were submitted; there until they have been carried out.
    pub(crate) context: Option<Arc<Context>>,
    /// Made by the submitter, as they are if all goes well: a device's thread does not write what it need not.
    pub(crate) completions: Vec<Completion>,
    /// Associated data, of each operation or of none.
    pub(crate) aads: Vec<Vec<u8>>,
    /// Bytes of all of them, as they were submitted.
    pub(crate) bytes: u64,
    /// Nanoseconds that each of them waited, was worked on, and took in all.
    pub(crate) times: (u64, u64, u64),
}

impl Parcel {
    pub(crate) fn len(&self) -> usize {
        self.completions.len()
    }

    /// What is submitted, each as it was.
    pub(crate) fn requests(&mut self, kind: OpKind) -> impl Iterator<Item = Request> {
        let mut aads = std::mem::take(&mut self.aads).into_iter();
        self.completions.drain(..).map(move |completion| Request {
            iv: completion.iv,
            aad: aads.next().unwrap_or_default(),
            user_data: completion.user_data,
            ..Request::new(kind, completion.data)
        })
    }

    /// The results.
    pub(crate) fn take_completions(&mut self) -> Vec<Completion> {
        self.aads.clear();
        let (queue_ns, service_ns, total_ns) = self.times;
        for completion in &mut self.completions {
            (completion.queue_ns, completion.service_ns, completion.total_ns) =
                (queue_ns, service_ns, total_ns);
        }
        std::mem::take(&mut self.completions)
    }

    /// Slots that are reserved for its operations, beside its own.
    pub(crate) fn reserved_slots(&self) -> usize {
        self.len().saturating_sub(1)
    }
}

/// Memory for parcels, and parcels that came back, to be used again.
#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "a parcel goes into a slot in its box, and comes back in it")]
pub(crate) struct Spare(Vec<Box<Parcel>>);

impl Spare {
    /// Keeps the memory of a parcel whose results were taken out.
    pub(crate) fn keep(&mut self, parcel: Box<Parcel>) {
        debug_assert!(parcel.len() == 0 && parcel.context.is_none());
        self.0.push(parcel);
    }
}

/// What a burst submits, and where it goes.
pub(crate) struct Burst<'a, 's, E> {
    pub(crate) session: &'s SessionState,
    pub(crate) face: &'a Face,
    /// The device that was picked for the first, with room for so many.
    pub(crate) picked: Option<(&'a Arc<Device>, usize)>,
    pub(crate) entries: &'a mut Vec<E>,
    /// How many of the entries are for this session, and may be taken.
    pub(crate) count: usize,
}

impl Shared {
    /// Accepts operations from the front of a burst as one, as many as may go together, and returns how many. They are gone
    /// from the entries then. 0 says nothing of them: they may be accepted one by one. `completions` is memory for results.
    pub(crate) fn accept_parcel<'s, E: Entry<'s>>(
        &self,
        burst: Burst<'_, 's, E>,
        routing: &Routing,
        spare: &mut Spare,
        completions: impl FnOnce() -> Vec<Completion>,
    ) -> usize {
        let Burst { session, face, picked, entries, count } = burst;
        let is_ordinary = session.is_plain && !session.rules.pads && !session.tenant.is_limited();
        if count < OPS_MIN || !is_ordinary || self.is_stopping() {
            return 0;
        }
        let Some(shape) = session.rules.rough_shape(entries[0].request()) else { return 0 };
        let binding = session.binding();
        let shape = shape.flagged(!binding.is_none(), false, false);
        let (device, room) = match picked {
            Some(picked) => picked,
            None if self.waiting.blocks(shape.priority()) => return 0,
            None => match routing.pick(shape, &Tried::none(), binding) {
                Pick::Device(device, room) => (device, room),
                Pick::Full | Pick::None => return 0,
            },
        };
        let least = if device.gains(shape) { GAINING_OPS_MIN } else { OPS_MIN };
        let most = count.min(room).min(device.run_max_ops);
        if most < least || !device.is_direct() || !device.can(shape) {
            return 0;
        }
        let Ok(context) = session.hold_current(most as u64) else { return 0 };
        let (alike, bytes) = self.how_many_alike(session, context.uses, &entries[..most]);
        let count = if alike < least { 0 } else { self.slab.reserve(alike) };
        let is_enough = count >= least;
        let kept = if is_enough { count } else { 0 };
        if kept < most {
            self.release_context(&context, (most - kept) as u64);
        }
        if !is_enough {
            self.slab.end_reservation(count);
            return 0;
        }
        let bytes = match count == alike {
            true => bytes,
            false => entries[..count].iter().map(|entry| entry.request().data.len() as u64).sum(),
        };
        let deadline_ns = entries[0].request().deadline_ns;
        let mut parcel = spare.0.pop().unwrap_or_default();
        parcel.bytes = bytes;
        parcel.completions = completions();
        if session.rules.takes_aad {
            parcel.aads.extend(entries[..count].iter_mut().map(|entry| take(&mut entry.request_mut().aad)));
        }
        let begun = entries[..count].iter_mut().map(|entry| begin(entry.request_mut(), device.id));
        parcel.completions.extend(begun);
        take_front(entries, count);
        let now = self.now();
        // Of the mean length: the size class is the same for all.
        let mean = bytes.div_ceil(count as u64) as usize;
        let shape = session.rules.shape_of(shape.kind_number(), mean, false);
        let shape = shape.flagged(!binding.is_none(), false, false).dispatched().parcel();
        let context_number = at_stage(context.number, 0);
        parcel.context = Some(context);
        let mut slot = None;
        self.slab.take_reserved(1, |held| slot = Some(held));
        let Some(mut held) = slot else { return 0 };
        let meta = held.meta();
        meta.submitted.store(now.0, Ordering::Relaxed);
        meta.deadline.store(self.expiry(session, deadline_ns, now).0, Ordering::Relaxed);
        meta.context.store(context_number, Ordering::Relaxed);
        accept::tie(meta, session.tenant.number, binding, count);
        meta.shape.store(shape.0, Ordering::Relaxed);
        let body = held.body();
        body.face = face.id;
        body.order = None;
        body.parcel = Some(parcel);

        let ops = count as u64;
        face.live.fetch_add(ops, Ordering::AcqRel);
        session.submitted.add(ops);
        session.tenant.accepted.add(ops);
        self.shards.mine().accepted.add(ops);
        self.arrivals.note(now, shape, count);
        device.cells.taken_first.add(ops);
        let ticket = held.post(State::Queued, 1, device.id);
        if device.ring.push_wide(ticket, count) {
            self.kick(device);
        } else {
            // Another submitter was quicker.
            self.back_into_line(device, ticket);
            self.dispatch();
        }
        self.sweep_if_stopped();
        count
    }

    /// How many from the front are what the first is, with nothing about them that needs a second look, and their bytes.
    fn how_many_alike<'s, E: Entry<'s>>(
        &self,
        session: &SessionState,
        uses: Uses,
        entries: &[E],
    ) -> (usize, u64) {
        let mut first: Option<(Shape, u64)> = None;
        let mut alike = Alike::NOTHING;
        let mut bytes = 0;
        for (place, entry) in entries.iter().enumerate() {
            let request = entry.request();
            if let Some((_, deadline_ns)) = first
                && request.deadline_ns == deadline_ns
                && alike.is_like(request)
            {
                bytes += request.data.len() as u64;
                continue;
            }
            let shape = session.rules.shape(request, uses, self.config.op_max_bytes);
            let Some(shape) = shape.filter(|_| request.chain.is_none()) else { return (place, bytes) };
            let (like, deadline_ns) = *first.get_or_insert((shape, request.deadline_ns));
            if !shape.runs_with(like) || request.deadline_ns != deadline_ns {
                return (place, bytes);
            }
            alike = Alike::of(request, None);
            bytes += request.data.len() as u64;
        }
        (entries.len(), bytes)
    }

    /// When an operation expires that is submitted now.
    #[inline]
    pub(crate) fn expiry(&self, session: &SessionState, of_request: u64, now: Nanos) -> Nanos {
        let time_to_live = match (of_request, session.spec.deadline_ns) {
            (0, 0) => self.config.deadline_ns,
            (0, of_session) => of_session,
            (of_request, _) => of_request,
        };
        now.plus(time_to_live)
    }
}
