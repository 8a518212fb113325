//! Waiting for room in the main queue.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::event::Sleepers;
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
    sleepers: Lock<Sleepers>,
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

    /// Ready when there is room; else the task is woken when a slot is freed. `number` is the one it waits under.
    pub(crate) fn poll(
        &self,
        number: &mut Option<u64>,
        context: &Context<'_>,
        has_room: impl Fn() -> bool,
    ) -> Poll<()> {
        if has_room() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let before = {
            let mut sleepers = self.sleepers.lock();
            self.wanted.store(true, Ordering::Relaxed);
            sleepers.put(number, waker)
        };
        drop(before);
        fence(Ordering::SeqCst);
        // A slot freed before the flag was up woke nobody.
        if has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wake(&self) {
        let wakers = {
            let mut sleepers = self.sleepers.lock();
            self.wanted.store(false, Ordering::Relaxed);
            sleepers.take()
        };
        wakers.wake();
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
        Ready::new(&self.open.shared, Some(Arc::clone(&self.open.state.tenant)))
    }
}

/// Future of [`Runtime::ready`](crate::Runtime::ready) and [`Session::ready`].
///
/// # Cancel safety
/// Safe: it holds nothing, and leaves nothing behind.
#[derive(Debug)]
pub struct Ready {
    shared: Arc<Shared>,
    tenant: Option<Arc<Tenant>>,
    /// Its number among those who wait.
    number: Option<u64>,
}

impl Ready {
    pub(crate) fn new(shared: &Arc<Shared>, tenant: Option<Arc<Tenant>>) -> Self {
        Self { shared: Arc::clone(shared), tenant, number: None }
    }
}

impl Future for Ready {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { shared, tenant, number } = &mut *self;
        shared.room.poll(number, context, || shared.has_room(tenant.as_deref()))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let waker = self.shared.room.sleepers.lock().remove(number);
            drop(waker);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::{Config, Runtime};

    #[test]
    fn i7_who_gave_up_waiting_leaves_nothing_behind() {
        let runtime = Runtime::unthreaded(Config::default());
        runtime.add_device_of_kind("null0", "null", &[], 0).unwrap();
        let shared = &runtime.shared;
        shared.room.filled_up();
        shared.slab.allocate(shared.slab.limit(), std::mem::forget);
        let mut context = Context::from_waker(Waker::noop());
        let waiting = || (shared.room.sleepers.lock().len(), shared.gone.lock().sleepers.len());
        {
            let mut ready = std::pin::pin!(runtime.ready());
            let mut gone = std::pin::pin!(runtime.device_gone("null0"));
            for _ in 0..3 {
                assert!(ready.as_mut().poll(&mut context).is_pending());
                assert!(gone.as_mut().poll(&mut context).is_pending());
            }
            assert_eq!(waiting(), (1, 1));
        }
        assert_eq!(waiting(), (0, 0));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::task::{Wake, Waker};

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
            let polled = room.poll(&mut None, &Context::from_waker(&waker), || slab.has_free());
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
                        let polled = room.poll(&mut None, &Context::from_waker(&waker), || {
                            has_room.load(Ordering::Acquire)
                        });
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
