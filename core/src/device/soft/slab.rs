//! The table of open sessions: a handle is an index, indices are reused.

use crate::algorithm::Algorithm;
use crate::device::Handle;
use crate::error::Error;

use super::SharedContext;

/// An open session; clones share the key schedule, which is wiped with the last of them.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) algorithm: Algorithm,
    pub(super) context: SharedContext,
}

/// Open sessions by handle. Invariant: `free` holds exactly the indices of the empty entries.
pub(super) struct Slab {
    entries: Vec<Option<Session>>,
    free: Vec<u32>,
    sessions_max: usize,
}

impl Slab {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), sessions_max }
    }

    pub(super) fn insert(&mut self, algorithm: Algorithm, context: SharedContext) -> Result<Handle, Error> {
        let session = Some(Session { algorithm, context });
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = session;
            return Ok(Handle(index));
        }
        let full = Error::Limit { what: "sessions on one device", limit: self.sessions_max };
        if self.entries.len() >= self.sessions_max {
            return Err(full);
        }
        let index = u32::try_from(self.entries.len()).map_err(|_| full)?;
        self.entries.push(session);
        Ok(Handle(index))
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<Session> {
        let session = self.entries.get_mut(handle.0 as usize)?.take()?;
        self.free.push(handle.0);
        Some(session)
    }

    pub(super) fn get(&self, handle: Handle) -> Option<Session> {
        self.entries.get(handle.0 as usize)?.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::random::Random;
    use super::*;

    fn insert(slab: &mut Slab) -> Result<Handle, Error> {
        slab.insert(Algorithm::Random, Arc::new(Random))
    }

    #[test]
    fn an_index_is_reused_after_removal_and_only_then() {
        let mut slab = Slab::new(8);
        let first = insert(&mut slab).unwrap();
        let second = insert(&mut slab).unwrap();
        assert_ne!(first, second);
        assert!(slab.remove(first).is_some());
        assert!(slab.remove(first).is_none());
        assert!(slab.get(first).is_none() && slab.get(second).is_some());
        assert_eq!(insert(&mut slab).unwrap(), first);
    }

    #[test]
    fn i7_a_full_table_refuses_and_takes_again_after_a_removal() {
        let mut slab = Slab::new(1);
        let only = insert(&mut slab).unwrap();
        assert_eq!(insert(&mut slab), Err(Error::Limit { what: "sessions on one device", limit: 1 }));
        slab.remove(only);
        assert!(insert(&mut slab).is_ok());
    }

    #[test]
    fn an_unknown_handle_is_ignored() {
        let mut slab = Slab::new(1);
        assert!(slab.get(Handle(7)).is_none());
        assert!(slab.remove(Handle(7)).is_none());
    }
}
