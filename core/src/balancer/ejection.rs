//! When a policy is taken out of force: it panicked, did not return, or served nothing.

use crate::clock::Nanos;

/// Why and when a policy was taken out of force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// The policy.
    pub name: String,
    /// Why, with the figures.
    pub reason: String,
    /// When, nanoseconds of the runtime's clock.
    pub time_ns: u64,
}

impl Ejection {
    pub(crate) fn new(name: &str, reason: String, now: Nanos) -> Self {
        Self { name: name.to_owned(), reason, time_ns: now.0 }
    }
}

/// Fewest picks that are judged.
const PICKS_MIN: u64 = 32;
/// Verdicts in a row that take a policy out of force: one may be bad luck with a device that has just changed.
const STRIKES_MAX: u32 = 2;

/// What a policy's picks came to, judged from time to time.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    picks: u64,
    misses: u64,
    strikes: u32,
}

impl Conduct {
    /// Of a policy that comes into force when so many picks and misses are counted.
    pub(crate) fn new(picks: u64, misses: u64) -> Self {
        Self { picks, misses, strikes: 0 }
    }

    /// Judges what came since the last verdict. The reason to take it out of force, if there is one.
    pub(crate) fn judge(&mut self, picks: u64, misses: u64) -> Option<String> {
        let (new_picks, new_misses) = (picks - self.picks, misses - self.misses);
        if new_picks < PICKS_MIN {
            return None;
        }
        (self.picks, self.misses) = (picks, misses);
        if new_misses * 2 < new_picks {
            self.strikes = 0;
            return None;
        }
        self.strikes += 1;
        (self.strikes >= STRIKES_MAX).then(|| {
            format!(
                "its table could not serve {new_misses} of {new_picks} picks, although a usable device could"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_goes_after_two_bad_verdicts_in_a_row_and_not_after_one() {
        let mut conduct = Conduct::new(1_000, 10);
        assert_eq!(conduct.judge(1_031, 41), None, "too few to judge");
        assert_eq!(conduct.judge(1_032, 42), None, "once");
        assert_eq!(conduct.judge(1_132, 52), None, "then better");
        assert_eq!(conduct.judge(1_232, 102), None);
        let reason = conduct.judge(1_332, 152).unwrap();
        assert!(reason.contains("50 of 100 picks"), "{reason}");
    }
}
