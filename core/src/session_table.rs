//! The table of open sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Error;
use crate::session::SessionState;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Sessions by number; numbers are never used twice.
#[derive(Debug)]
pub(crate) struct SessionTable {
    table: RwLock<BTreeMap<u64, Arc<SessionState>>>,
    last: AtomicU64,
    limit: usize,
}

impl SessionTable {
    pub(crate) fn new(limit: usize) -> Self {
        Self { table: RwLock::new(BTreeMap::new()), last: AtomicU64::new(0), limit }
    }

    pub(crate) fn insert(
        &self,
        make: impl FnOnce(u64) -> Arc<SessionState>,
    ) -> Result<Arc<SessionState>, Error> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= self.limit {
            return Err(Error::Limit { what: "sessions", limit: self.limit });
        }
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let state = make(id);
        table.insert(id, Arc::clone(&state));
        Ok(state)
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<SessionState>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn remove(&self, id: u64) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn all(&self) -> Vec<Arc<SessionState>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
