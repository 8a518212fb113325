//! The end of an operation: its result goes to its face, once.

use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::device::RUN_MAX_OPS;
use crate::error::OpError;
use crate::foreign::guarded;
use crate::queue::slab::Held;
use crate::route;
use crate::shared::Shared;
use crate::submit::face::{FUTURE, Face, Way};
use crate::submit::{Body, Shape};
use crate::sync::atomic::Ordering;

/// Completed operations on their way to one completion queue.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    face: Option<Arc<Face>>,
    entries: ArrayVec<u64, RUN_MAX_OPS>,
    /// Operations that these stand for.
    ops: u64,
}

impl Shared {
    /// Ends an operation that no device finished.
    pub(crate) fn give_up(&self, mut held: Held<'_, Body>, error: OpError) {
        let shape = Shape(held.meta().shape.load(Ordering::Relaxed));
        let context = self.context(held.meta().context.load(Ordering::Relaxed));
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
        let submitted = held.meta().submitted.load(Ordering::Relaxed);
        let attempts = u16::from(held.word().attempt());
        let body = held.body();
        shard.by_kind[kind_number(body)].add(1);
        if shape.is_ordered() {
            shard.given_up_in_order.add(1)
        } else {
            shard.given_up.add(1)
        }
        body.attempts = body.attempts_before + attempts;
        body.total_ns = self.now().0.saturating_sub(submitted);
        body.source_intact = body.source_intact && !matches!(error, OpError::DecryptionFailed);
        body.error = Some(error);
        body.restore_source();
        // A tag was not checked: what a stage has made is for nobody.
        route::give_back(body);
        route::end(body);
        if body.is_padded && body.source_intact {
            strip_padding(body, shape);
        }
        if let Some(context) = context {
            context.session.count_ended(1, 0, 1);
            self.release_context(&context, 1);
        }
        let mut delivery = Delivery::default();
        self.deliver(held, &mut delivery);
        self.flush(&mut delivery);
    }

    /// Ends an operation whose submitter has given up interest.
    pub(crate) fn cancel_held(&self, held: Held<'_, Body>) {
        self.give_up(held, OpError::Cancelled);
    }

    /// Hands a finished body to its face, or notes it for a completion queue until [`Shared::flush`]. In an ordered
    /// session it is handed over when its turn comes.
    pub(crate) fn deliver(&self, mut held: Held<'_, Body>, delivery: &mut Delivery) {
        match held.body().order.take() {
            Some((order, number)) => self.hand_back_in_order(order, number, held),
            None => self.hand_back(held, delivery),
        }
    }

    pub(crate) fn hand_back(&self, mut held: Held<'_, Body>, delivery: &mut Delivery) {
        let id = held.body().face;
        if id == FUTURE {
            let meta = held.meta();
            match held.finish() {
                Ok(()) => {
                    guarded(|| meta.waker.wake());
                }
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
                let ops = held.body().parcel.as_ref().map_or(1, |parcel| parcel.len() as u64);
                match held.finish() {
                    Ok(()) => {
                        delivery.entries.push(entry);
                        delivery.ops += ops;
                    }
                    Err(held) => {
                        self.drop_result(held);
                        self.faces.release(face, ops);
                    }
                }
                if delivery.entries.is_full() {
                    self.flush(delivery);
                }
            }
            Way::Callback(call) => {
                let completion = held.body().take();
                held.recycle();
                self.room_again();
                // A panic in the caller's function is the caller's; the device and the queue go on.
                guarded(|| call(completion));
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
            self.room_again();
        }
        self.faces.release(face, std::mem::take(&mut delivery.ops));
        delivery.entries.clear();
    }

    /// As `flush`, and forgets the face, so that it can end.
    pub(crate) fn finish_delivery(&self, delivery: &mut Delivery) {
        self.flush(delivery);
        delivery.face = None;
    }

    fn drop_result(&self, mut held: Held<'_, Body>) {
        // The task that waited has gone, and may be kept from ending by what it left here.
        guarded(|| drop(held.meta().waker.take()));
        let reserved = held.body().parcel.as_ref().map_or(0, |parcel| parcel.reserved_slots());
        held.free();
        self.slab.end_reservation(reserved);
        self.room_again();
    }
}

/// Place of an operation's kind in counts by kind: what was asked for, not what the last stage of its route did.
pub(crate) fn kind_number(body: &Body) -> usize {
    usize::from(body.asked.max(1)) - 1
}

/// Gives a failed operation's input back as it was submitted.
fn strip_padding(body: &mut Body, shape: Shape) {
    if shape.kind() == crate::algorithm::OpKind::Encrypt {
        body.data.truncate(shape.bytes());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;
    use crate::{Algorithm, Config, Key, Request, Runtime, SessionSpec};

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn i7_a_cancelled_operation_forgets_who_waited_for_it() {
        let runtime = Runtime::unthreaded(Config::default());
        runtime.add_device_of_kind("sim0", "sim", &[], 0).unwrap();
        let session = runtime.session(SessionSpec::new(Algorithm::Aes128Ctr), Key::new(vec![7; 16])).unwrap();
        let task = Arc::new(Task);
        let waker = Waker::from(Arc::clone(&task));
        let mut operation = Box::pin(session.submit(Request::encrypt(vec![1; 64], [9; 16])));
        assert!(matches!(operation.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 2);
        drop(operation);
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
