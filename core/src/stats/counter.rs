//! Monotonic counters.
//!
//! What submitters count is sharded by thread and added to with one atomic instruction a batch; what an executing
//! thread counts lies with the device and is written by the holder of its run token only. An operation is counted at
//! every station before it reaches the next one; a reader that goes against the flow, from `completed` to `accepted`,
//! therefore never sees a negative difference (invariant I1).

use std::cell::Cell;

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A counter that any thread may add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Release);
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A counter with one writer at a time.
#[derive(Debug, Default)]
pub(crate) struct OwnedCounter(AtomicU64);

impl OwnedCounter {
    /// Adds; the caller is the only writer at this time.
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Release);
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What submitters, cancellers and the control thread count.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    /// Given up before it was lent to a device.
    pub(crate) given_up_before_dispatch: Counter,
    /// Given up before a device began it.
    pub(crate) given_up_before_start: Counter,
    /// Given up at all: cancelled, expired, broken. Without those of ordered sessions.
    pub(crate) given_up: Counter,
    /// As `given_up`, in ordered sessions, which hand over later.
    pub(crate) given_up_in_order: Counter,
    /// Operations of ordered sessions whose turn came.
    pub(crate) handed_over_in_order: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) failed: Counter,
    pub(crate) moved: Counter,
    pub(crate) by_kind: [Counter; 7],
}

/// What whoever executes counts for a session or a tenant, in a cache line that no submitter looks at.
#[derive(Debug, Default)]
pub(crate) struct EndCounts {
    pub(crate) completed: Counter,
    pub(crate) failed: Counter,
    pub(crate) bytes: Counter,
}

const SHARDS: usize = 16;

/// What threads write without getting into each other's way.
#[derive(Debug, Default)]
pub(crate) struct Sharded<T>([CachePadded<T>; SHARDS]);

/// The shards of a runtime.
pub(crate) type Shards = Sharded<Shard>;

impl<T> Sharded<T> {
    /// The calling thread's shard; threads may share one.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        &self.0[thread_number() % SHARDS]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|shard| &**shard)
    }

    pub(crate) fn sum(&self, of: impl Fn(&T) -> &Counter) -> u64 {
        self.0.iter().map(|shard| of(shard).read()).sum()
    }
}

static THREADS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// A small number for the calling thread, used to spread threads over shards and devices.
#[inline]
pub(crate) fn thread_number() -> usize {
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(THREADS.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
        number.get()
    })
}

/// Gives the calling thread number 0, as in a simulation, where it must not depend on who was there before.
pub(crate) fn pin_thread_number() {
    NUMBER.with(|number| number.set(0));
}

/// What stands for a runtime's own workers, which are at anybody's service.
pub(crate) const ANY_WORKER: usize = usize::MAX;

/// The calling thread is one of a runtime's workers.
pub(crate) fn be_a_worker() {
    IS_WORKER.set(true);
}

/// The number of the calling thread, or [`ANY_WORKER`].
#[inline]
pub(crate) fn submitter_number() -> usize {
    if IS_WORKER.get() { ANY_WORKER } else { thread_number() }
}

/// What is counted for each device. `taken` counts before the ring is filled; the rest is the run-token holder's,
/// except what is moved out or abandoned.
#[derive(Debug, Default)]
pub(crate) struct DeviceCells {
    /// Lent for the first time.
    pub(crate) taken_first: CachePadded<Counter>,
    /// Lent after another attempt.
    pub(crate) taken_again: Counter,
    pub(crate) moved_out: Counter,
    pub(crate) abandoned_queued: Counter,
    pub(crate) abandoned_running: Counter,
    pub(crate) started: CachePadded<OwnedCounter>,
    pub(crate) started_first: OwnedCounter,
    /// Attempts that ended with an answer.
    pub(crate) finished: OwnedCounter,
    /// Operations that ended here and were handed back.
    pub(crate) completed_ops: OwnedCounter,
    /// Operations of ordered sessions that ended here, to be handed back when their turn comes.
    pub(crate) ended_in_order: OwnedCounter,
    pub(crate) failed_ops: OwnedCounter,
    /// Operations that a submitter carried out at once: they passed all stations together.
    pub(crate) inline: OwnedCounter,
    pub(crate) errors: Counter,
    pub(crate) bytes: OwnedCounter,
    pub(crate) by_kind: [OwnedCounter; 7],
    /// Attempts now inside a queued device.
    pub(crate) in_flight: AtomicUsize,
}
