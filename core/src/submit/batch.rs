//! Operations submitted together, as one future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::face::{CompletionQueue, Face, Way};
use super::future::INLINE_MAX_BYTES;
use super::inline::{Caller, Inline, Order};
use crate::device::RUN_MAX_OPS;
use crate::op::{Completion, Refused, Request};
use crate::queue::word::State;
use crate::session::Session;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

impl Session {
    /// Operations submitted together at the first poll; the results come in the order of the requests. A request that
    /// is refused fails alone.
    ///
    /// # Cancel safety
    /// As [`Session::submit`], for each operation.
    pub fn submit_batch(&self, requests: Vec<Request>) -> BatchFuture {
        let results = requests.iter().map(|_| None).collect();
        BatchFuture { session: self.clone(), requests, results, slots: Vec::new(), face: None, missing: 0 }
    }
}

/// Future of [`Session::submit_batch`].
#[derive(Debug)]
#[must_use = "a batch is submitted when its future is polled"]
pub struct BatchFuture {
    session: Session,
    requests: Vec<Request>,
    results: Vec<Option<Result<Completion, Refused>>>,
    /// Slot of each operation, by position; only meaningful while its result is missing.
    slots: Vec<Option<u32>>,
    face: Option<Arc<Face>>,
    missing: usize,
}

impl BatchFuture {
    fn queue(&self) -> Option<&CompletionQueue> {
        match &self.face.as_ref()?.way {
            Way::Queue(queue) => Some(queue),
            Way::Callback(_) => None,
        }
    }

    fn submit(&mut self) {
        let requests = std::mem::take(&mut self.requests);
        let shared = Arc::clone(&self.session.open.shared);
        let face = shared.faces.register(Way::Queue(Box::new(CompletionQueue::new(requests.len()))));
        self.slots = vec![None; requests.len()];
        let mut position = 0;
        let mut requests = requests;
        let mut rest = requests.as_mut_slice();
        while !rest.is_empty() {
            let picked = match self.submit_inline(&shared, &face, rest, position) {
                Inline::Ran(count) => {
                    rest = rest.split_at_mut(count).1;
                    position += count as u32;
                    continue;
                }
                Inline::Picked(device, room) | Inline::Together(device, room) => Some((device, room)),
                Inline::No => None,
            };
            // Counted before any of them can complete; refusals are taken off again.
            let (chunk, behind) = rest.split_at_mut(rest.len().min(RUN_MAX_OPS));
            rest = behind;
            let count = chunk.len() as u64;
            face.live.fetch_add(count, Ordering::AcqRel);
            let mut refusals = 0;
            let chunk = chunk.iter_mut().map(std::mem::take);
            let session = &self.session.open.state;
            shared.accept(session, None, chunk, face.id, position, picked, |position, result| match result {
                Ok(index) => {
                    self.slots[position as usize] = Some(index);
                    self.missing += 1;
                }
                Err(refused) => {
                    refusals += 1;
                    self.results[position as usize] = Some(Err(*refused));
                }
            });
            face.live.fetch_sub(refusals, Ordering::AcqRel);
            position += count as u32;
        }
        self.face = Some(face);
    }

    /// Carries out operations at the front of `requests` at once, if it may; the first is at `position` in the batch.
    fn submit_inline(
        &mut self,
        shared: &Shared,
        face: &Face,
        requests: &mut [Request],
        position: u32,
    ) -> Inline {
        let order = Order {
            session: &self.session.open.state,
            pinned: None,
            face: face.id,
            position,
            limit_ns: shared.config.inline_max_ns,
            count: requests.len(),
            caller: Caller::Thread,
        };
        let (slots, missing, first) = (&mut self.slots, &mut self.missing, position as usize);
        let chunk = requests.len().min(RUN_MAX_OPS);
        let mut done = Vec::with_capacity(chunk);
        let ran = shared.run_inline(
            &shared.routing.load(),
            order,
            &mut requests[..chunk],
            &mut done,
            |place, index| {
                slots[first + place] = Some(index);
                *missing += 1;
            },
        );
        if let Inline::Ran(count) = ran {
            // Those that were given a slot are not among them.
            let places = (first..first + count).filter(|place| self.slots[*place].is_none());
            for (place, completion) in places.zip(done) {
                self.results[place] = Some(Ok(completion));
            }
        }
        ran
    }

    fn collect(&mut self) {
        let Some(face) = self.face.clone() else { return };
        let Way::Queue(queue) = &face.way else { return };
        let give = |position, completion| {
            self.results[position as usize] = Some(Ok(completion));
            self.missing -= 1;
        };
        // Only bursts make parcels.
        queue.take(&self.session.open.shared.slab, usize::MAX, give, drop);
        self.session.open.shared.room_again();
    }

    fn help(&mut self) {
        let shared = Arc::clone(&self.session.open.shared);
        for position in 0..self.slots.len() {
            if let (Some(index), None) = (self.slots[position], &self.results[position])
                && shared.slab.word(index).state() == State::Queued
            {
                shared.help_with(index, INLINE_MAX_BYTES);
                self.collect();
            }
        }
    }
}

impl Future for BatchFuture {
    type Output = Vec<Result<Completion, Refused>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.face.is_none() {
            this.submit();
        }
        this.help();
        this.collect();
        if this.missing > 0 {
            if let Some(queue) = this.queue() {
                queue.waker.register(context.waker());
            }
            this.collect();
        }
        if this.missing > 0 {
            for index in this.slots.iter().flatten() {
                this.session.open.shared.leave_to_workers(*index);
            }
            return Poll::Pending;
        }
        Poll::Ready(this.results.drain(..).flatten().collect())
    }
}

impl Drop for BatchFuture {
    fn drop(&mut self) {
        let Some(face) = self.face.take() else { return };
        let shared: &Shared = &self.session.open.shared;
        if self.missing > 0 {
            for (slot, result) in self.slots.iter().zip(&self.results) {
                if let (Some(index), None) = (slot, result) {
                    shared.abandon(*index, false);
                }
            }
        }
        face.close(&shared.slab);
        shared.room_again();
        shared.faces.release(&face, 1);
    }
}
