//! Counts of what many devices do for one session or one tenant: each device writes its own, a reader adds them up.

use std::sync::Arc;

use super::counter::{Counter, OwnedCounter};
use crate::sync::Lock;

/// One device's part. Its writer holds the device's run token.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ops: OwnedCounter,
    bytes: OwnedCounter,
}

impl Tally {
    #[inline]
    pub(crate) fn add(&self, ops: u64, bytes: u64) {
        self.bytes.add(bytes);
        self.ops.add(ops);
    }
}

/// The parts, and the sums of those that are no more.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    parts: Lock<Vec<Arc<Tally>>>,
    ops: Counter,
    bytes: Counter,
}

impl Tallies {
    /// Another part.
    pub(crate) fn part(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.parts.lock().push(Arc::clone(&tally));
        tally
    }

    /// Adds a part to the sums and forgets it; nobody writes it any more.
    pub(crate) fn retire(&self, tally: &Arc<Tally>) {
        let mut parts = self.parts.lock();
        let Some(place) = parts.iter().position(|part| Arc::ptr_eq(part, tally)) else { return };
        let tally = parts.swap_remove(place);
        self.bytes.add(tally.bytes.read());
        self.ops.add(tally.ops.read());
    }

    /// Counts what belongs to no device.
    pub(crate) fn add(&self, ops: u64, bytes: u64) {
        self.bytes.add(bytes);
        self.ops.add(ops);
    }

    /// Operations and bytes in all.
    pub(crate) fn read(&self) -> (u64, u64) {
        let parts = self.parts.lock();
        parts.iter().fold((self.ops.read(), self.bytes.read()), |(ops, bytes), part| {
            (ops + part.ops.read(), bytes + part.bytes.read())
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn i1_a_part_that_retires_stays_in_the_sum() {
        let tallies = Tallies::default();
        let (first, second) = (tallies.part(), tallies.part());
        first.add(2, 20);
        second.add(3, 30);
        assert_eq!(tallies.read(), (5, 50));
        tallies.retire(&first);
        assert_eq!(tallies.read(), (5, 50));
        second.add(1, 1);
        assert_eq!(tallies.read(), (6, 51));
    }
}
