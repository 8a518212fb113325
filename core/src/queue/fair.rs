//! Weighted fair order: who is served next among those that have work.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng, 1996): each key has a virtual time, which grows by cost / weight when it
//! is served; the key that is furthest behind goes first. A key that comes back after a rest starts at the time of the
//! others, so that nobody saves up a burst. Over any busy period two keys differ from their shares by one operation.

use std::collections::{BTreeMap, BTreeSet};

/// Cost units of one virtual second at weight 1.
const SCALE: u64 = 1_024;
/// Times of keys without work that are kept before those that no longer matter are swept out.
const TIMES_KEPT: usize = 256;

/// The order.
#[derive(Debug)]
pub(crate) struct Fair<K> {
    order: BTreeSet<(u64, K)>,
    /// Virtual time at which a key may be served next; of a key without work, as long as it is ahead of the others.
    times: BTreeMap<K, u64>,
    now: u64,
}

impl<K> Default for Fair<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), times: BTreeMap::new(), now: 0 }
    }
}

impl<K: Ord + Copy> Fair<K> {
    /// The key has work from now on.
    pub(crate) fn enter(&mut self, key: K) {
        let time = self.times.entry(key).or_insert(0);
        *time = (*time).max(self.now);
        self.order.insert((*time, key));
    }

    /// The key has no work any more.
    pub(crate) fn leave(&mut self, key: K) {
        if let Some(time) = self.times.get(&key) {
            self.order.remove(&(*time, key));
            if *time <= self.now {
                self.times.remove(&key);
            }
        }
        if self.times.len() > 2 * self.order.len() + TIMES_KEPT {
            let (now, order) = (self.now, &self.order);
            self.times.retain(|key, time| *time > now || order.contains(&(*time, *key)));
        }
        if self.order.is_empty() {
            // Whoever comes next starts level.
            self.times.clear();
            self.now = 0;
        }
    }

    /// The key was served.
    pub(crate) fn charge(&mut self, key: K, cost: u64, weight: u64) {
        let Some(time) = self.times.get_mut(&key) else { return };
        let had_work = self.order.remove(&(*time, key));
        // One that could not be served while it waited is as far as the others, and has not saved up a burst.
        let start = (*time).max(self.now);
        self.now = start;
        *time = start.saturating_add((cost.saturating_mul(SCALE) / weight.max(1)).max(1));
        if had_work {
            self.order.insert((*time, key));
        }
    }

    /// Keys with work, the one to be served first at the front.
    pub(crate) fn iter(&self) -> impl Iterator<Item = K> {
        self.order.iter().map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(fair: &mut Fair<u16>, weights: &[u64], cost: impl Fn(u16) -> u64, count: usize) -> Vec<u64> {
        let mut work = vec![0; weights.len()];
        for _ in 0..count {
            let key = fair.iter().next().unwrap();
            work[usize::from(key)] += cost(key);
            fair.charge(key, cost(key), weights[usize::from(key)]);
        }
        work
    }

    #[test]
    fn shares_follow_the_weights_to_within_one_operation() {
        let mut fair = Fair::default();
        fair.enter(0);
        fair.enter(1);
        assert_eq!(serve(&mut fair, &[1, 3], |_| 100, 4_000), [100_000, 300_000]);
    }

    #[test]
    fn large_operations_take_no_more_than_small_ones() {
        let mut fair = Fair::default();
        fair.enter(0);
        fair.enter(1);
        let work = serve(&mut fair, &[1, 1], |key| if key == 0 { 65_536 } else { 256 }, 20_000);
        assert!(work[0].abs_diff(work[1]) <= 65_536, "{work:?}");
    }

    #[test]
    fn nobody_saves_up_a_burst() {
        let mut fair = Fair::default();
        fair.enter(0);
        serve(&mut fair, &[1], |_| 100, 1_000);
        fair.enter(1);
        assert_eq!(serve(&mut fair, &[1, 1], |_| 100, 100), [5_000, 5_000]);
        fair.leave(1);
        serve(&mut fair, &[1], |_| 100, 1_000);
        fair.enter(1);
        assert_eq!(serve(&mut fair, &[1, 1], |_| 100, 100), [5_000, 5_000]);
    }

    #[test]
    fn whoever_could_not_be_served_has_not_saved_up_either() {
        let mut fair = Fair::default();
        fair.enter(0);
        fair.enter(1);
        // Nobody has room for the work of 0.
        (0..1_000).for_each(|_| fair.charge(1, 100, 1));
        let work = serve(&mut fair, &[1, 1], |_| 100, 100);
        assert!(work[0] <= 5_100, "{work:?}");
    }

    #[test]
    fn a_pause_does_not_wipe_what_was_taken_ahead() {
        let mut fair = Fair::default();
        fair.enter(0);
        fair.enter(1);
        fair.charge(1, 1_000, 1);
        fair.leave(1);
        fair.enter(1);
        assert_eq!(serve(&mut fair, &[1, 1], |_| 100, 10), [1_000, 0]);
    }
}
