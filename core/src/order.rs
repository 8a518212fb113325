//! Ordered sessions (invariant I3): results are handed over in the order of submission.

use std::collections::BTreeMap;

use crate::queue::slab::Parked;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The order of one session.
#[derive(Debug, Default)]
pub(crate) struct Order {
    next: AtomicU64,
    turn: Lock<Turn>,
}

/// Whose turn it is, and who has come before his.
#[derive(Debug, Default)]
struct Turn {
    expected: u64,
    early: BTreeMap<u64, Parked>,
    /// Somebody hands over: he takes what comes meanwhile along.
    is_busy: bool,
}

impl Order {
    /// The number of the next operation. Taken with its slot: every number comes to [`Order::arrive`].
    pub(crate) fn take_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// An operation has finished. `hand_over` gets each whose turn has come, in order and one at a time; it runs without a
    /// lock, so that a callback may submit.
    pub(crate) fn arrive(&self, number: u64, parked: Parked, mut hand_over: impl FnMut(Parked)) {
        {
            let mut turn = self.turn.lock();
            turn.early.insert(number, parked);
            if turn.is_busy {
                return;
            }
            turn.is_busy = true;
        }
        loop {
            let next = {
                let mut turn = self.turn.lock();
                let expected = turn.expected;
                let next = turn.early.remove(&expected);
                match &next {
                    Some(_) => turn.expected += 1,
                    None => turn.is_busy = false,
                }
                next
            };
            match next {
                Some(parked) => hand_over(parked),
                None => return,
            }
        }
    }
}
