//! Ordered sessions (invariant I3): results are handed over in the order of submission.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::queue::slab::{Held, Parked};
use crate::shared::Shared;
use crate::submit::Body;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::worker::conclude::Delivery;

/// Results that one thread hands over before it leaves the rest to a worker: it may be the control machine, or have a
/// device's run token.
const HAND_OVER_MAX: usize = 256;

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

    /// An operation has finished. True if the caller is to hand over now.
    fn arrive(&self, number: u64, parked: Parked) -> bool {
        let mut turn = self.turn.lock();
        turn.early.insert(number, parked);
        !std::mem::replace(&mut turn.is_busy, true)
    }

    /// The next one whose turn has come; when there is none, nobody hands over any more.
    fn next(&self) -> Option<Parked> {
        let mut turn = self.turn.lock();
        let expected = turn.expected;
        let next = turn.early.remove(&expected);
        match &next {
            Some(_) => turn.expected += 1,
            None => turn.is_busy = false,
        }
        next
    }
}

impl Shared {
    /// Puts a finished operation into its place, and hands over all whose turn has come: in order, one at a time, and
    /// without a lock, so that a callback may submit.
    pub(crate) fn hand_back_in_order(&self, order: Arc<Order>, number: u64, held: Held<'_, Body>) {
        if order.arrive(number, held.park()) {
            self.hand_over_from(order);
        }
    }

    fn hand_over_from(&self, order: Arc<Order>) {
        let mut handed_over = 0;
        // No worker comes by any more when the runtime is stopped.
        while handed_over < HAND_OVER_MAX || self.is_stopped() {
            let Some(parked) = order.next() else { return };
            handed_over += 1;
            let held = self.slab.unpark(parked);
            self.shards.mine().handed_over_in_order.add(1);
            let mut delivery = Delivery::default();
            self.hand_back(held, &mut delivery);
            self.flush(&mut delivery);
        }
        self.late_orders.lock().push(order);
        self.parking.wake_one();
        if self.is_stopped() {
            self.go_on_handing_over();
        }
    }

    /// Goes on where somebody has handed over long enough. False when there was nothing to do.
    pub(crate) fn go_on_handing_over(&self) -> bool {
        let late = self.late_orders.lock().pop();
        late.map(|order| self.hand_over_from(order)).is_some()
    }
}
