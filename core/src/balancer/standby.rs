//! Which devices give way to better ones.
//!
//! A direct device computes on a core of ours, and there are only so many cores: beyond one lane of execution for each,
//! a slower kernel adds nothing and takes the place of a faster one. So for each algorithm the direct devices of the
//! highest scores are listed until there is one for each worker; the others give way, and stand by for when one of
//! those leaves service. Equal scores stand together. A queued device has hardware of its own, and never gives way.

use crate::device::DeviceState;

/// A direct device that has the algorithm at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    /// What it answered when it was probed.
    pub(crate) score: u32,
    pub(crate) state: DeviceState,
}

/// The least score that is listed, where there are this many workers.
pub(crate) fn least_score(lanes: impl Iterator<Item = Lane>, workers: usize) -> u32 {
    let mut lanes: Vec<Lane> = lanes.collect();
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.score));
    // In probation it gets a small part of its share only.
    let mut full = lanes.iter().filter(|lane| lane.state != DeviceState::Probation);
    full.nth(workers.saturating_sub(1)).map_or(0, |lane| lane.score)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(scores: &[u32], workers: usize) -> u32 {
        least_score(scores.iter().map(|score| Lane { score: *score, state: DeviceState::Up }), workers)
    }

    #[test]
    fn as_many_as_there_are_workers_are_listed_and_their_equals() {
        assert_eq!(least(&[100, 120, 100, 120, 110], 2), 120);
        assert_eq!(least(&[100, 120, 100, 120, 110], 3), 110);
        assert_eq!(least(&[100, 120, 100, 120, 110], 4), 100);
        assert_eq!(least(&[100, 100, 100], 1), 100);
        assert_eq!(least(&[120, 100], 4), 0, "with too few, all are listed");
        assert_eq!(least(&[], 2), 0);
    }

    #[test]
    fn one_in_probation_does_not_stand_in_for_another() {
        let lane = |score, state| Lane { score, state };
        let lanes = [
            lane(120, DeviceState::Up),
            lane(120, DeviceState::Probation),
            lane(100, DeviceState::Degraded),
            lane(90, DeviceState::Up),
        ];
        assert_eq!(least_score(lanes.into_iter(), 2), 100);
    }
}
