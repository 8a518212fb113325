//! One operation as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Shape;
use super::face::FUTURE;
use super::inline::{Inline, Order};
use crate::context::Context as Keys;
use crate::device::registry::Device;
use crate::op::{Completion, Refused, Request};
use crate::queue::word::State;
use crate::session::{Session, SessionState};
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
        OpFuture { stage: Stage::New { session: self.clone(), request } }
    }
}

impl Session {
    /// As [`Session::submit`], but accepted or refused here and not at the first poll, and under a context that the
    /// caller has pinned.
    pub(crate) fn submit_now(&self, pinned: &Arc<Keys>, request: Request) -> Result<OpFuture, Refused> {
        match self.shared.accept_one(
            &self.state,
            Some(pinned),
            request,
            self.shared.config.inline_max_ns,
            None,
        ) {
            Ok(Accepted::Done(completion)) => Ok(OpFuture { stage: Stage::Done(completion) }),
            Ok(Accepted::Slot(index) | Accepted::Together(index)) => {
                Ok(OpFuture::pending(&self.shared, index))
            }
            Err(refused) => Err(*refused),
        }
    }
}

/// Future of [`Session::submit`].
#[derive(Debug)]
#[must_use = "an operation is submitted when its future is polled"]
pub struct OpFuture {
    stage: Stage,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "an allocation would cost more than the move")]
enum Stage {
    New {
        session: Session,
        request: Request,
    },
    /// In the main queue; the slot is this future's until it is taken or abandoned.
    Pending {
        shared: Arc<Shared>,
        index: u32,
    },
    /// Carried out before it was asked for.
    Done(Completion),
    Over,
}

impl OpFuture {
    /// Of an operation that is on its way.
    pub(crate) fn pending(shared: &Arc<Shared>, index: u32) -> Self {
        Self { stage: Stage::Pending { shared: Arc::clone(shared), index } }
    }
}

impl Future for OpFuture {
    type Output = Result<Completion, Refused>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Pending { shared, index } = &self.stage {
            let done = shared.take_done_or_wait(*index, context);
            if done.is_ready() {
                self.stage = Stage::Over;
            }
            return done.map(Ok);
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::New { session, request } => {
                let limit_ns = session.shared.config.inline_max_ns;
                match session.shared.accept_one(
                    &session.state,
                    None,
                    request,
                    limit_ns,
                    Some(context.waker()),
                ) {
                    Ok(Accepted::Done(completion)) => Poll::Ready(Ok(completion)),
                    Ok(Accepted::Slot(index)) => {
                        *self = OpFuture::pending(&session.shared, index);
                        drop(session);
                        self.poll(context)
                    }
                    Ok(Accepted::Together(index)) => {
                        *self = OpFuture::pending(&session.shared, index);
                        // Whichever task comes first again carries out what all of them have submitted.
                        context.waker().wake_by_ref();
                        Poll::Pending
                    }
                    Err(refused) => Poll::Ready(Err(*refused)),
                }
            }
            Stage::Done(completion) => Poll::Ready(Ok(completion)),
            // Polled after completion: there is nothing to give.
            Stage::Pending { .. } | Stage::Over => Poll::Pending,
        }
    }
}

impl Drop for OpFuture {
    fn drop(&mut self) {
        if let Stage::Pending { shared, index } = &self.stage {
            shared.abandon(*index, true);
        }
    }
}

/// What became of an operation that was accepted.
#[allow(clippy::large_enum_variant, reason = "an allocation would cost more than the move")]
pub(crate) enum Accepted {
    /// It is over already.
    Done(Completion),
    /// It is on its way, in this slot.
    Slot(u32),
    /// As `Slot`, and the caller should wait until other tasks have submitted theirs.
    Together(u32),
}

impl Shared {
    /// Accepts one operation for a future, and carries it out if its cost is at most `limit_ns`.
    #[inline]
    pub(crate) fn accept_one(
        &self,
        session: &SessionState,
        pinned: Option<&Arc<Keys>>,
        mut request: Request,
        limit_ns: u64,
        waker: Option<&Waker>,
    ) -> Result<Accepted, Box<Refused>> {
        let order = Order { session, pinned, face: FUTURE, position: 0, limit_ns, count: 1, waker };
        let (mut done, mut slot) = (None, None);
        let entries = std::slice::from_mut(&mut request);
        let picked = match self.run_inline(order, entries, &mut done, |_, index| slot = Some(index)) {
            Inline::Ran(_) => None,
            Inline::Picked(device, room) => Some((device, room)),
            Inline::Together(device, room) => {
                let index = self.accept_alone(session, pinned, request, Some((device, room)))?;
                return Ok(Accepted::Together(index));
            }
            Inline::No => None,
        };
        if let Some(completion) = done {
            return Ok(Accepted::Done(completion));
        }
        if let Some(index) = slot {
            return Ok(Accepted::Slot(index));
        }
        self.accept_alone(session, pinned, request, picked).map(Accepted::Slot)
    }

    /// A slot for one operation of a future.
    fn accept_alone(
        &self,
        session: &SessionState,
        pinned: Option<&Arc<Keys>>,
        request: Request,
        picked: Option<(Arc<Device>, usize)>,
    ) -> Result<u32, Box<Refused>> {
        let mut accepted = None;
        let on = |_, result| accepted = Some(result);
        self.accept(session, pinned, std::iter::once(request), FUTURE, 0, picked, on);
        accepted.unwrap_or_else(|| unreachable!("every request is accepted or refused"))
    }

    /// The result of a future's operation. If it is not there, the caller works for it a little; then its task is woken
    /// when it is there.
    fn take_done_or_wait(&self, index: u32, context: &Context<'_>) -> Poll<Completion> {
        self.help_with(index, INLINE_MAX_BYTES);
        if let Some(completion) = self.take_done(index) {
            return Poll::Ready(completion);
        }
        self.slab.slot(index).meta.waker.register(context.waker());
        if let Some(completion) = self.take_done(index) {
            return Poll::Ready(completion);
        }
        self.leave_to_workers(index);
        Poll::Pending
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
