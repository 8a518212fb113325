//! The end of an operation: its result goes to its face, once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::device::RUN_MAX_OPS;
use crate::error::OpError;
use crate::queue::slab::Held;
use crate::session::SessionState;
use crate::shared::Shared;
use crate::submit::face::{FUTURE, Face, Way};
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;

/// Completed operations on their way to one completion queue.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    face: Option<Arc<Face>>,
    entries: ArrayVec<u64, RUN_MAX_OPS>,
}

impl Shared {
    /// Ends an operation that no device finished.
    pub(crate) fn give_up(&self, mut held: Held<'_, Body>, error: OpError) {
        let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
        let session = self.sessions.find(held.meta().session.load(Ordering::Relaxed));
        let shard = self.shards.mine();
        if !shape.is_dispatched() {
            shard.given_up_before_dispatch.add(1);
        }
        if !shape.is_started() {
            shard.given_up_before_start.add(1);
        }
        match error {
            OpError::Cancelled => shard.cancelled.add(1),
            _ => shard.failed.add(1),
        }
        shard.by_kind[usize::from(shape.kind_number()) - 1].add(1);
        shard.given_up.add(1);
        let attempts = u16::from(held.word().attempt());
        let body = held.body();
        body.attempts = attempts;
        body.source_intact = body.source_intact && !matches!(error, OpError::DecryptionFailed);
        body.error = Some(error);
        if body.is_padded && body.source_intact {
            body.restore_source();
            strip_padding(body, shape);
        }
        if let Some(session) = session {
            session.failed.add(1);
            session.completed.add(1);
            self.release_session(&session, 1);
        }
        let mut delivery = Delivery::default();
        self.deliver(held, &mut delivery);
        self.flush(&mut delivery);
    }

    /// Ends an operation whose submitter has given up interest.
    pub(crate) fn cancel_held(&self, held: Held<'_, Body>) {
        self.give_up(held, OpError::Cancelled);
    }

    /// Hands a finished body to its face, or notes it for a completion queue until [`Shared::flush`].
    pub(crate) fn deliver(&self, mut held: Held<'_, Body>, delivery: &mut Delivery) {
        let id = held.body().face;
        if id == FUTURE {
            let meta = held.meta();
            match held.finish() {
                Ok(()) => meta.waker.wake(),
                Err(held) => self.drop_result(held),
            }
            return;
        }
        if delivery.face.as_ref().is_none_or(|face| face.id != id) {
            self.flush(delivery);
            delivery.face = self.faces.find(id);
        }
        let Some(face) = &delivery.face else { return self.drop_result(held) };
        match &face.way {
            Way::Queue(_) => {
                let entry = held.entry();
                match held.finish() {
                    Ok(()) => delivery.entries.push(entry),
                    Err(held) => {
                        self.drop_result(held);
                        self.faces.release(face, 1);
                    }
                }
                if delivery.entries.is_full() {
                    self.flush(delivery);
                }
            }
            Way::Callback(call) => {
                let completion = held.body().take();
                held.recycle();
                self.room.notify();
                // A panic in the caller's function is the caller's; the device and the queue go on.
                let _ = catch_unwind(AssertUnwindSafe(|| call(completion)));
                self.faces.release(face, 1);
            }
        }
    }

    /// Hands what was noted to its completion queue. Every delivery ends with it.
    pub(crate) fn flush(&self, delivery: &mut Delivery) {
        let (Some(face), false) = (&delivery.face, delivery.entries.is_empty()) else { return };
        if let Way::Queue(queue) = &face.way
            && face.hand_over(queue, &self.slab, &delivery.entries)
        {
            self.room.notify();
        }
        self.faces.release(face, delivery.entries.len() as u64);
        delivery.entries.clear();
    }

    /// As `flush`, and forgets the face, so that it can end.
    pub(crate) fn finish_delivery(&self, delivery: &mut Delivery) {
        self.flush(delivery);
        delivery.face = None;
    }

    fn drop_result(&self, held: Held<'_, Body>) {
        held.free();
        self.room.notify();
    }

    /// Takes `count` off the session's operations (or its last handle); the last one of a closed session ends it.
    pub(crate) fn release_session(&self, session: &SessionState, count: u64) {
        if session.live.fetch_sub(count, Ordering::AcqRel) == count {
            self.end_session(session);
        }
    }
}

/// Gives a failed operation's input back as it was submitted.
fn strip_padding(body: &mut Body, shape: Shape) {
    if shape.kind() == crate::algorithm::OpKind::Encrypt {
        body.data.truncate(shape.bytes());
    }
}
