//! Waiting for room in the main queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::shared::Shared;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Tasks that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    wanted: AtomicBool,
    wakers: Lock<Vec<Waker>>,
}

impl Room {
    /// A slot was freed.
    #[inline]
    pub(crate) fn notify(&self) {
        if self.wanted.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        let wakers = {
            let mut wakers = self.wakers.lock();
            self.wanted.store(false, Ordering::SeqCst);
            std::mem::take(&mut *wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }
}

/// Future of [`Runtime::ready`](crate::Runtime::ready).
///
/// # Cancel safety
/// Safe: it holds nothing.
#[derive(Debug)]
pub struct Ready {
    pub(crate) shared: Arc<Shared>,
}

impl Future for Ready {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.shared.has_room() {
            return Poll::Ready(());
        }
        let room = &self.shared.room;
        {
            let mut wakers = room.wakers.lock();
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            room.wanted.store(true, Ordering::SeqCst);
        }
        // A slot freed before the flag was up woke nobody.
        if self.shared.has_room() { Poll::Ready(()) } else { Poll::Pending }
    }
}
