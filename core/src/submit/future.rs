//! One operation as a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Shape;
use super::face::FUTURE;
use super::inline::{Caller, Inline, Order};
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
    pub fn submit(&self, request: Request) -> OpFuture<'_> {
        OpFuture { stage: Stage::New { session: Handle::Borrowed(self), request } }
    }

    /// As [`Session::submit`], by a handle of the future's own, which may outlive this one. Between threads that share a
    /// session, to make a handle costs more than a short operation.
    ///
    /// # Errors
    /// As [`Session::submit`].
    ///
    /// # Cancel safety
    /// As [`Session::submit`].
    pub fn submit_owned(&self, request: Request) -> OpFuture<'static> {
        OpFuture { stage: Stage::New { session: Handle::Owned(self.clone()), request } }
    }
}

impl Session {
    /// As [`Session::submit`], but accepted or refused here and not at the first poll, and under a context that the
    /// caller has pinned.
    pub(crate) fn submit_now(
        &self,
        pinned: &Arc<Keys>,
        mut request: Request,
    ) -> Result<OpFuture<'static>, Refused> {
        let shared = &self.open.shared;
        let limit_ns = shared.config.inline_max_ns;
        let mut done = None;
        let accepted = shared.accept_one(
            &self.open.state,
            Some(pinned),
            &mut request,
            limit_ns,
            Caller::Thread,
            &mut done,
        );
        Ok(match (accepted.map_err(|refused| *refused)?, done) {
            (_, Some(completion)) => OpFuture { stage: Stage::Done(completion) },
            (Accepted::Done, None) => unreachable!("what is over has a completion"),
            (Accepted::Slot(index) | Accepted::Together(index), None) => OpFuture::pending(shared, index),
        })
    }
}

/// Future of [`Session::submit`].
#[derive(Debug)]
#[must_use = "an operation is submitted when its future is polled"]
pub struct OpFuture<'s> {
    stage: Stage<'s>,
}

/// The session until the operation is submitted.
#[derive(Debug)]
enum Handle<'s> {
    Borrowed(&'s Session),
    Owned(Session),
}

impl Handle<'_> {
    #[inline(always)]
    fn session(&self) -> &Session {
        match self {
            Self::Borrowed(session) => session,
            Self::Owned(session) => session,
        }
    }
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "an allocation would cost more than the move")]
enum Stage<'s> {
    New {
        session: Handle<'s>,
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

impl OpFuture<'static> {
    /// Of an operation that is on its way.
    pub(crate) fn pending(shared: &Arc<Shared>, index: u32) -> Self {
        Self { stage: Stage::pending(shared, index) }
    }
}

impl Stage<'_> {
    fn pending(shared: &Arc<Shared>, index: u32) -> Self {
        Self::Pending { shared: Arc::clone(shared), index }
    }
}

impl Future for OpFuture<'_> {
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
        if let Stage::New { session, request } = &mut self.stage {
            let session = session.session();
            let shared = &session.open.shared;
            let limit_ns = shared.config.inline_max_ns;
            // The request stays where it is: an operation that is over at once is not moved at all.
            let caller = Caller::Task(context.waker());
            let mut done = None;
            match shared.accept_one(&session.open.state, None, request, limit_ns, caller, &mut done) {
                Ok(Accepted::Done) => {
                    self.stage = Stage::Over;
                    return done.map_or(Poll::Pending, |completion| Poll::Ready(Ok(completion)));
                }
                Ok(Accepted::Slot(index)) => {
                    self.stage = Stage::pending(shared, index);
                    return self.poll(context);
                }
                Ok(Accepted::Together(index)) => {
                    self.stage = Stage::pending(shared, index);
                    // Whichever task comes first again carries out what all of them have submitted.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(refused) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Err(*refused));
                }
            }
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Done(completion) => Poll::Ready(Ok(completion)),
            // Polled after completion: there is nothing to give.
            _ => Poll::Pending,
        }
    }
}

impl Drop for OpFuture<'_> {
    fn drop(&mut self) {
        if let Stage::Pending { shared, index } = &self.stage {
            shared.abandon(*index, true);
        }
    }
}

/// What became of an operation that was accepted.
#[derive(Clone, Copy)]
pub(crate) enum Accepted {
    /// It is over already, and its completion where the caller wants it.
    Done,
    /// It is on its way, in this slot.
    Slot(u32),
    /// As `Slot`, and the caller should wait until other tasks have submitted theirs.
    Together(u32),
}

impl Shared {
    /// Accepts one operation for a future, and carries it out if its cost is at most `limit_ns`: then its completion goes
    /// to `done`, where it is built and stays.
    #[inline]
    pub(crate) fn accept_one(
        &self,
        session: &SessionState,
        pinned: Option<&Arc<Keys>>,
        request: &mut Request,
        limit_ns: u64,
        caller: Caller<'_>,
        done: &mut Option<Completion>,
    ) -> Result<Accepted, Box<Refused>> {
        let order = Order { session, pinned, face: FUTURE, position: 0, limit_ns, count: 1, caller };
        let mut slot = None;
        let entries = std::slice::from_mut(request);
        let picked = match self
            .run_inline(&self.routing.load(), order, entries, done, |_, index| slot = Some(index))
        {
            Inline::Ran(_) => None,
            Inline::Picked(device, room) => Some((device, room)),
            Inline::Together(device, room) => {
                let index =
                    self.accept_alone(session, pinned, std::mem::take(request), Some((device, room)))?;
                return Ok(Accepted::Together(index));
            }
            Inline::No => None,
        };
        if done.is_some() {
            return Ok(Accepted::Done);
        }
        if let Some(index) = slot {
            return Ok(Accepted::Slot(index));
        }
        self.accept_alone(session, pinned, std::mem::take(request), picked).map(Accepted::Slot)
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
