//! What one user may take of what there is (invariant I7).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Limits of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections.
    pub connections_max: usize,
    /// Of these, kept free for class admin.
    pub connections_reserved: usize,
    /// Connections of one user without class admin.
    pub connections_per_uid_max: usize,
    /// Sessions one user has opened through the protocol.
    pub sessions_per_uid_max: usize,
    /// Subscriptions of one connection.
    pub subscriptions_per_connection_max: usize,
    /// Subscriptions of one user.
    pub subscriptions_per_uid_max: usize,
    /// Streams of one connection.
    pub streams_per_connection_max: usize,
    /// Operations of one connection that are under way; what comes beyond waits unread.
    pub ops_per_connection_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_reserved: 16,
            connections_per_uid_max: 512,
            sessions_per_uid_max: 1 << 18,
            subscriptions_per_connection_max: 16,
            subscriptions_per_uid_max: 256,
            streams_per_connection_max: 256,
            ops_per_connection_max: 64,
        }
    }
}

/// What is counted for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Connection,
    Subscription,
}

/// Counts what users hold.
#[derive(Debug)]
pub(super) struct Shares {
    limits: Limits,
    held: Arc<Mutex<HashMap<(Kind, u32), usize>>>,
}

/// One thing held; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Share {
    key: (Kind, u32),
    held: Arc<Mutex<HashMap<(Kind, u32), usize>>>,
}

impl Shares {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, held: Arc::default() }
    }

    /// A connection of `uid`.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn connection(&self, uid: u32, is_admin: bool) -> Result<Share, usize> {
        let limits = &self.limits;
        let (all, own) = if is_admin {
            (limits.connections_max, limits.connections_max)
        } else {
            (
                limits.connections_max.saturating_sub(limits.connections_reserved),
                limits.connections_per_uid_max,
            )
        };
        self.take(Kind::Connection, uid, all, own)
    }

    /// A subscription of `uid`.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn subscription(&self, uid: u32) -> Result<Share, usize> {
        self.take(Kind::Subscription, uid, usize::MAX, self.limits.subscriptions_per_uid_max)
    }

    fn take(&self, kind: Kind, uid: u32, all: usize, own: usize) -> Result<Share, usize> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = held.iter().filter(|((other, _), _)| *other == kind).map(|(_, count)| count).sum();
        if total >= all {
            return Err(all);
        }
        let count = held.entry((kind, uid)).or_default();
        if *count >= own {
            return Err(own);
        }
        *count += 1;
        Ok(Share { key: (kind, uid), held: Arc::clone(&self.held) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_a_user_gets_its_share_and_admins_get_the_rest() {
        let shares = Shares::new(Limits {
            connections_max: 4,
            connections_reserved: 1,
            connections_per_uid_max: 2,
            ..Limits::default()
        });
        let first = shares.connection(1000, false).unwrap();
        let _second = shares.connection(1000, false).unwrap();
        assert_eq!(shares.connection(1000, false).unwrap_err(), 2);
        let _third = shares.connection(1001, false).unwrap();
        assert_eq!(shares.connection(1002, false).unwrap_err(), 3);
        let fourth = shares.connection(0, true).unwrap();
        assert_eq!(shares.connection(0, true).unwrap_err(), 4);
        drop((first, fourth));
        assert!(shares.connection(1000, false).is_ok());
    }
}
