//! The one atomic word of a slot: who owns the operation, on which attempt.

use crate::op::DeviceId;

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// On the free list.
    Free = 0,
    /// Owned by one thread, which may touch the body: being filled, moved, expired or cancelled.
    Held = 1,
    /// In a waiting ring of the main queue.
    Waiting = 2,
    /// In a device's ring.
    Queued = 3,
    /// On a direct device; owned by the thread that executes it, as `Held`.
    Running = 4,
    /// On a queued device; owned by nobody until the device answers, the deadline passes or the caller cancels.
    Lent = 5,
    /// Completed; the submitter's face owns the body.
    Done = 6,
    /// Finished; waits for its turn in an ordered session.
    Parked = 7,
}

impl State {
    fn of(number: u8) -> Self {
        match number {
            1 => Self::Held,
            2 => Self::Waiting,
            3 => Self::Queued,
            4 => Self::Running,
            5 => Self::Lent,
            6 => Self::Done,
            7 => Self::Parked,
            _ => Self::Free,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "moving",
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running | Self::Lent => "running",
            Self::Done => "done",
            Self::Parked => "finished",
        }
    }
}

/// Set in an owned slot's word when the submitter has given up interest.
const DETACHED: u64 = 0x80;

/// Bits: stamp 32, device 16, attempt 8, detached 1, state 7. The stamp changes each time the slot enters a ring or is freed, so
/// that a ring entry or an answer of an earlier attempt no longer matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    #[inline]
    pub(crate) fn new(state: State, attempt: u8, device: DeviceId, stamp: u32) -> Self {
        Self(u64::from(stamp) << 32 | u64::from(device.0) << 16 | u64::from(attempt) << 8 | state as u64)
    }

    #[inline]
    pub(crate) fn state(self) -> State {
        State::of(self.0 as u8 & 0x7f)
    }

    #[inline]
    pub(crate) fn attempt(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline]
    pub(crate) fn device(self) -> DeviceId {
        DeviceId((self.0 >> 16) as u16)
    }

    #[inline]
    pub(crate) fn stamp(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn with_state(self, state: State) -> Self {
        Self(self.0 & !0x7f | state as u64)
    }

    #[inline]
    pub(crate) fn is_detached(self) -> bool {
        self.0 & DETACHED != 0
    }

    #[inline]
    pub(crate) fn detached(self) -> Self {
        Self(self.0 | DETACHED)
    }
}

/// A ring entry or ticket: slot and stamp, never 0.
#[inline]
pub(crate) fn entry(index: u32, stamp: u32) -> u64 {
    u64::from(stamp) << 32 | (u64::from(index) + 1)
}

/// Slot and stamp of an entry.
#[inline]
pub(crate) fn split(entry: u64) -> (u32, u32) {
    ((entry as u32).wrapping_sub(1), (entry >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_was_put_in() {
        let word = Word::new(State::Running, 200, DeviceId(4095), u32::MAX);
        assert_eq!(
            (word.state(), word.attempt(), word.device(), word.stamp()),
            (State::Running, 200, DeviceId(4095), u32::MAX)
        );
        assert_eq!(word.with_state(State::Done).attempt(), 200);
        assert_eq!(split(entry(0, 0)), (0, 0));
        assert_eq!(split(entry(65_535, 7)), (65_535, 7));
    }
}
