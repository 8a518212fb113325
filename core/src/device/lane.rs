//! The open sessions of a direct device, as one lane of execution uses them: by reference, without a lock or a
//! reference count for each operation.
//!
//! Operations see a table that stays put while a run is carried out. `open` and `close` never wait for a run: they write
//! down what changed, and carry it out at once unless a run is under way; whoever ends the run does it then. So a key is
//! wiped when its session is closed, or when the run that may still use it has ended.

use crate::device::Handle;
use crate::error::Error;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Sessions by handle: a handle is an index, indices are reused.
#[derive(Debug)]
pub(crate) struct Lane<S> {
    /// Held for moments only.
    ledger: Lock<Ledger<S>>,
    /// There may be changes in the ledger that the table lacks. Cleared only by the holder of the table.
    is_behind: AtomicBool,
    /// Held for as long as a run takes.
    table: Lock<Vec<Option<S>>>,
}

/// Invariant: `free` holds exactly the indices of those that are not open.
#[derive(Debug)]
struct Ledger<S> {
    is_open: Vec<bool>,
    free: Vec<u32>,
    /// In the order they happened: what the entry of that index is from now on.
    changes: Vec<(u32, Option<S>)>,
    sessions_max: usize,
}

impl<S> Lane<S> {
    pub(crate) fn new(sessions_max: usize) -> Self {
        let ledger = Ledger { is_open: Vec::new(), free: Vec::new(), changes: Vec::new(), sessions_max };
        Self { ledger: Lock::new(ledger), is_behind: AtomicBool::new(false), table: Lock::new(Vec::new()) }
    }

    pub(crate) fn open(&self, session: S) -> Result<Handle, Error> {
        let index = {
            let mut ledger = self.ledger.lock();
            let index = match ledger.free.pop() {
                Some(index) => index,
                None => ledger.new_index()?,
            };
            ledger.is_open[index as usize] = true;
            ledger.changes.push((index, Some(session)));
            index
        };
        self.changed();
        Ok(Handle(index))
    }

    /// An unknown handle is ignored.
    pub(crate) fn close(&self, handle: Handle) {
        {
            let mut ledger = self.ledger.lock();
            match ledger.is_open.get_mut(handle.0 as usize) {
                Some(is_open) if *is_open => *is_open = false,
                _ => return,
            }
            ledger.free.push(handle.0);
            ledger.changes.push((handle.0, None));
        }
        self.changed();
    }

    /// Calls `run` with the sessions that are open now. One closed meanwhile stays until `run` returns.
    pub(crate) fn with<R>(&self, run: impl FnOnce(&[Option<S>]) -> R) -> R {
        // Dropped after the table, also when `run` panics.
        let _after = CatchUp(self);
        let mut table = self.table.lock();
        if self.is_behind.load(Ordering::Acquire) {
            self.settle(&mut table);
        }
        run(&table)
    }

    fn changed(&self) {
        self.is_behind.swap(true, Ordering::AcqRel);
        self.catch_up();
    }

    /// Carries out what is written down, unless somebody else has the table, who does so after letting go of it: that
    /// both touch the mark by a read-modify-write is what makes one of them see the other.
    fn catch_up(&self) {
        while self.is_behind.fetch_or(false, Ordering::AcqRel) {
            let Some(mut table) = self.table.try_lock() else { return };
            self.settle(&mut table);
        }
    }

    fn settle(&self, table: &mut Vec<Option<S>>) {
        self.is_behind.swap(false, Ordering::AcqRel);
        let changes = std::mem::take(&mut self.ledger.lock().changes);
        for (index, session) in changes {
            let index = index as usize;
            if table.len() <= index {
                table.resize_with(index + 1, || None);
            }
            table[index] = session;
        }
    }
}

impl<S> Ledger<S> {
    fn new_index(&mut self) -> Result<u32, Error> {
        let full = Error::Limit { what: "sessions on one device", limit: self.sessions_max };
        if self.is_open.len() >= self.sessions_max {
            return Err(full);
        }
        let index = u32::try_from(self.is_open.len()).map_err(|_| full)?;
        self.is_open.push(false);
        Ok(index)
    }
}

