//! Serving a runtime: the only place that knows both the protocol and core.

mod auth;
mod connection;
mod convert;
mod data;
mod errno;
mod events;
mod limits;
mod listen;
mod netlink;
mod sessions;
mod show;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acrypto_core::{DeviceId, Runtime};
use tokio::sync::watch;

use self::limits::Shares;
use self::sessions::Sessions;
use crate::message::Class;
use crate::transport::{Credentials, End, MemoryEnd};

pub use auth::Peer;
pub use limits::Limits;
pub use listen::Listener;
pub use netlink::NetlinkListener;

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Scenario the runtime plays: empty, or `DEMO`.
    pub scenario: String,
    /// Members of this group get class admin, as root and the server's own user do.
    pub admin_gid: Option<u32>,
    /// Limits.
    pub limits: Limits,
    /// The program ends when somebody of class admin asks it to: it waits for [`Server::end_asked`].
    pub ends_when_asked: bool,
}

/// A server of one runtime. Clones share it.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    runtime: Runtime,
    options: ServerOptions,
    epoch: u32,
    own: Credentials,
    listen: Mutex<Vec<String>>,
    sessions: Sessions,
    shares: Shares,
    device_names: Mutex<HashMap<DeviceId, String>>,
    last_connection: AtomicU64,
    /// Set when the server stops; every connection watches it, and holds a receiver until it is done.
    stopping: watch::Sender<bool>,
    /// Set when a client has asked for the end of the program.
    end_asked: watch::Sender<bool>,
}

impl Server {
    /// A server that nobody can reach yet.
    pub fn new(runtime: Runtime, options: ServerOptions) -> Self {
        let sessions = Sessions::new(options.limits.sessions_per_uid_max);
        let shares = Shares::new(options.limits.clone());
        Self {
            shared: Arc::new(Shared {
                runtime,
                options,
                epoch: random_epoch(),
                own: Credentials::own(),
                listen: Mutex::default(),
                sessions,
                shares,
                device_names: Mutex::default(),
                last_connection: AtomicU64::new(0),
                stopping: watch::Sender::new(false),
                end_asked: watch::Sender::new(false),
            }),
        }
    }

    /// The runtime it serves.
    pub fn runtime(&self) -> &Runtime {
        &self.shared.runtime
    }

    /// Its epoch.
    pub fn epoch(&self) -> u32 {
        self.shared.epoch
    }

    /// A connection in memory with the rights of this process; must be called within a tokio runtime.
    pub fn memory(&self) -> MemoryEnd {
        self.memory_as(Peer { credentials: self.shared.own, groups: Vec::new() })
    }

    /// A connection in memory that the server takes for one of `peer`.
    pub fn memory_as(&self, peer: Peer) -> MemoryEnd {
        let (theirs, ours) = MemoryEnd::pair_between(peer.credentials, self.shared.own);
        tokio::spawn(connection::serve(Arc::clone(&self.shared), End::Memory(ours), peer, Class::Admin));
        theirs
    }

    /// Waits until a client has asked for the end of the program ([`ServerOptions::ends_when_asked`]). It is the program's to
    /// call [`Server::shutdown`] then, which answers the client first.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing.
    pub async fn end_asked(&self) {
        // The sender lives as long as the server.
        let _ = self.shared.end_asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Stops: takes no new connection and no new request, answers what is under way, closes. Comes back when the last
    /// connection is closed. The runtime goes on.
    pub async fn shutdown(&self) {
        self.shared.stopping.send_replace(true);
        self.shared.stopping.closed().await;
    }
}

impl Shared {
    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_connection(&self) -> u64 {
        self.last_connection.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Name of a device; empty when it is gone. Numbers are never used twice, so that what was learnt stays true.
    fn device_name(&self, id: DeviceId) -> String {
        let mut names = Self::lock(&self.device_names);
        if !names.contains_key(&id) {
            names.extend(self.runtime.devices().into_iter().map(|device| (device.id, device.name)));
        }
        names.get(&id).cloned().unwrap_or_default()
    }
}

fn random_epoch() -> u32 {
    // The standard library seeds it from the operating system. Never 0, which clients have before they know.
    (RandomState::new().build_hasher().finish() as u32).max(1)
}

#[cfg(test)]
mod tests;
