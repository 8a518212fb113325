//! One operation as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Shape;
use super::face::FUTURE;
use crate::context::Context as Keys;
use crate::op::{Completion, Refused, Request};
use crate::queue::word::State;
use crate::session::Session;
use crate::shared::Shared;
use crate::sync::atomic::Ordering;

/// Largest operation that a waiting caller carries out itself, in bytes; larger ones are left to a worker.
pub(crate) const INLINE_MAX_BYTES: usize = 16 * 1024;
/// Most runs a waiting caller carries out for others before its own comes up.
const HELP_MAX_RUNS: usize = 4;

impl Session {
    /// One operation. It is submitted at the first poll, and carried out there and then when a direct device is idle.
    ///
    /// # Errors
    /// [`Refused`] gives the request back with the reason.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the operation: one that no device has begun is taken back, the result of one that
    /// is being carried out is dropped when it comes. The buffers belong to the runtime until then.
    pub fn submit(&self, request: Request) -> OpFuture {
        OpFuture { shared: Arc::clone(&self.shared), stage: Stage::New(Box::new((self.clone(), request))) }
    }
}

impl Session {
    /// As [`Session::submit`], but accepted or refused here and not at the first poll, and under a context that the
    /// caller has pinned.
    pub(crate) fn submit_now(&self, pinned: &Arc<Keys>, request: Request) -> Result<OpFuture, Refused> {
        let shared = Arc::clone(&self.shared);
        match shared.accept_one(self, Some(pinned), request) {
            Ok(index) => Ok(OpFuture { shared, stage: Stage::Pending(index) }),
            Err(refused) => Err(*refused),
        }
    }
}

/// Future of [`Session::submit`].
#[derive(Debug)]
#[must_use = "an operation is submitted when its future is polled"]
pub struct OpFuture {
    shared: Arc<Shared>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New(Box<(Session, Request)>),
    /// In the main queue; the slot is this future's until it is taken or abandoned.
    Pending(u32),
    Over,
}

impl Future for OpFuture {
    type Output = Result<Completion, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::New(_) = self.stage {
            let Stage::New(new) = std::mem::replace(&mut self.stage, Stage::Over) else {
                return Poll::Pending;
            };
            let (session, request) = *new;
            match self.shared.accept_one(&session, None, request) {
                Ok(index) => self.stage = Stage::Pending(index),
                Err(refused) => return Poll::Ready(Err(*refused)),
            }
        }
        let Stage::Pending(index) = self.stage else {
            // Polled after completion: there is nothing to give.
            return Poll::Pending;
        };
        self.shared.help_with(index, INLINE_MAX_BYTES);
        if let Some(completion) = self.shared.take_done(index) {
            self.stage = Stage::Over;
            return Poll::Ready(Ok(completion));
        }
        self.shared.slab.slot(index).meta.waker.register(context.waker());
        if let Some(completion) = self.shared.take_done(index) {
            self.stage = Stage::Over;
            return Poll::Ready(Ok(completion));
        }
        self.shared.leave_to_workers(index);
        Poll::Pending
    }
}

impl Drop for OpFuture {
    fn drop(&mut self) {
        if let Stage::Pending(index) = self.stage {
            self.shared.abandon(index, true);
        }
    }
}

impl Shared {
    pub(crate) fn accept_one(
        &self,
        session: &Session,
        pinned: Option<&Arc<Keys>>,
        request: Request,
    ) -> Result<u32, Box<Refused>> {
        let mut accepted = None;
        let on = |_, result| accepted = Some(result);
        self.accept_under(&session.state, pinned, std::iter::once(request), FUTURE, 0, on);
        accepted.unwrap_or_else(|| unreachable!("every request is accepted or refused"))
    }

    /// The result of a future's operation, if it is there.
    pub(crate) fn take_done(&self, index: u32) -> Option<Completion> {
        let mut held = self.slab.adopt(index, self.slab.word(index))?;
        let completion = held.body().take();
        held.recycle();
        self.room_again();
        Some(completion)
    }

    /// Carries out runs of the device that has this operation, until the operation is done, a few runs are done, or
    /// somebody else is at it.
    pub(crate) fn help_with(&self, index: u32, bytes_max: usize) {
        if Shape(self.slab.slot(index).meta.shape.load(Ordering::Relaxed)).bytes() > bytes_max {
            return;
        }
        for _ in 0..HELP_MAX_RUNS {
            let word = self.slab.word(index);
            if word.state() != State::Queued {
                return;
            }
            let Some(device) = self.device_by_id(word.device()) else { return };
            // What is in front may be larger than what the caller would do of its own.
            let front = device.ring.peek().and_then(|entry| self.slab.current(entry));
            let bytes_of =
                |(index, _)| Shape(self.slab.slot(index).meta.shape.load(Ordering::Relaxed)).bytes();
            if front.map(bytes_of).is_some_and(|bytes| bytes > bytes_max) {
                return;
            }
            if !device.is_direct() || !self.help(&device) {
                return;
            }
        }
    }

    /// The submitter will sleep: somebody else must see to its operation.
    pub(crate) fn leave_to_workers(&self, index: u32) {
        let word = self.slab.word(index);
        if word.state() == State::Queued
            && let Some(device) = self.device_by_id(word.device())
        {
            device.left_to_others.store(true, Ordering::SeqCst);
            self.look_after(&device);
        }
    }
}
