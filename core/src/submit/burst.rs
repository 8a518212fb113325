//! Submit n, poll n: a ring for callers that poll, without futures and wake-ups.

use std::future::Future;
use std::sync::Arc;

use super::blocking;
use super::face::{CompletionQueue, Face, Way};
use super::inline::{Inline, Order};
use crate::device::RUN_MAX_OPS;
use crate::error::Error;
use crate::op::{Completion, Refused, Request};
use crate::session::Session;
use crate::sync::atomic::Ordering;

impl Session {
    /// A burst ring with room for `capacity_ops` operations on their way or not yet polled (at least 1).
    pub fn burst(&self, capacity_ops: usize) -> Burst {
        let capacity_ops = capacity_ops.max(1);
        let face = self.shared.faces.register(Way::Queue(Box::new(CompletionQueue::new(capacity_ops))));
        Burst {
            session: self.clone(),
            face,
            capacity_ops,
            outstanding_ops: 0,
            refused: Vec::new(),
            ready: Vec::new(),
        }
    }
}

/// A burst ring. Completions come in any order; the request's `user_data` tells which is which.
///
/// Dropping the ring drops results that were not polled; operations on their way are carried out.
#[derive(Debug)]
pub struct Burst {
    session: Session,
    face: Arc<Face>,
    capacity_ops: usize,
    outstanding_ops: usize,
    refused: Vec<Refused>,
    /// Completions of what was carried out at once.
    ready: Vec<Completion>,
}

impl Burst {
    /// Operations submitted and not yet polled.
    pub fn outstanding_ops(&self) -> usize {
        self.outstanding_ops
    }

    /// Submits from the front of `requests`, as many as the ring, the main queue and the tenant have room for, and returns how
    /// many were accepted. The rest stays in `requests`; a request that can never be accepted is moved to
    /// [`Burst::refused`].
    pub fn submit(&mut self, requests: &mut Vec<Request>) -> usize {
        let mut accepted = 0;
        let mut full = Vec::new();
        while full.is_empty() && !requests.is_empty() && self.outstanding_ops < self.capacity_ops {
            let count = requests.len().min(RUN_MAX_OPS).min(self.capacity_ops - self.outstanding_ops);
            let picked = match self.submit_inline(requests, count) {
                Inline::Ran(count) => {
                    accepted += count;
                    continue;
                }
                Inline::Picked(device, room) => Some((device, room)),
                Inline::No => None,
            };
            self.face.live.fetch_add(count as u64, Ordering::AcqRel);
            let (mut taken, mut refusals) = (0, 0);
            let (session, chunk) = (&self.session.state, requests.drain(..count));
            let shared = &self.session.shared;
            shared.accept_under(session, None, chunk, self.face.id, 0, picked, |_, result| match result {
                Ok(_) => taken += 1,
                Err(refused) => {
                    refusals += 1;
                    match refused.error {
                        Error::Full { .. } | Error::TenantFull { .. } => full.push(refused.request),
                        _ => self.refused.push(*refused),
                    }
                }
            });
            if refusals > 0 {
                self.face.live.fetch_sub(refusals, Ordering::AcqRel);
            }
            self.outstanding_ops += taken;
            accepted += taken;
        }
        requests.splice(0..0, full);
        accepted
    }

    /// Carries out operations at the front of the first `count` requests at once, if it may, and takes them out.
    fn submit_inline(&mut self, requests: &mut Vec<Request>, count: usize) -> Inline {
        let shared = &self.session.shared;
        let order = Order {
            session: &self.session.state,
            pinned: None,
            face: self.face.id,
            position: 0,
            limit_ns: shared.config.inline_max_ns,
            count: requests.len().min(self.capacity_ops - self.outstanding_ops),
        };
        let ran = match &mut requests[..count] {
            // One alone: the compiler knows that there is but one.
            [request] => shared.run_inline(order, std::slice::from_mut(request), &mut self.ready, |_, _| {}),
            requests => shared.run_inline(order, requests, &mut self.ready, |_, _| {}),
        };
        if let Inline::Ran(count) = ran {
            if count == requests.len() {
                requests.clear();
            } else {
                requests.drain(..count);
            }
            self.outstanding_ops += count;
        }
        ran
    }

    /// Takes up to `max` completions, appends them to `completions`, and returns how many. It works for its own
    /// operations first, on this thread, when a direct device has them.
    pub fn poll(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let ready = self.take_ready(completions, max);
        if ready == max || self.outstanding_ops == 0 {
            return ready;
        }
        let max = max - ready;
        let Way::Queue(queue) = &self.face.way else { return ready };
        let shared = &self.session.shared;
        if queue.len() < max.min(self.outstanding_ops) {
            shared.help_anyone();
        }
        let taken = queue.take(&shared.slab, max, |_, completion| completions.push(completion));
        self.outstanding_ops -= taken;
        if taken > 0 {
            shared.room_again();
        }
        ready + taken
    }

    /// Takes completions of what was carried out at once.
    fn take_ready(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let count = self.ready.len().min(max);
        if count == self.ready.len() && completions.is_empty() && completions.capacity() >= count {
            // The callers' memory for ours: nothing is copied.
            std::mem::swap(completions, &mut self.ready);
        } else {
            completions.extend(self.ready.drain(..count));
        }
        self.outstanding_ops -= count;
        count
    }

    /// Waits until a completion can be polled, or nothing is outstanding.
    ///
    /// # Cancel safety
    /// Safe: it takes nothing.
    pub async fn readable(&mut self) {
        std::future::poll_fn(|context| {
            let Way::Queue(queue) = &self.face.way else { return std::task::Poll::Ready(()) };
            if queue.len() > 0 || !self.ready.is_empty() || self.outstanding_ops == 0 {
                return std::task::Poll::Ready(());
            }
            self.session.shared.help_anyone();
            queue.waker.register(context.waker());
            if queue.len() > 0 {
                return std::task::Poll::Ready(());
            }
            self.session.shared.wake_for_backlog();
            std::task::Poll::Pending
        })
        .await;
    }

    /// Sleeps until a completion can be polled, nothing is outstanding, or the time is over.
    pub fn wait(&mut self, at_most: std::time::Duration) {
        let shared = Arc::clone(&self.session.shared);
        let deadline = shared.now().plus(at_most.as_nanos() as u64);
        let mut readable = std::pin::pin!(self.readable());
        let waker = blocking::thread_waker();
        let mut context = std::task::Context::from_waker(&waker);
        while readable.as_mut().poll(&mut context).is_pending() {
            let left = deadline.since(shared.now());
            if left == 0 {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_nanos(left));
        }
    }

    /// The requests that were refused since the last call.
    pub fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.face.close(&self.session.shared.slab);
        self.session.shared.room_again();
        self.session.shared.faces.release(&self.face, 1);
    }
}
