//! Sleeping workers, and who is worth waking.
//!
//! A worker announces that it will sleep, looks once more for work, then parks. A submitter makes its work visible,
//! then looks for sleepers. The fence on both sides makes one of the two see the other.

use std::sync::OnceLock;
use std::thread::Thread;

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// One worker's bed.
#[derive(Debug, Default)]
struct Bed {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

/// The workers' beds.
#[derive(Debug)]
pub(crate) struct Parking {
    beds: Vec<Bed>,
    sleepers: AtomicUsize,
}

impl Parking {
    pub(crate) fn new(workers: usize) -> Self {
        Self { beds: (0..workers).map(|_| Bed::default()).collect(), sleepers: AtomicUsize::new(0) }
    }

    /// Called once by each worker's thread.
    pub(crate) fn register(&self, worker: usize) {
        let _ = self.beds[worker].thread.set(std::thread::current());
    }

    /// Announces that the worker will sleep; it must look for work once more before it does.
    pub(crate) fn lie_down(&self, worker: usize) {
        self.beds[worker].asleep.store(true, Ordering::SeqCst);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back.
    pub(crate) fn get_up(&self, worker: usize) {
        if self.beds[worker].asleep.swap(false, Ordering::SeqCst) {
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Wakes this worker if it sleeps. The work must be visible already.
    pub(crate) fn wake(&self, worker: usize) -> bool {
        fence(Ordering::SeqCst);
        self.wake_unfenced(worker)
    }

    fn wake_unfenced(&self, worker: usize) -> bool {
        let Some(bed) = self.beds.get(worker) else { return false };
        if !bed.asleep.load(Ordering::SeqCst) || !bed.asleep.swap(false, Ordering::SeqCst) {
            return false;
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        if let Some(thread) = bed.thread.get() {
            thread.unpark();
        }
        true
    }

    /// Wakes one sleeper, if there is one.
    pub(crate) fn wake_one(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleepers.load(Ordering::SeqCst) > 0
            && (0..self.beds.len()).any(|worker| self.wake_unfenced(worker))
    }

    /// Wakes all.
    pub(crate) fn wake_all(&self) {
        fence(Ordering::SeqCst);
        for worker in 0..self.beds.len() {
            self.wake_unfenced(worker);
        }
    }
}
