//! What operations are carried out under: the keys of a session from one re-key to the next, stage by stage.
//!
//! A context's number names its session, its generation and the stage of its route, so that a slot and a device need no
//! more than one word of it. Operations keep the context they were submitted under; it ends with the last of them, and
//! with it the key.

use std::fmt;
use std::sync::Arc;

use crate::binding::Binding;
use crate::key::{Key, Uses};
use crate::session::{SessionSpec, SessionState};
use crate::sync::atomic::{AtomicU64, Ordering};

const GENERATION_BITS: u32 = 20;
const STAGE_BITS: u32 = 4;

/// Number of a context's first stage.
pub(crate) fn number(session: u64, generation: u64) -> u64 {
    (session << GENERATION_BITS | generation & ((1 << GENERATION_BITS) - 1)) << STAGE_BITS
}

/// The session that a context's number names.
pub(crate) fn session_of(number: u64) -> u64 {
    number >> (GENERATION_BITS + STAGE_BITS)
}

/// The generation that a context's number names.
pub(crate) fn generation_of(number: u64) -> u64 {
    number >> STAGE_BITS & ((1 << GENERATION_BITS) - 1)
}

/// The stage that a context's number names.
pub(crate) fn stage_of(number: u64) -> usize {
    (number & ((1 << STAGE_BITS) - 1)) as usize
}

/// The number of another stage of the same context.
pub(crate) fn at_stage(number: u64, stage: usize) -> u64 {
    number & !((1 << STAGE_BITS) - 1) | stage as u64
}

/// What a device opens: algorithm with preferences, and a key.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) spec: Arc<SessionSpec>,
    pub(crate) key: Key,
    /// The stage's own tie; the session's may change, and holds for stages that have none.
    pub(crate) binding: Option<Binding>,
}

/// The keys of one generation.
pub(crate) struct Context {
    /// Number of its first stage.
    pub(crate) number: u64,
    pub(crate) session: Arc<SessionState>,
    /// Operations under it that are not completed, and one while it is the session's current context.
    live: AtomicU64,
    /// One for each stage; one for a session without a route.
    pub(crate) parts: Box<[Part]>,
    /// What the session allows, and the key that its operations' kind is about.
    pub(crate) uses: Uses,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Context {
    /// A context that its session holds.
    pub(crate) fn new(session: Arc<SessionState>, generation: u64, parts: Box<[Part]>, uses: Uses) -> Self {
        Self { number: number(session.id, generation), session, live: AtomicU64::new(1), parts, uses }
    }

    /// What a device opens for this number.
    pub(crate) fn part(&self, number: u64) -> Option<&Part> {
        self.parts.get(stage_of(number))
    }

    /// Counts operations in. False when the context has ended: the session has another one.
    #[inline]
    pub(crate) fn hold(&self, count: u64) -> bool {
        let add = |live: u64| (live > 0).then_some(live + count);
        self.live.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    /// Counts operations out. True when they were the last.
    #[inline]
    pub(crate) fn release(&self, count: u64) -> bool {
        self.live.fetch_sub(count, Ordering::AcqRel) == count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_session_and_stage() {
        let number = at_stage(number(7, (1 << GENERATION_BITS) + 3), 2);
        assert_eq!((session_of(number), stage_of(number)), (7, 2));
        assert_eq!(at_stage(number, 0), super::number(7, 3));
    }
}
