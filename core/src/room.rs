//! Waiting for room in the main queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::event::unharmed;
use crate::session::Session;
use crate::shared::Shared;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::tenant::Tenant;

/// Tasks that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    wanted: AtomicBool,
    /// A request was refused for want of room: whoever waits is woken at the low-water mark, not at the first free slot.
    is_full: AtomicBool,
    wakers: Lock<Vec<Waker>>,
}

impl Room {
    /// A request was refused for want of room.
    pub(crate) fn filled_up(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    /// A slot was freed: a task that looked for room before must be seen here, or else see the slot.
    #[inline]
    pub(crate) fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.wanted.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Ready when there is room; else the task is woken when a slot is freed.
    pub(crate) fn poll(&self, context: &Context<'_>, has_room: impl Fn() -> bool) -> Poll<()> {
        if has_room() {
            return Poll::Ready(());
        }
        {
            let mut wakers = self.wakers.lock();
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            self.wanted.store(true, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        // A slot freed before the flag was up woke nobody.
        if has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wake(&self) {
        let wakers = {
            let mut wakers = self.wakers.lock();
            self.wanted.store(false, Ordering::Relaxed);
            std::mem::take(&mut *wakers)
        };
        for waker in wakers {
            unharmed(|| waker.wake());
        }
    }
}

impl Shared {
    /// A slot was freed, or an operation of a tenant at its limit has ended.
    #[inline]
    pub(crate) fn room_again(&self) {
        if !self.room.is_full.load(Ordering::Relaxed) || self.is_low() {
            self.room.notify();
        }
    }

    fn is_low(&self) -> bool {
        let limit = self.slab.limit();
        let low = match self.config.main_queue_low_ops {
            0 => limit - limit / 8,
            low => low,
        };
        self.slab.in_use() <= low.min(limit - 1)
    }

    fn has_room(&self, tenant: Option<&Tenant>) -> bool {
        if self.is_stopping() {
            return true;
        }
        if self.is_low() {
            self.room.is_full.store(false, Ordering::Relaxed);
        }
        let main_queue = self.slab.has_free() && !self.room.is_full.load(Ordering::Relaxed);
        main_queue && tenant.is_none_or(|tenant| tenant.admits(1).is_ok())
    }
}

impl Session {
    /// Waits until the main queue, and the session's tenant, have room again. After a refusal for want of room that is at
    /// the low-water mark (`main_queue_low_ops` of the configuration), so that submitters do not fight for every slot.
    pub fn ready(&self) -> Ready {
        Ready { shared: Arc::clone(&self.shared), tenant: Some(Arc::clone(&self.state.tenant)) }
    }
}

/// Future of [`Runtime::ready`](crate::Runtime::ready) and [`Session::ready`].
///
/// # Cancel safety
/// Safe: it holds nothing.
#[derive(Debug)]
pub struct Ready {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tenant: Option<Arc<Tenant>>,
}

impl Future for Ready {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.shared.room.poll(context, || self.shared.has_room(self.tenant.as_deref()))
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::task::Wake;

    use loom::thread;

    use super::*;
    use crate::queue::slab::Slab;

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    #[test]
    fn loom_a_freed_slot_is_seen_or_wakes_the_one_who_waits() {
        loom::model(|| {
            let slab = Arc::new(Slab::<u64>::new(1));
            let room = Arc::new(Room::default());
            let mut posted = 0;
            slab.allocate(1, |held| {
                posted = held.post(crate::queue::word::State::Queued, 1, crate::DeviceId(0))
            });
            let freer = {
                let (slab, room) = (Arc::clone(&slab), Arc::clone(&room));
                thread::spawn(move || {
                    let (index, word) = slab.current(posted).unwrap();
                    slab.claim(index, word, crate::queue::word::State::Held).unwrap().free();
                    room.notify();
                })
            };
            let woken = Arc::new(Woken(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&woken));
            let polled = room.poll(&Context::from_waker(&waker), || slab.has_free());
            freer.join().unwrap();
            assert!(polled.is_ready() || woken.0.load(Ordering::Acquire));
        });
    }

    #[test]
    fn loom_two_who_wait_are_both_woken() {
        loom::model(|| {
            let room = Arc::new(Room::default());
            let has_room = Arc::new(AtomicBool::new(false));
            let waiters: Vec<_> = (0..2)
                .map(|_| {
                    let (room, has_room) = (Arc::clone(&room), Arc::clone(&has_room));
                    thread::spawn(move || {
                        let woken = Arc::new(Woken(AtomicBool::new(false)));
                        let waker = Waker::from(Arc::clone(&woken));
                        let polled =
                            room.poll(&Context::from_waker(&waker), || has_room.load(Ordering::Acquire));
                        (polled, woken)
                    })
                })
                .collect();
            has_room.store(true, Ordering::Release);
            room.notify();
            for waiter in waiters {
                let (polled, woken) = waiter.join().unwrap();
                assert!(polled.is_ready() || woken.0.load(Ordering::Acquire));
            }
        });
    }
}
