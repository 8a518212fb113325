//! Completions of what was carried out at once, until they are polled: the oldest first, and none moved more than once.

use std::collections::VecDeque;

use super::inline::Done;
use crate::device::RUN_MAX_OPS;
use crate::op::Completion;

/// A portion takes more until it has so many: half a run, so that one run more still fits into what a run takes.
const PORTION_OPS: usize = RUN_MAX_OPS / 2;

/// Completions in portions, of which whole ones change hands with the memory that they are in.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Oldest first; each has something in it.
    older: VecDeque<Vec<Completion>>,
    latest: Vec<Completion>,
    /// Memory of portions that were taken.
    spare: Vec<Vec<Completion>>,
}

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        // What is older has been there longer than the latest.
        self.latest.is_empty() && self.older.is_empty()
    }

    /// Where the completions of one run go.
    #[inline]
    pub(crate) fn for_a_run(&mut self) -> &mut impl Done {
        if self.latest.len() >= PORTION_OPS {
            self.begin_portion();
        }
        &mut self.latest
    }

    /// Memory of a portion that was taken, if there is some.
    pub(crate) fn memory(&mut self) -> Vec<Completion> {
        self.spare.pop().unwrap_or_default()
    }

    /// Adds completions that come together, with the memory that they are in.
    pub(crate) fn add(&mut self, portion: Vec<Completion>) {
        if !self.latest.is_empty() {
            self.begin_portion();
        }
        self.older.push_back(portion);
    }

    fn begin_portion(&mut self) {
        let next = self.spare.pop().unwrap_or_default();
        self.older.push_back(std::mem::replace(&mut self.latest, next));
    }

    /// Moves up to `max` of the oldest to the end of `completions`, and returns how many.
    #[inline]
    pub(crate) fn take(&mut self, completions: &mut Vec<Completion>, max: usize) -> usize {
        let mut taken = 0;
        while taken < max
            && let Some(portion) = self.older.front_mut()
        {
            taken += move_front(portion, completions, max - taken);
            if portion.is_empty() {
                self.spare.extend(self.older.pop_front());
            }
        }
        taken + move_front(&mut self.latest, completions, max - taken)
    }
}

/// Moves up to `max` from the front of a portion to the end of `completions`.
#[inline]
fn move_front(portion: &mut Vec<Completion>, completions: &mut Vec<Completion>, max: usize) -> usize {
    let count = portion.len().min(max);
    if count == portion.len() && completions.is_empty() && completions.capacity() >= count {
        // The callers' memory for ours: nothing is copied.
        std::mem::swap(completions, portion);
    } else {
        completions.extend(portion.drain(..count));
    }
    count
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::op::{Output, Request};
    use crate::rare::Rare;

    fn numbered(user_data: u64) -> Completion {
        let request = Request::default();
        Completion {
            result: Ok(()),
            data: request.data,
            output: Output::none(),
            user_data,
            device: None,
            attempts: 1,
            queue_ns: 0,
            service_ns: 0,
            total_ns: 0,
            stage: 1,
            iv: request.iv,
            source_intact: true,
            chain: Rare::none(),
            input: Rare::none(),
        }
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out_once_and_in_order(
            steps in prop::collection::vec((0..=RUN_MAX_OPS, 0..200_usize, any::<bool>()), 1..60),
        ) {
            let mut ready = Ready::default();
            let mut out = Vec::with_capacity(RUN_MAX_OPS);
            let (mut put, mut seen) = (0, 0);
            for (run, max, drains) in steps {
                ready.for_a_run().put((put..put + run as u64).map(numbered));
                put += run as u64;
                let before = out.len();
                let taken = ready.take(&mut out, max);
                prop_assert_eq!(taken, out.len() - before);
                prop_assert_eq!(taken as u64, (put - seen).min(max as u64));
                for completion in &out[before..] {
                    prop_assert_eq!(completion.user_data, seen);
                    seen += 1;
                }
                prop_assert_eq!(ready.is_empty(), put == seen);
                if drains {
                    out.clear();
                }
            }
        }

        #[test]
        fn memory_is_taken_once(burst in 1..=RUN_MAX_OPS, in_flight in 1..6_usize) {
            let mut ready = Ready::default();
            let mut out = Vec::with_capacity(2 * RUN_MAX_OPS);
            let portions = |ready: &Ready| ready.older.len() + ready.spare.len();
            let mut most = 0;
            for round in 0..50 {
                ready.for_a_run().put((0..burst as u64).map(numbered));
                if round >= in_flight {
                    ready.take(&mut out, burst);
                    out.clear();
                }
                if round == 2 * in_flight + 2 {
                    most = portions(&ready);
                }
            }
            prop_assert!(portions(&ready) <= most.max(in_flight + 1), "{} portions", portions(&ready));
        }
    }
}
