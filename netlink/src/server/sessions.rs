//! Sessions opened through the protocol: they belong to a user, and to a connection unless they are persistent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use acrypto_core::Session;

use super::errno::{EBUSY, ENOENT, EPERM, limit};
use crate::attr::Fault;

#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    per_uid_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    owned: HashMap<u64, Owned>,
    /// Sessions of each user.
    counts: HashMap<u32, usize>,
}

#[derive(Debug)]
struct Owned {
    session: Session,
    uid: u32,
    /// The connection it ends with.
    connection: Option<u64>,
}

impl Sessions {
    pub(super) fn new(per_uid_max: usize) -> Self {
        Self { table: Mutex::default(), per_uid_max }
    }

    /// Opens a session by `open` if the user's share allows it.
    pub(super) fn open(
        &self,
        uid: u32,
        connection: Option<u64>,
        open: impl FnOnce() -> Result<Session, Fault>,
    ) -> Result<u64, Fault> {
        let mut table = self.table();
        // Counted under the lock that inserts, so that the limit holds.
        if table.counts.get(&uid).is_some_and(|count| *count >= self.per_uid_max) {
            return Err(limit(self.per_uid_max, "sessions of one user"));
        }
        let session = open()?;
        let id = session.id();
        table.owned.insert(id, Owned { session, uid, connection });
        *table.counts.entry(uid).or_default() += 1;
        Ok(id)
    }

    /// The session, for its owner.
    pub(super) fn get(&self, id: u64, uid: u32) -> Result<Session, Fault> {
        match self.table().owned.get(&id) {
            Some(owned) if owned.uid == uid => Ok(owned.session.clone()),
            Some(owned) => Err(foreign(id, owned.uid)),
            None => Err(unknown(id)),
        }
    }

    /// The session, for its owner or an admin.
    pub(super) fn steer(
        &self,
        id: u64,
        uid: u32,
        is_admin: bool,
        exists: impl FnOnce() -> bool,
    ) -> Result<Session, Fault> {
        match self.table().owned.get(&id) {
            Some(owned) if owned.uid == uid || is_admin => Ok(owned.session.clone()),
            Some(owned) => Err(foreign(id, owned.uid)),
            None if exists() => Err(Fault::new(
                EBUSY,
                format!("session '{id:#x}' is held by the program that runs the runtime"),
            )),
            None => Err(unknown(id)),
        }
    }

    /// Closes the session, for its owner or an admin.
    pub(super) fn close(
        &self,
        id: u64,
        uid: u32,
        is_admin: bool,
        exists: impl FnOnce() -> bool,
    ) -> Result<(), Fault> {
        self.steer(id, uid, is_admin, exists)?;
        // The handle's drop tells the devices; no need to hold others up meanwhile.
        let closed = self.table().remove(id);
        drop(closed);
        Ok(())
    }

    /// Closes what ends with the connection.
    pub(super) fn end_connection(&self, connection: u64) {
        let ended: Vec<Owned> = {
            let mut table = self.table();
            let ids: Vec<u64> = table
                .owned
                .iter()
                .filter(|(_, owned)| owned.connection == Some(connection))
                .map(|(id, _)| *id)
                .collect();
            ids.into_iter().filter_map(|id| table.remove(id)).collect()
        };
        drop(ended);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, id: u64) -> Option<Owned> {
        let owned = self.owned.remove(&id)?;
        if let Some(count) = self.counts.get_mut(&owned.uid) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&owned.uid);
            }
        }
        Some(owned)
    }
}

fn unknown(id: u64) -> Fault {
    Fault::new(ENOENT, format!("session '{id:#x}' not found"))
}

fn foreign(id: u64, uid: u32) -> Fault {
    Fault::new(EPERM, format!("session '{id:#x}' belongs to uid {uid}"))
}
