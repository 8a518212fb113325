//! One operation from a thread without an executor.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::future::{Accepted, OpFuture};
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
    pub fn call(&self, request: Request) -> Result<Completion, Refused> {
        // This thread has nothing else to do: however long it takes, it may as well do it itself.
        let limit_ns = if self.shared.config.inline_max_ns > 0 { u64::MAX } else { 0 };
        match self.shared.accept_one(&self.state, None, request, limit_ns, None) {
            Ok(Accepted::Done(completion)) => Ok(completion),
            Ok(Accepted::Slot(index) | Accepted::Together(index)) => {
                block_on(OpFuture::pending(&self.shared, index))
            }
            Err(refused) => Err(*refused),
        }
    }
}