struct CatchUp<'a, S>(&'a Lane<S>);

impl<S> Drop for CatchUp<'_, S> {
    fn drop(&mut self) {
        self.0.catch_up();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn at<S: Clone>(lane: &Lane<S>, handle: Handle) -> Option<S> {
        lane.with(|table| table.get(handle.0 as usize).cloned().flatten())
    }

    #[test]
    fn an_index_is_reused_after_removal_and_only_then() {
        let lane = Lane::new(8);
        let (first, second) = (lane.open(1).unwrap(), lane.open(2).unwrap());
        assert_ne!(first, second);
        lane.close(first);
        lane.close(first);
        assert_eq!((at(&lane, first), at(&lane, second)), (None, Some(2)));
        assert_eq!(lane.open(3), Ok(first));
        assert_ne!(lane.open(4), Ok(first));
        assert_eq!(at(&lane, first), Some(3));
    }

    #[test]
    fn i7_a_full_table_refuses_and_takes_again_after_a_removal() {
        let lane = Lane::new(1);
        let only = lane.open(1).unwrap();
        assert_eq!(lane.open(2), Err(Error::Limit { what: "sessions on one device", limit: 1 }));
        lane.close(only);
        assert!(lane.open(3).is_ok());
    }

    #[test]
    fn an_unknown_handle_is_ignored() {
        let lane = Lane::<u8>::new(1);
        lane.close(Handle(7));
        assert_eq!(at(&lane, Handle(7)), None);
        assert_eq!(lane.open(1), Ok(Handle(0)));
    }

    #[test]
    fn i5_a_session_that_is_closed_is_gone_at_once_or_with_the_run_that_may_use_it() {
        let lane = Lane::new(4);
        let key = Arc::new(());
        let handle = lane.open(Arc::clone(&key)).unwrap();
        lane.close(handle);
        assert_eq!(Arc::strong_count(&key), 1);

        let handle = lane.open(Arc::clone(&key)).unwrap();
        lane.with(|table| {
            lane.close(handle);
            assert!(table[handle.0 as usize].is_some() && Arc::strong_count(&key) == 2);
            assert_eq!(lane.open(Arc::new(())), Ok(handle), "open does not wait for the run");
        });
        assert_eq!(Arc::strong_count(&key), 1);
    }

    #[test]
    fn i5_a_run_that_panics_keeps_no_session() {
        let lane = Lane::new(4);
        let key = Arc::new(());
        let handle = lane.open(Arc::clone(&key)).unwrap();
        let run = || {
            lane.with(|_| {
                lane.close(handle);
                panic!("a run");
            })
        };
        assert!(crate::foreign::guarded(run).is_none());
        assert_eq!(Arc::strong_count(&key), 1);
        assert!(at(&lane, handle).is_none());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    #[test]
    fn loom_i5_a_session_closed_during_a_run_is_gone_when_both_are_over() {
        loom::model(|| {
            let lane = Arc::new(Lane::new(4));
            let key = Arc::new(());
            let handle = lane.open(Arc::clone(&key)).unwrap();
            let runner = {
                let lane = Arc::clone(&lane);
                thread::spawn(move || lane.with(|table| table.first().is_some()))
            };
            lane.close(handle);
            assert!(runner.join().unwrap());
            assert_eq!(Arc::strong_count(&key), 1);
        });
    }

    #[test]
    fn loom_a_session_just_opened_is_there_for_the_next_run() {
        loom::model(|| {
            let lane = Arc::new(Lane::new(4));
            let other = {
                let lane = Arc::clone(&lane);
                thread::spawn(move || {
                    lane.with(|_| ());
                })
            };
            let handle = lane.open(7).unwrap();
            assert_eq!(lane.with(|table| table[handle.0 as usize]), Some(7));
            other.join().unwrap();
        });
    }
}
