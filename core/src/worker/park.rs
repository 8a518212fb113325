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

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::thread;
    use std::sync::Arc;

    use super::*;

    /// A worker lies down and looks once more while `wake` makes work and wakes: it sees the work, or is woken.
    fn never_sleeps_through(wake: impl Fn(&Parking) -> bool + Copy + Send + Sync + 'static) {
        loom::model(move || {
            let parking = Arc::new(Parking::new(1));
            let work = Arc::new(AtomicBool::new(false));
            let worker = {
                let (parking, work) = (Arc::clone(&parking), Arc::clone(&work));
                thread::spawn(move || {
                    parking.lie_down(0);
                    let sees = work.load(Ordering::Relaxed);
                    if sees {
                        parking.get_up(0);
                    }
                    sees
                })
            };
            work.store(true, Ordering::Relaxed);
            let woken = wake(&parking);
            let sees = worker.join().unwrap();
            assert!(sees || woken);
            assert_eq!(parking.sleepers.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn loom_a_worker_never_sleeps_through_work_for_any() {
        never_sleeps_through(Parking::wake_one);
    }

    #[test]
    fn loom_a_worker_never_sleeps_through_work_of_its_own() {
        never_sleeps_through(|parking| parking.wake(0));
    }

    #[test]
    fn loom_one_sleeper_is_woken_once() {
        loom::model(|| {
            let parking = Arc::new(Parking::new(1));
            parking.lie_down(0);
            let other = {
                let parking = Arc::clone(&parking);
                thread::spawn(move || parking.wake_one())
            };
            let mine = parking.wake_one();
            assert_ne!(mine, other.join().unwrap());
            assert_eq!(parking.sleepers.load(Ordering::Relaxed), 0);
        });
    }
}
