//! Which device a session is tied to, in one word that placing an operation can compare.

use std::collections::HashMap;

use crate::error::Error;
use crate::sync::Lock;

/// Names and kinds of devices, each with a number: a binding outlives the device it names.
#[derive(Debug, Default)]
pub(crate) struct Names(Lock<Known>);

#[derive(Debug, Default)]
struct Known {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
    /// How many names came with the ties of each user.
    ties: HashMap<u32, usize>,
}

/// Most names that were never a device's when a session was tied to them: the rest is kept for devices.
pub(crate) const TIES_MAX: usize = 1 << 15;
/// Most of them by one user: one user's ties must not use up what the others' need.
pub(crate) const TIES_PER_USER_MAX: usize = 1 << 10;
/// Most names in the life of a runtime.
pub(crate) const NAMES_MAX: usize = u16::MAX as usize;

impl Names {
    /// The number of a device's name or kind; a new one if it was never heard. `None` when there are [`NAMES_MAX`].
    pub(crate) fn number(&self, name: &str) -> Option<u16> {
        self.0.lock().number_within(name, NAMES_MAX)
    }

    /// As `number`, for a tie of this user's: whoever may open sessions must not use up what devices need.
    pub(crate) fn tie(&self, name: &str, uid: u32) -> Result<u16, Error> {
        let mut known = self.0.lock();
        if let Some(number) = known.numbers.get(name) {
            return Ok(*number);
        }
        let ties = known.ties.get(&uid).copied().unwrap_or(0);
        if ties >= TIES_PER_USER_MAX {
            let what = "names of no device that a user's sessions were tied to";
            return Err(Error::Limit { what, limit: TIES_PER_USER_MAX });
        }
        let number = known.number_within(name, TIES_MAX);
        let what = "names of no device that sessions were tied to";
        let number = number.ok_or(Error::Limit { what, limit: TIES_MAX })?;
        known.ties.insert(uid, ties + 1);
        Ok(number)
    }

    /// The name with this number.
    pub(crate) fn name(&self, number: u16) -> Option<String> {
        self.0.lock().names.get(usize::from(number)).cloned()
    }
}

impl Known {
    fn number_within(&mut self, name: &str, limit: usize) -> Option<u16> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        let number = self.names.len();
        if number >= limit {
            return None;
        }
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number as u16);
        Some(number as u16)
    }
}

/// 0 for none; else bit 31 says `only` (not `prefer`), bit 30 that the number is a kind's and not a name's, and the low
/// 16 bits are the interned name's number plus 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Binding(pub(crate) u32);

impl Binding {
    /// Any device will do.
    pub(crate) const NONE: Binding = Binding(0);
    const ONLY: u32 = 1 << 31;
    const KIND: u32 = 1 << 30;

    /// Tied to the devices of one interned name (or kind); never to others if `only`.
    pub(crate) fn new(number: u16, is_kind: bool, only: bool) -> Self {
        let flags = if is_kind { Self::KIND } else { 0 } | if only { Self::ONLY } else { 0 };
        Self(flags | (u32::from(number) + 1))
    }

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// No other device may take it.
    #[inline]
    pub(crate) fn is_only(self) -> bool {
        self.0 & Self::ONLY != 0
    }

    /// The interned number, and whether it is a kind's.
    pub(crate) fn target(self) -> Option<(u16, bool)> {
        let number = (self.0 & 0x1_ffff).checked_sub(1)?;
        Some((number as u16, self.0 & Self::KIND != 0))
    }

    /// Whether a device with these interned numbers is the one, or one of those.
    #[inline]
    pub(crate) fn matches(self, name_number: u16, kind_number: u16) -> bool {
        let number = if self.0 & Self::KIND != 0 { kind_number } else { name_number };
        !self.is_none() && self.0 & 0x1_ffff == u32::from(number) + 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn i7_ties_leave_room_for_the_names_of_devices() {
        let names = Names::default();
        for number in 0..TIES_MAX {
            let uid = (number / TIES_PER_USER_MAX) as u32;
            assert_eq!(names.tie(&number.to_string(), uid), Ok(number as u16));
        }
        assert!(matches!(names.tie("one more", 1_000), Err(Error::Limit { limit: TIES_MAX, .. })));
        assert_eq!(names.tie("7", 1_000), Ok(7));
        assert_eq!(names.number("device"), Some(TIES_MAX as u16));
        assert_eq!(names.tie("device", 1_000), Ok(TIES_MAX as u16));
    }

    #[test]
    fn a_binding_matches_its_name_or_kind_and_nothing_else() {
        let name = Binding::new(7, false, true);
        assert!(name.matches(7, 3) && !name.matches(3, 7) && name.is_only());
        let kind = Binding::new(7, true, false);
        assert!(kind.matches(3, 7) && !kind.matches(7, 3) && !kind.is_only());
        assert!(!Binding::NONE.matches(0, 0) && Binding::NONE.is_none());
        assert!(Binding::new(u16::MAX, false, false).matches(u16::MAX, 0));
    }
}
