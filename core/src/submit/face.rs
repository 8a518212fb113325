//! Where a result goes: to a future, a completion queue or a callback.

use std::fmt;
use std::sync::Arc;

use atomic_waker::AtomicWaker;
use crossbeam_utils::CachePadded;

use super::Body;
use super::parcel::Parcel;
use crate::foreign::guarded;
use crate::op::Completion;
use crate::queue::ring::Ring;
use crate::queue::slab::{Found, FreeChain, Slab};
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Face of operations that a future waits for.
pub(crate) const FUTURE: u64 = 0;

/// A face that many operations share. It stays registered while it has an owner or an operation on its way.
pub(crate) struct Face {
    pub(crate) id: u64,
    /// Operations on their way, plus one while the owner is there.
    pub(crate) live: AtomicU64,
    pub(crate) closed: AtomicBool,
    pub(crate) way: Way,
}

/// How results are handed over.
pub(crate) enum Way {
    /// The owner polls.
    Queue(Box<CompletionQueue>),
    /// The executing thread calls.
    Callback(Box<dyn Fn(Completion) + Send + Sync>),
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Face {
    pub(crate) fn new(id: u64, way: Way) -> Self {
        Self { id, live: AtomicU64::new(1), closed: AtomicBool::new(false), way }
    }
}

impl Face {
    /// Hands results over to the owner. True if it has gone: then nobody will fetch them, and they were dropped.
    pub(crate) fn hand_over(&self, queue: &CompletionQueue, slab: &Slab<Body>, entries: &[u64]) -> bool {
        queue.push(entries);
        guarded(|| queue.waker.wake());
        // An owner that goes sees these results, or is seen to have gone.
        fence(Ordering::SeqCst);
        let is_closed = self.closed.load(Ordering::Relaxed);
        if is_closed {
            queue.drop_all(slab);
        }
        is_closed
    }

    /// The owner goes: results that were not fetched are dropped, now and later.
    pub(crate) fn close(&self, slab: &Slab<Body>) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if let Way::Queue(queue) = &self.way {
            queue.drop_all(slab);
        }
    }
}

/// Tickets of completed operations; their slots keep the results until they are polled.
#[derive(Debug)]
pub(crate) struct CompletionQueue {
    ring: Ring,
    consumer: CachePadded<Lock<()>>,
    pub(crate) waker: CachePadded<AtomicWaker>,
}

impl CompletionQueue {
    pub(crate) fn new(capacity_ops: usize) -> Self {
        Self {
            ring: Ring::new(capacity_ops),
            consumer: CachePadded::new(Lock::new(())),
            waker: CachePadded::new(AtomicWaker::new()),
        }
    }

    /// Adds completed operations. There is room: the owner submits no more than the capacity.
    pub(crate) fn push(&self, entries: &[u64]) {
        let pushed = self.ring.push(entries);
        debug_assert_eq!(pushed, entries.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes results until there are `max`, each with its place in its batch, and frees their slots. Those of a parcel come
    /// together, be they too many. Returns how many came.
    pub(crate) fn take(
        &self,
        slab: &Slab<Body>,
        max: usize,
        mut give: impl FnMut(u32, Completion),
        mut give_parcel: impl FnMut(Box<Parcel>),
    ) -> usize {
        let _consumer = self.consumer.lock();
        let mut free = FreeChain::default();
        let (mut taken, mut reserved) = (0, 0);
        while taken < max {
            let Some(entry) = self.ring.pop() else { break };
            let Some(mut held) = slab.find(entry).and_then(Found::adopt) else { continue };
            let body = held.body();
            if let Some(parcel) = body.parcel.take() {
                taken += parcel.len();
                reserved += parcel.reserved_slots();
                held.recycle_into(&mut free);
                give_parcel(parcel);
                continue;
            }
            let position = body.position;
            let completion = body.take();
            held.recycle_into(&mut free);
            give(position, completion);
            taken += 1;
        }
        slab.give_back(free);
        slab.end_reservation(reserved);
        taken
    }

    /// Drops what nobody will fetch.
    fn drop_all(&self, slab: &Slab<Body>) {
        self.take(slab, usize::MAX, |_, _| {}, drop);
    }
}

/// The registered faces.
#[derive(Debug, Default)]
pub(crate) struct Faces {
    table: std::sync::RwLock<std::collections::HashMap<u64, Arc<Face>>>,
    next: AtomicU64,
}

impl Faces {
    pub(crate) fn register(&self, way: Way) -> Arc<Face> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + FUTURE + 1;
        let face = Arc::new(Face::new(id, way));
        self.write().insert(id, Arc::clone(&face));
        face
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Face>> {
        self.table.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&id).cloned()
    }

    /// Takes `count` off the face's operations; the last one removes a closed face.
    pub(crate) fn release(&self, face: &Face, count: u64) {
        if face.live.fetch_sub(count, Ordering::AcqRel) == count {
            self.write().remove(&face.id);
        }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, std::collections::HashMap<u64, Arc<Face>>> {
        self.table.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::thread;

    use super::*;
    use crate::op::DeviceId;
    use crate::queue::word::State;

    #[test]
    fn loom_a_result_that_comes_while_the_owner_goes_is_dropped_once() {
        loom::model(|| {
            let slab = Arc::new(Slab::<Body>::new(1));
            let face = Arc::new(Face::new(1, Way::Queue(Box::new(CompletionQueue::new(1)))));
            let mut posted = 0;
            slab.allocate(1, |held| posted = held.post(State::Queued, 1, DeviceId(0)));
            let device = {
                let (slab, face) = (Arc::clone(&slab), Arc::clone(&face));
                thread::spawn(move || {
                    let (index, word) = slab.current(posted).unwrap();
                    let held = slab.claim(index, word, State::Running).unwrap();
                    let entry = held.entry();
                    assert!(held.finish().is_ok());
                    let Way::Queue(queue) = &face.way else { return };
                    face.hand_over(queue, &slab, &[entry]);
                })
            };
            face.close(&slab);
            device.join().unwrap();
            assert!(slab.has_free(), "the slot of a result that nobody fetches is free again");
        });
    }
}
