//! Operations that no device has room for: a ring for each priority, made when first needed.

use std::sync::OnceLock;

use super::ring::Ring;
use crate::session::PRIORITIES;
use crate::sync::Lock;
use crate::sync::atomic::AtomicBool;

/// The rings. The token admits one dispatcher at a time.
#[derive(Debug)]
pub(crate) struct Waiting {
    rings: [OnceLock<Ring>; PRIORITIES],
    limit: usize,
    pub(crate) token: Lock<()>,
    /// Somebody found the token taken: its holder looks once more.
    pub(crate) wanted: AtomicBool,
}

impl Waiting {
    /// Rings with room for `slots` operations and as many stale entries.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            rings: [const { OnceLock::new() }; PRIORITIES],
            limit: slots * 2,
            token: Lock::new(()),
            wanted: AtomicBool::new(false),
        }
    }

    /// The ring of a priority; it can be full only of stale entries.
    pub(crate) fn ring(&self, priority: usize) -> &Ring {
        self.rings[priority].get_or_init(|| Ring::new(self.limit))
    }

    /// Entries of a priority, stale ones included.
    #[inline]
    pub(crate) fn len(&self, priority: usize) -> usize {
        self.rings[priority].get().map_or(0, Ring::len)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        (0..PRIORITIES).all(|priority| self.len(priority) == 0)
    }

    /// Whether something of this or a higher priority waits.
    #[inline]
    pub(crate) fn blocks(&self, priority: usize) -> bool {
        (priority..PRIORITIES).any(|higher| self.len(higher) > 0)
    }
}
