//! Which of the short runs are timed: reading the clock twice costs as much as carrying a short one out.
//!
//! Of many it is one in about 32. Where they are few, it is the first after each tick of the control machine, so that a device
//! that is seldom used has its times too.

/// Operations of a run that is always timed.
pub(crate) const TIMED_OPS: usize = 4;

/// One run in about 32, at random, so that no rhythm of the caller's hides a part of them.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    /// Runs to pass by.
    left: u32,
    /// Operations passed by: the next run that is timed stands for them.
    passed_ops: u64,
    lot: u64,
}

impl Timing {
    /// Whether this run is timed.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return false;
        }
        // A linear congruential generator with Knuth's constants for MMIX: its high bits are good enough for a sample.
        self.lot = self.lot.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.left = (self.lot >> 58) as u32;
        true
    }

    /// Passes operations by.
    #[inline]
    pub(crate) fn pass(&mut self, ops: u64) {
        self.passed_ops += ops;
    }

    /// Operations passed by since the last call.
    #[inline]
    pub(crate) fn take_passed(&mut self) -> u64 {
        std::mem::take(&mut self.passed_ops)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_run_in_about_32_is_timed_whatever_the_rhythm() {
        for rhythm in 1..=16 {
            let mut timing = Timing::default();
            let mut timed = vec![0; rhythm];
            for run in 0..rhythm * 40_000 {
                timed[run % rhythm] += u32::from(timing.is_due());
            }
            assert!(timed.iter().all(|times| (1_000..1_400).contains(times)), "{rhythm}: {timed:?}");
        }
    }
}
