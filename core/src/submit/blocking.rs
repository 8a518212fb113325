//! One operation from a thread without an executor.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::future::{Accepted, OpFuture};
use super::inline::Caller;
use crate::op::{Completion, Refused, Request};
use crate::session::Session;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A waker that unparks the calling thread.
pub(crate) fn thread_waker() -> Waker {
    Waker::from(Arc::new(Unpark(std::thread::current())))
}

/// Polls a future on this thread until it is ready, sleeping in between. Needs no executor.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let waker = thread_waker();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

impl Session {
    /// One operation, on this thread if a direct device is idle, else waiting for another one's result.
    ///
    /// # Errors
    /// [`Refused`] gives the request back with the reason.
    pub fn call(&self, mut request: Request) -> Result<Completion, Refused> {
        // This thread has nothing else to do: however long it takes, it may as well do it itself.
        let limit_ns = if self.open.shared.config.inline_max_ns > 0 { u64::MAX } else { 0 };
        let shared = &self.open.shared;
        let mut done = None;
        let accepted =
            shared.accept_one(&self.open.state, None, &mut request, limit_ns, Caller::Thread, &mut done);
        match (accepted.map_err(|refused| *refused)?, done) {
            (_, Some(completion)) => Ok(completion),
            (Accepted::Slot(index) | Accepted::Together(index), None) => {
                block_on(OpFuture::pending(shared, index))
            }
            (Accepted::Done, None) => unreachable!("what is over has a completion"),
        }
    }
}
